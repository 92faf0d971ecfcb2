"""Optical memory for LangChain's classic chains: `ConversationChain`, `LLMChain`, and all that take a `BaseChatMemory`.

The classes of `langchain_classic` are deprecated and end with LangChain 2. New code should use `OpticalMemoryMiddleware`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import MissingExtra
from ...memory.optical_memory import OpticalMemory
from ...worker_threads import in_thread

try:
    from langchain_classic.memory.chat_memory import BaseChatMemory
    from langchain_classic.memory.utils import get_prompt_input_key
    from langchain_core.messages import BaseMessage, HumanMessage

    from .history import OpticalChatMessageHistory, view
    from .messages import Dialect
except ImportError as exc:
    raise MissingExtra("OpticalConversationMemory", "langchain-classic") from exc

__all__ = ["OpticalConversationMemory"]

NO_TEXT = (
    "pages are pictures, and {what} would drop them without a word. Give the chain a chat prompt with "
    "MessagesPlaceholder({key!r}) and a chat model, and leave return_messages=True"
)


class OpticalConversationMemory(BaseChatMemory):
    """Replaces `ConversationBufferMemory`, `ConversationSummaryBufferMemory` and similar classes.

        ConversationChain(llm=model, prompt=prompt, memory=OpticalConversationMemory("alice", store="sqlite:///chats.db"))

    The prompt must be a chat prompt with `MessagesPlaceholder("history")`. The log stores messages word for word; the chain gets pages of
    the past and recent messages.

    Args:
        memory: an `OpticalMemory`, or the name of a session.
        memory_key: the placeholder's name in the prompt.
        input_key, output_key: which input and output of the chain are stored, if it has several.
        return_messages: must be True; False raises `ValueError`, since text cannot hold pages.
        budget: most tokens of the past and the input, counted as the reader counts.
        dialect, detail: format of images; see `as_runnable`.
        options: with a session's name, the other arguments of `OpticalMemory`.
    """

    chat_memory: OpticalChatMessageHistory
    memory_key: str = "history"
    return_messages: bool = True
    budget: int | None = None
    dialect: Dialect | None = None
    detail: str | None = None

    def __init__(
        self,
        memory: OpticalMemory | str = "default",
        *,
        memory_key: str = "history",
        input_key: str | None = None,
        output_key: str | None = None,
        return_messages: bool = True,
        budget: int | None = None,
        dialect: Dialect | None = None,
        detail: str | None = None,
        **options: Any,
    ) -> None:
        if not return_messages:
            raise ValueError(NO_TEXT.format(what="return_messages=False", key=memory_key))
        fields: dict[str, Any] = {"memory_key": memory_key, "input_key": input_key, "output_key": output_key}
        fields |= {"budget": budget, "dialect": dialect, "detail": detail, "chat_memory": OpticalChatMessageHistory(memory, **options)}
        super().__init__(**fields)

    @property
    def memory(self) -> OpticalMemory:
        """The session: recall, pins, pages, statistics."""
        return self.chat_memory.memory

    @property
    def memory_variables(self) -> list[str]:
        """Names of the inputs that the memory adds to the chain."""
        return [self.memory_key]

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return pages of the past and recent messages. Raises `BudgetTooSmall`, `StoreUnavailable`."""
        now = self._asked(inputs)
        seen = view(self.memory, [now], budget=self.budget, dialect=self.dialect, detail=self.detail)
        return {self.memory_key: _Messages(self.memory_key, seen[:-1])}  # the prompt itself holds the newest message

    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return pages of the past and recent messages, made in a worker thread."""
        return await in_thread(self.load_memory_variables, inputs)

    def _asked(self, inputs: Mapping[str, Any]) -> HumanMessage:
        """Return the chain's input as the message after the past; it counts against the budget."""
        try:
            said = inputs[self.input_key or get_prompt_input_key(dict(inputs), self.memory_variables)]
        except (KeyError, ValueError):  # called directly, or a chain of several inputs: saving will raise for what is missing
            said = ""
        return HumanMessage(said.text if isinstance(said, BaseMessage) else str(said))


class _Messages(list[BaseMessage]):
    """Messages that raise when a plain text prompt formats them, since it would send the images' bytes as text."""

    def __init__(self, key: str, messages: list[BaseMessage]) -> None:
        super().__init__(messages)
        self._key = key

    def __format__(self, spec: str) -> str:
        raise TypeError(NO_TEXT.format(what="a prompt of plain text", key=self._key))

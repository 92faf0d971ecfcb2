"""Optical memory for LangChain's `create_agent`, as middleware.

Only the request to the model changes; the agent's messages do not. Its checkpoints hold the messages unchanged and, in one private key, a
small plan without images. So time travel, forks, edits and `RemoveMessage` apply to the plan too; a plan that no longer matches is made
again.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, NotRequired, cast

from ...context.messages.request_outline import outline
from ...errors import InvalidTurn, MissingExtra, OpticalMemoryError
from ...memory.message_list import MessageListMemory
from ...profiles.registry import text_only
from ...text.excerpts import said
from ...worker_threads import in_thread
from ..settings import AdapterSettings, ModelMemories
from .messages import Dialect, dialect_of, key_of, picture_block, render, sendable_to, turn_of_message
from .model_facts import KEPT, ModelFacts, is_kept

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ExtendedModelResponse, ModelRequest, ModelResponse
    from langchain.agents.middleware.types import PrivateStateAttr
    from langchain_core.messages import AIMessage, AnyMessage, BaseMessage
    from langchain_core.tools import BaseTool
    from langgraph.types import Command

    from .tools import memory_tools, with_pictures, with_words, zoomed
except ImportError as exc:
    raise MissingExtra("OpticalMemoryMiddleware", "langchain") from exc

__all__ = ["OpticalMemoryMiddleware", "OpticalMemoryState"]

STATE = "_optical_memory"
SUMMARISED = "_summarization_event"  # key of the state in which Deep Agents keeps its summary
ANY_READER = "deepseek-ocr"  # recall is the same for every reader

Request = ModelRequest[Any]
Answer = ModelResponse[Any] | AIMessage | ExtendedModelResponse[Any]
State = dict[str, Any]


class OpticalMemoryState(AgentState[Any]):
    """The agent's state and its memory's plan: plain JSON, checkpointed, in neither input nor output."""

    _optical_memory: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]


def _trace_policy() -> Any:
    """Return a policy that keeps messages and images out of the hook's trace, if LangChain has one."""
    try:
        from langchain.agents.middleware.types import TracePolicy, omit_payload
    except ImportError:
        return None
    return TracePolicy(process_inputs=omit_payload)


class OpticalMemoryMiddleware(AgentMiddleware[Any, Any, Any]):
    """Sends the model an agent's past as pages, and its recent turns unchanged.

    In the list of middleware, put those that choose the model, repeat the call (fallback, retry) or edit messages (PII) before this one;
    only prompt caching after it. A wrong order warns where it can be detected.

    Args:
        dialect: format of images: `openai`, `anthropic` or `standard`. None goes by the model of each request.
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at.
        offer_tools: give the agent `recall_memory` and `zoom`.
        name: its name among the agent's middleware; `SummarizationMiddleware` puts it in the place of the one in Deep Agents.
        settings: the fields of `AdapterSettings`: `reader`, `budget`, `renderer`, `cache`, ...

    A model without image input in its LangChain profile, or without a reader profile, gets text. So does every model, with a warning, if
    pages cannot be drawn. A call whose newest turns exceed the budget raises `BudgetTooSmall`.
    """

    state_schema = OpticalMemoryState
    trace_policy = _trace_policy()

    def __init__(
        self,
        *,
        dialect: Dialect | None = None,
        detail: str | None = None,
        offer_tools: bool = True,
        name: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self._name = name or type(self).__name__
        self._settings, self._dialect, self._detail = AdapterSettings(**settings), dialect, detail
        self._memories: ModelMemories[BaseMessage] = ModelMemories(self._settings, key=key_of, turn=turn_of_message)
        self._warned: set[str] = set()
        self.tools: Sequence[BaseTool] = memory_tools(self._memory_of, STATE) if offer_tools else ()

    @property
    def name(self) -> str:
        """Its name; an agent takes one middleware of each."""
        return self._name

    def wrap_model_call(self, request: Request, handler: Callable[[Request], ModelResponse[Any]]) -> Answer:
        """Replace the past with pages."""
        shown, state = self._show(request)
        return _with_state(handler(shown), request, state)

    async def awrap_model_call(self, request: Request, handler: Callable[[Request], Awaitable[ModelResponse[Any]]]) -> Answer:
        """Replace the past with pages, made in a worker thread."""
        shown, state = await in_thread(self._show, request)
        return _with_state(await handler(shown), request, state)

    def _show(self, request: Request) -> tuple[Request, State | None]:
        """Return the request to send, and the new state, if it changed."""
        model = ModelFacts.of(request.model)
        if "cache_control" in request.model_settings:
            self._warn_once("prompt caching stands before OpticalMemoryMiddleware in the list of middleware; it belongs after it")
        if request.state.get(SUMMARISED):
            self._warn_once(
                "Deep Agents has summarised this conversation before its pages could be made. To have pages instead: "
                "OpticalMemoryMiddleware(name='SummarizationMiddleware')"
            )
        if model.keeps_conversation or is_kept(request.model_settings):
            self._warn_once(KEPT)
            return request, None
        memory = self._memories.memory_for(model.name, takes_images=model.sees)
        if memory is None:
            if any(zoomed(message) for message in request.messages):
                return _with_messages(request, with_words(request.messages, request.messages)), None
            return request, None
        try:
            messages, state = self._seen(request, memory, model)
        except (OpticalMemoryError, InvalidTurn) as exc:
            warnings.warn(f"no pages could be made, so the conversation is sent as text: {said(exc)}", RuntimeWarning, stacklevel=4)
            return request, None
        return _watched(_with_messages(request, messages)), state

    def _seen(self, request: Request, memory: MessageListMemory[BaseMessage], model: ModelFacts) -> tuple[list[BaseMessage], State]:
        before: State | None = request.state.get(STATE)  # type: ignore[assignment]  # our key is not in the request's type
        settings = self._settings
        shown = memory.context(request.messages, before, budget=settings.budget, question=settings.recall_for_question)
        dialect = self._dialect or dialect_of(model.provider)
        messages = render(outline(shown.context), request.messages, dialect, detail=self._detail)
        if any(zoomed(message) for message in messages):
            pages = {part.page.key: part.page for part in shown.context.pages}
            messages = with_pictures(messages, pages, lambda data: picture_block(data, dialect, "high"), inside=model.sees_results(dialect))
        return sendable_to(messages, model.provider), shown.state

    def _memory_of(self, state: Mapping[str, Any] | None) -> MessageListMemory[BaseMessage] | None:
        """Return the memory that a state was made with; `ANY_READER`'s without a state."""
        plans = (state or {}).get("plans") or ()
        name = next((name.removeprefix("plan/") for name in plans), ANY_READER)
        return self._memories.memory_for(name, takes_images=name != text_only().name)

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warnings.warn(text, RuntimeWarning, stacklevel=4)


def _with_messages(request: Request, messages: list[BaseMessage]) -> Request:
    return request.override(messages=cast("list[AnyMessage]", messages))


def _with_state(answer: ModelResponse[Any], request: Request, state: State | None) -> Answer:
    if state is None or state == request.state.get(STATE):
        return answer
    return ExtendedModelResponse(model_response=answer, command=Command(update={STATE: state}))


class _Watched(ModelRequest[Any]):
    """A request that warns when inner middleware sends it to another model."""

    def override(self, **overrides: Any) -> ModelRequest[Any]:
        """Return a request with `overrides`; see `ModelRequest.override`."""
        if overrides.get("model", self.model) is not self.model:
            warnings.warn(
                "middleware after OpticalMemoryMiddleware sends the request to another model than its pages were made for. "
                "Put fallback and routing before it in the list of middleware.",
                RuntimeWarning,
                stacklevel=2,
            )
        return super().override(**overrides)


def _watched(request: Request) -> Request:
    return _Watched(**{field.name: getattr(request, field.name) for field in fields(request)})

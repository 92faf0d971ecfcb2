"""LiteLLM: a hook that replaces the past with pages, in the client, the router and the proxy.

    litellm.callbacks = [OpticalMemoryHook()]
    await litellm.acompletion(model="gpt-4o", messages=messages)

In the proxy's configuration, name an instance: `litellm_settings: {callbacks: my_module.hook}`. Messages are in OpenAI's shape, which
LiteLLM accepts for every provider.

LiteLLM's synchronous `completion()` calls no hook that can change messages, and `Router.completion()` calls it. So the first
`OpticalMemoryHook()` of a process puts a function before `litellm.completion` that asks the hooks in `litellm.callbacks`. A name bound
earlier (`from litellm import completion`) skips it: such a call is sent as it is, with a warning.
"""

from __future__ import annotations

import base64
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from ..context.messages.request_outline import Kept, MissingResult, Note, Pages, Piece
from ..errors import MissingExtra
from ..profiles.registry import profile_for_model, profile_of
from ..text.surrogates import sendable, sendable_text
from ..turns.from_messages import turn_of
from ..turns.turn import Turn
from ..worker_threads import in_thread
from .conversation_states import Conversations, digest, readable
from .settings import AdapterSettings

try:
    import litellm
    from litellm.integrations.custom_logger import CustomLogger
except ImportError as exc:
    raise MissingExtra("the adapter for LiteLLM", "litellm") from exc

__all__ = ["OpticalMemoryHook"]

Message = dict[str, Any]

CHATS = ("completion", "acompletion")
NAMES = ("conversation_id", "session_id", "thread_id")  # metadata keys for a conversation's name
DONE = "optical_memory"  # in metadata: an earlier hook has inserted the pages
SKIPPED = (
    "a synchronous completion was sent without pages: its function was imported from litellm before OpticalMemoryHook() was made. "
    "Call litellm.completion(...), or pass hook.messages(messages, model)"
)
SAID = ("role", "name", "tool_calls", "tool_call_id", "function_call", "reasoning_content", "reasoning", "reasoning_details",
        "thinking_blocks", "refusal", "audio", "annotations", "status", "is_error", "isError")  # fmt: skip
BOUND = ("thinking", "redacted_thinking")

_lock = threading.Lock()


class OpticalMemoryHook(CustomLogger):
    """Rewrites the messages of chat completions, without changing the caller's.

    A conversation is recognised by its beginning, and by `metadata["conversation_id"]` (or `session_id`, `thread_id`) if set.

    Args:
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at, and none for Gemini:
            there LiteLLM makes it the `media_resolution`, with Gemini 2.5 of all pictures of the request.
        settings: the fields of `AdapterSettings`.

    In the proxy, pages are inserted when the request arrives if the model group's name or `reader` tells which model reads them. Otherwise
    they are inserted once the deployment is chosen, and a fallback to a model without image input gets text.
    """

    def __init__(self, *, detail: str | None = None, **settings: Any) -> None:
        super().__init__()
        self._settings, self._detail = AdapterSettings(**settings), detail
        self._conversations = Conversations[Message](self._settings, key=digest, turn=_turn)
        _ask_hooks_before_completion()

    def messages(self, messages: Sequence[Any], model: str, *, conversation: str | None = None) -> list[Any]:
        """Return the messages to send to `model` instead of `messages`. Raises `BudgetTooSmall`."""
        plain = [_plain(message) for message in messages]
        asks = self._detail is not None or not self._is_gemini(model)
        shown = self._conversations.show(
            plain, model, lambda pieces: list(_messages(pieces, messages, plain, self._detail, asks=asks)), name=conversation
        )
        return list(messages) if shown is None else shown

    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Rewrite the messages of `data`; called by the proxy."""
        if self._settings.reader is None and profile_for_model(str(data.get("model"))) is None:
            return None
        return await self._rewritten(data, call_type)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Rewrite the messages of the arguments; called by the client, the router and, through them, the proxy."""
        return await self._rewritten(kwargs, call_type)

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        """Warn of a synchronous call that this hook was not asked about; called by LiteLLM."""
        passed = kwargs.get("litellm_params") or {}
        if kwargs.get("call_type") == "completion" and not passed.get("acompletion") and not (passed.get("metadata") or {}).get(DONE):
            warnings.warn(SKIPPED, RuntimeWarning, stacklevel=2)

    def rewritten(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a chat completion with pages in `messages`; unchanged if an earlier hook has inserted them."""
        messages, metadata = data.get("messages"), data.get("metadata") or {}
        if not isinstance(messages, list) or metadata.get(DONE):
            return dict(data)
        name = next((str(metadata[key]) for key in NAMES if metadata.get(key)), data.get("litellm_session_id"))
        shown = self.messages(messages, str(data.get("model")), conversation=name)
        return {**data, "messages": shown, "metadata": {**metadata, DONE: True}}

    async def _rewritten(self, data: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        metadata = data.get("metadata") or {}
        if getattr(call_type, "value", call_type) not in CHATS or not isinstance(data.get("messages"), list) or metadata.get(DONE):
            return None
        return await in_thread(self.rewritten, data)  # pages are drawn in another thread, so as not to block the event loop

    def _is_gemini(self, model: str) -> bool:
        reader = self._settings.reader
        profile = profile_for_model(model) if reader is None else profile_of(reader)
        return "gemini" in model.lower() or (profile is not None and "gemini" in (profile.dialects or ()))


def _ask_hooks_before_completion() -> None:
    """Put a function before `litellm.completion` that asks the hooks in `litellm.callbacks`, once."""
    with _lock:
        original: Any = litellm.completion
        if getattr(original, "asks_optical_memory", False):
            return

        @wraps(original)
        def completion(*args: Any, **kwargs: Any) -> Any:
            named = dict(zip(("model", "messages"), args, strict=False))
            data = {**kwargs, **named}
            if not kwargs.get("acompletion"):
                for hook in litellm.callbacks:
                    data = hook.rewritten(data) if isinstance(hook, OpticalMemoryHook) else data
            return original(*[data.pop(name) for name in named], *args[2:], **data)

        completion.asks_optical_memory = True  # type: ignore[attr-defined]
        litellm.completion = completion


def _plain(message: Any) -> Message:
    """Convert a message to a dictionary; it may be one of LiteLLM's own response objects."""
    return message if isinstance(message, dict) else message.model_dump(exclude_none=True)


def _turn(message: Message) -> Turn:
    """Convert a message to a turn."""
    said = {key: value for key, value in message.items() if key in SAID and value}
    return turn_of({**said, "content": readable(message.get("content"))})


def _messages(
    pieces: Iterable[Piece], originals: Sequence[Any], plain: Sequence[Message], detail: str | None, *, asks: bool
) -> Iterator[Any]:
    """Yield messages for `pieces`; kept ones are the original objects, except those that no client could send.

    `asks`: pages are sent with a `detail`.
    """
    for piece in pieces:
        match piece:
            case Kept(number, stale, ids):
                own = plain[number - 1]
                kept = _without_thinking(own) if stale and _thinks(own) else own
                kept = sendable(_with_ids(kept, ids) if ids else kept)
                yield originals[number - 1] if kept is own else kept
            case Pages(pages, framing):
                content: list[Message] = [{"type": "text", "text": framing}] if framing else []
                for page in pages:
                    url = "data:image/png;base64," + base64.b64encode(page.image()).decode("ascii")
                    content.append({"type": "text", "text": sendable_text(page.text)})
                    asked = {"detail": page.detail(detail)} if asks else {}
                    content.append({"type": "image_url", "image_url": {"url": url, **asked}})
                yield {"role": "user", "content": content}
            case Note(_, text):
                yield {"role": "user", "content": sendable_text(text)}
            case MissingResult(_, call_id, text):
                yield {"role": "tool", "tool_call_id": call_id, "content": text}


def _with_ids(message: Message, ids: Sequence[str]) -> Message:
    if message.get("tool_call_id"):
        return {**message, "tool_call_id": ids[0]}
    calls = message.get("tool_calls") or []
    return {**message, "tool_calls": [{**call, "id": new} for call, new in zip(calls, ids, strict=True)]}


def _thinks(message: Message) -> bool:
    """Whether a message holds reasoning that its provider signed together with the messages before it."""
    content = message.get("content")
    return bool(message.get("thinking_blocks")) or (isinstance(content, list) and any(_is_thinking(block) for block in content))


def _is_thinking(block: object) -> bool:
    return isinstance(block, Mapping) and block.get("type") in BOUND


def _without_thinking(message: Message) -> Message:
    rest = {key: value for key, value in message.items() if key not in ("thinking_blocks", "reasoning_content")}
    if isinstance(rest.get("content"), list):
        rest["content"] = [block for block in rest["content"] if not _is_thinking(block)]
    return rest

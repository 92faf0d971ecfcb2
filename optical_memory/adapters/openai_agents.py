"""OpenAI's Agents SDK: a session on the turn log, and a filter that replaces the past with pages.

    session = OpticalSession("alice")
    config = RunConfig(call_model_input_filter=optical_filter())
    await Runner.run(agent, "Hi", session=session, run_config=config)

Either works without the other. The session stores items unchanged; pages exist only in requests.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, cast

from ..context.messages.request_outline import Kept, MissingResult, Note, Pages, Piece
from ..errors import InvalidTurn, MissingExtra, TurnNotFound, UnknownToolCall
from ..memory.optical_memory import OpticalMemory
from ..stores.base import Store
from ..text.surrogates import sendable, sendable_text
from ..turns.from_messages import turn_of
from ..turns.turn import OtherContent, ReasoningContent, TextContent, ToolCall, Turn
from ..worker_threads import in_thread
from .conversation_states import Conversations, digest, readable
from .settings import AdapterSettings

try:
    from agents import SessionSettings, TResponseInputItem
    from agents.models import get_default_model
    from agents.models.fake_id import FAKE_RESPONSES_ID
    from agents.run_config import CallModelData, ModelInputData
except ImportError as exc:
    raise MissingExtra("the adapter for OpenAI's Agents SDK", "openai-agents") from exc

__all__ = ["OpticalSession", "optical_filter"]

Item = Mapping[str, Any]
Group = tuple[Item, ...]  # the items of one model response, or any other item alone

RAW = "openai_item"  # key of the original item in a turn's metadata
CARRIERS = ("compaction", "additional_tools", "configuration_update")  # later items depend on them, and pages cannot show them
ARGUMENTS = ("arguments", "input", "actions", "action", "operation", "code")
TRACKER = "server_conversation_tracker"  # of the SDK's runs, 0.21 to 0.24: what the server has; None if it keeps nothing
ANSWERED_BY_TEXT = ("function_call", "custom_tool_call")  # calls whose result may be a sentence


# -- the filter ------------------------------------------------------------------------------------------------------------------------


def optical_filter(*, detail: str | None = None, **settings: Any) -> Callable[[CallModelData[Any]], Awaitable[ModelInputData]]:
    """Make a `call_model_input_filter` for `RunConfig` that replaces the past with pages. The SDK's own items do not change.

    If OpenAI keeps the conversation (`conversation_id`, `previous_response_id`), requests are sent unchanged, the first one too, whose
    history OpenAI will keep.

    Args:
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at.
        settings: the fields of `AdapterSettings`. Pass `reader` if `RunConfig.model` replaces the agent's model: the filter is not told.
    """
    return _Filter(AdapterSettings(**settings), detail)


class _Filter:
    def __init__(self, settings: AdapterSettings, detail: str | None) -> None:
        self._conversations = Conversations[Group](settings, key=digest, turn=_turn)
        self._detail = detail

    async def __call__(self, data: CallModelData[Any]) -> ModelInputData:
        items = cast("list[Item]", data.model_data.input)
        start = max((place for place, item in enumerate(items, 1) if item.get("type") in CARRIERS), default=0)
        groups = list(_groups(items[start:]))
        if _is_kept_by_server() or _is_delta(groups):
            return data.model_data
        # Pages are drawn in another thread, so as not to block the event loop.
        shown = await in_thread(
            self._conversations.show, groups, _model_of(data.agent), lambda pieces: list(_items(pieces, groups, self._detail))
        )
        if shown is None:
            return data.model_data
        return ModelInputData(input=cast("list[TResponseInputItem]", [*items[:start], *shown]), instructions=data.model_data.instructions)


def _model_of(agent: Any) -> str:
    """Return the name of an agent's model, which may be an object or missing."""
    model = getattr(agent, "model", None)
    return model if isinstance(model, str) else getattr(model, "model", None) or get_default_model()


def _is_kept_by_server() -> bool:
    """Whether the server keeps the conversation of the run that waits for this filter.

    The SDK tells a filter nothing of it, and the first request of such a conversation looks like any other. So the run's own variable is
    looked up in the frames that wait; where a release has none of that name, only requests of new items are known (`_is_delta`).
    """
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if TRACKER in frame.f_code.co_varnames:
            return frame.f_locals.get(TRACKER) is not None
        frame = frame.f_back
    return False


def _is_delta(groups: Sequence[Group]) -> bool:
    """Whether the rest of the conversation is on OpenAI's server: no model output is here, or a result's call is missing."""
    calls = {_call_id(item) for group in groups for item in group if not _is_result(item)}
    strays = any(_is_result(group[0]) and _call_id(group[0]) not in calls for group in groups)
    references = any(item.get("type") == "item_reference" for group in groups for item in group)
    return strays or references or not any(_role(group[0]) == "assistant" for group in groups)


def _groups(items: Iterable[Item]) -> Iterator[Group]:
    """Group items that must stay together: reasoning, and the messages and calls after it."""
    said: list[Item] = []
    for item in items:
        spoken = _role(item) == "assistant"
        call = _call_id(item) if said else None
        again = call is not None and any(_call_id(other) == call for other in said)  # the first one has no answer
        if said and (again or not spoken):
            yield tuple(said)
            said = []
        if spoken:
            said.append(item)
        else:
            yield (item,)
    if said:
        yield tuple(said)


def _role(item: Item) -> str:
    if _is_result(item):
        return "tool"
    return str(item.get("role") or "assistant")


def _is_result(item: Item) -> bool:
    return str(item.get("type", "")).endswith(("_output", "_response")) and _call_id(item) is not None


def _call_id(item: Item) -> str | None:
    """Return the id that a call and its result share."""
    kind = item.get("type")
    shared = item.get("call_id") or item.get("approval_request_id")
    return shared or (item.get("id") if kind in ("local_shell_call_output", "mcp_approval_request") else None)


def _items(pieces: Iterable[Piece], groups: Sequence[Group], detail: str | None) -> Iterator[Item]:
    """Yield input items for `pieces`; kept ones are the original objects, except those that no client could send."""
    for piece in pieces:
        match piece:
            case Kept(number, stale, ids):
                kept = groups[number - 1]
                yield from (sendable(item) for item in (_with_ids(kept, ids) if ids else kept) if not (stale and _is_bound(item)))
            case Pages(pages, framing):
                content: list[Item] = [{"type": "input_text", "text": framing}] if framing else []
                for page in pages:
                    url = "data:image/png;base64," + base64.b64encode(page.image()).decode("ascii")
                    content.append({"type": "input_text", "text": sendable_text(page.text)})
                    content.append({"type": "input_image", "image_url": url, "detail": page.detail(detail)})
                yield {"role": "user", "content": content}
            case Note(_, text):
                yield {"role": "user", "content": sendable_text(text)}
            case MissingResult(number, call_id, text, own_id):
                call = next(item for item in groups[number - 1] if _call_id(item) == (own_id or call_id))
                if call["type"] in ANSWERED_BY_TEXT:
                    yield {"type": f"{call['type']}_output", "call_id": call_id, "output": text}


def _with_ids(group: Group, ids: Sequence[str]) -> Group:
    """Return copies of the calls, or the result, of a group with other ids."""
    left = iter(ids)
    return tuple({**item, "call_id": next(left, item["call_id"])} if item.get("call_id") else item for item in group)


def _is_bound(item: Item) -> bool:
    """Whether an item is another provider's reasoning, signed together with the items before it.

    OpenAI's own is not signed so, and its API rejects the calls after it without it.
    """
    return item.get("type") == "reasoning" and (item.get("id") == FAKE_RESPONSES_ID or "provider_data" in item)


# -- items as turns --------------------------------------------------------------------------------------------------------------------


def _turn(group: Sequence[Item]) -> Turn:
    """Convert a group to a turn."""
    first = group[0]
    role = _role(first)
    if role == "tool":
        return turn_of({"role": "tool", "tool_call_id": _call_id(first), "content": _result(first), **_failure(first)})
    if role != "assistant":
        return turn_of({"role": role, "content": readable(first.get("content"))})
    calls = [_call(item) for item in group if _call_id(item)]
    said = [block for item in group if not _call_id(item) for block in _said(item)]
    return turn_of({"role": "assistant", "content": said, "tool_calls": calls})


def _said(item: Item) -> Sequence[Any]:
    """Return the content of an assistant's item that is not a call; for tools that ran at the provider, their name."""
    kind = item.get("type", "message")
    if kind == "reasoning":
        return [ReasoningContent(block=dict(item))]
    if kind == "image_generation_call" and isinstance(item.get("result"), str):  # the picture itself
        return [{"type": "image", "mime_type": "image/png", "base64": item["result"]}]
    if kind != "message":
        return [OtherContent(block=dict(item))]
    content = readable(item.get("content"))
    return [TextContent(text=content)] if isinstance(content, str) else content


def _call(item: Item) -> ToolCall:
    arguments: Any = next((item[key] for key in ARGUMENTS if item.get(key) is not None), {})
    name = str(item.get("name") or item.get("type"))
    return ToolCall(id=str(_call_id(item)), name=name, arguments=arguments if isinstance(arguments, str) else _json(arguments))


def _result(item: Item) -> Any:
    output = item.get("output", item.get("result"))
    if output is None:
        return _json({key: item[key] for key in ("approve", "reason", "status", "tools") if key in item})
    if isinstance(output, Mapping) and (output.get("image_url") or output.get("file_id")):  # a computer's screenshot
        output = [{**{key: output[key] for key in ("image_url", "file_id") if output.get(key)}, "type": "input_image"}]
    if isinstance(output, str) or (isinstance(output, Sequence) and all("type" in block for block in output)):
        return readable(output)
    return _json(output)  # what a shell wrote


def _failure(item: Item) -> dict[str, Any]:
    """Return the fields that say that a call failed: an error, or a command's exit code."""
    output = item.get("output")
    outcomes = [part.get("outcome") for part in output if isinstance(part, Mapping)] if isinstance(output, list) else []
    exits = [outcome.get("exit_code") for outcome in outcomes if isinstance(outcome, Mapping)]
    failed = item.get("status") in ("failed", "incomplete") or bool(item.get("error")) or item.get("approve") is False or any(exits)
    return {"status": "error"} if failed else {}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


# -- the session -----------------------------------------------------------------------------------------------------------------------


class OpticalSession:
    """A `Session` of the SDK on a turn log; returns every item exactly as it was added.

    Args:
        session: the session's name, or an `OpticalMemory` to share its log.
        store, tenant: as of `OpticalMemory`, if `session` is a name.
        session_settings: the SDK's; `limit` is the most items that a run reads.

    `memory` is the log as an `OpticalMemory`, with search, erasure and recall. Turns appended otherwise come as plain messages.
    """

    def __init__(
        self,
        session: str | OpticalMemory,
        *,
        store: str | Store | None = None,
        tenant: str | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self.memory = session if isinstance(session, OpticalMemory) else OpticalMemory(session, store=store, tenant=tenant)
        self.session_id = self.memory.session.name
        self.session_settings: SessionSettings | None = session_settings or SessionSettings()
        self._lock = threading.Lock()

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the newest `limit` items, oldest first; all by default."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        turns = await in_thread(self._newest, limit)
        return [_item_of(turn) for turn in turns]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items atomically."""
        await in_thread(self._add, [_turn_of_item(cast("Item", item)) for item in items])

    async def pop_item(self) -> TResponseInputItem | None:
        """Erase and return the newest item; None if the session is empty."""
        return await in_thread(self._pop)

    async def clear_session(self) -> None:
        """Erase the session and its pages."""
        await self.memory.aerase()

    def _newest(self, limit: int | None) -> list[Turn]:
        if limit is None:
            return self.memory.turns()
        start, turns = len(self.memory) + 1, list[Turn]()
        while start > 1 and len(turns) < limit:  # erased turns leave gaps, so read more
            stop, start = start, max(1, start - 2 * (limit - len(turns)))
            turns = self.memory.turns(start, stop) + turns
        return turns[-limit:] if limit > 0 else []

    def _add(self, turns: Sequence[Turn]) -> None:
        try:
            self.memory.extend(turns)
        except UnknownToolCall:  # the call was popped before: store its result as a user's message
            made = {call.id for turn in (*self.memory.turns(), *turns) for call in turn.tool_calls}
            self.memory.extend([turn if made.issuperset(turn.answered_calls) else _stray(turn) for turn in turns])

    def _pop(self) -> TResponseInputItem | None:
        with self._lock:
            while newest := self._newest(1):
                try:
                    if self.memory.erase(newest[0].number).turns:
                        return _item_of(newest[0])
                except TurnNotFound:  # another process took it
                    continue
        return None


def _turn_of_item(item: Item) -> Turn:
    raw = json.loads(json.dumps(item))  # its JSON form; also a copy, since the caller may change the item
    try:
        turn = _turn([raw])
    except InvalidTurn:
        turn = Turn(role="user", content=f"[{raw.get('type', 'item')}]")
    return turn.model_copy(update={"metadata": {RAW: raw}})


def _stray(result: Turn) -> Turn:
    return result.model_copy(update={"role": "user", "tool_call_id": None})


def _item_of(turn: Turn) -> TResponseInputItem:
    if RAW in turn.metadata:
        return cast("TResponseInputItem", turn.metadata[RAW])
    return {"role": "user" if turn.role == "tool" else turn.role, "content": turn.text}

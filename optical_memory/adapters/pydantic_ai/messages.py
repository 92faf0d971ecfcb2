"""Convert Pydantic AI's messages to turns, and pages to messages.

A request of the framework may hold several speakers: system, user, tool results. Each is a turn of its own, so that a result can move to a
page with its call while the question beside it stays text. A message sent whole is the caller's own object.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from ...context.context import PagePart
from ...context.messages.request_outline import Kept, MissingResult, Note, Pages, Piece
from ...errors import MissingExtra
from ...text.surrogates import sendable
from ...turns.from_messages import turn_of
from ...turns.turn import Turn
from ..conversation_states import readable

try:
    from pydantic_ai.messages import BinaryContent, ModelMessage, ModelRequest, ModelResponse, ToolReturnPart, UserContent, UserPromptPart
except ImportError as exc:
    raise MissingExtra("the adapter for Pydantic AI", "pydantic-ai") from exc

__all__ = ["PageDialect", "Said", "key_of", "render", "said_in", "turn_of_said"]

Block = dict[str, Any]

# The speaker of each kind of part. Other kinds apply from there on (instructions, tools revealed), so they are not turns. The framework's
# feedback is not the user's, so it does not begin an exchange.
ROLES = {
    "system-prompt": "system",
    "user-prompt": "user",
    "speech": "user",
    "compaction": "user",
    "tool-return": "tool",
    "retry-prompt": "tool",
    "retry-feedback": "developer",
}
REVEALING = ("tool-search", "capability-load")  # kinds of tools whose results the framework reads again in every request
UNBOUND = ("openai", "azure", "google")  # providers whose reasoning is not bound to what is before it


@dataclass(frozen=True, slots=True)
class PageDialect:
    """What a provider is asked with a page's picture: Google's models for a `media_resolution`, others for OpenAI's `detail`.

    Models that know neither ignore it, but GoogleModel takes any other key for a setting of videos, and fails.
    """

    google: bool = False
    detail: str | None = None

    @classmethod
    def of(cls, system: str, detail: str | None) -> PageDialect:
        """Return the dialect of a provider, by Pydantic AI's name of it: `openai`, `google`, `google-vertex`, ..."""
        return cls(google=system.startswith("google"), detail=detail)

    def asked(self, page: PagePart) -> dict[str, Any] | None:
        """Return the `vendor_metadata` of a page's picture; None to ask for nothing."""
        if not self.google:
            return {"detail": page.detail(self.detail)}
        asked = page.rung.part_resolution
        return {"media_resolution": {"level": asked}} if asked else None


@dataclass(frozen=True, slots=True)
class Said:
    """One speaker's part of the message at `place`: the part at `index` of a request, or a whole response."""

    place: int
    index: int
    message: ModelMessage

    @property
    def part(self) -> Any:
        """The part of a request; None for a response."""
        return None if isinstance(self.message, ModelResponse) else self.message.parts[self.index]


def said_in(messages: Sequence[ModelMessage]) -> list[Said]:
    """List the parts of `messages` that become turns: all but the system prompt, and parts that the framework itself reads."""
    found: list[Said] = []
    for place, message in enumerate(messages):
        if isinstance(message, ModelResponse):
            found.append(Said(place, 0, message))
        else:
            start = _opening(place, message)
            found += [Said(place, index, message) for index in range(start, len(message.parts)) if not _stands(message.parts[index])]
    return found


def _opening(place: int, message: ModelMessage) -> int:
    """Count the system prompts that the conversation begins with."""
    return sum(1 for _ in takewhile(lambda part: part.part_kind == "system-prompt", message.parts)) if place == 0 else 0


def _stands(part: Any) -> bool:
    """Whether a part applies from there on, or to this request only, even if its neighbours move to a page."""
    if part.part_kind == "system-prompt":
        return bool(getattr(part, "context_id", None)) or getattr(part, "scope", "conversation") == "request"
    return part.part_kind not in ROLES


def _parts(message: ModelMessage) -> Sequence[Any]:
    """Return the parts of a message, of any kind in the installed release."""
    return message.parts


# -- messages to turns -------------------------------------------------------------------------------------------------------------------


def key_of(said: Said) -> Hashable:
    """Return a hashable key that determines a turn. Texts are not copied."""
    if isinstance(said.message, ModelRequest):
        return _key(said.message.parts[said.index])
    return ("response", *[_key(part) for part in said.message.parts])


def _key(part: Any) -> Hashable:
    kind = part.part_kind
    if kind in ("tool-call", "builtin-tool-call"):
        return kind, part.tool_name, part.tool_call_id, part.args if isinstance(part.args, str) else repr(part.args)
    content: Any = getattr(part, "content", None)
    if kind in ("tool-return", "builtin-tool-return"):
        said = content if isinstance(content, str) else (part.model_response_str(), *map(_item_key, part.files))
        return kind, part.tool_name, part.tool_call_id, getattr(part, "outcome", ""), said
    if kind == "user-prompt" and not isinstance(content, str):
        return (kind, *map(_item_key, content))
    if kind == "file":
        return kind, _item_key(content)
    return kind, content if isinstance(content, str) and kind != "retry-prompt" else repr(part)


def _item_key(item: Any) -> Hashable:
    if isinstance(item, str):
        return item
    if isinstance(item, BinaryContent):
        return item.media_type, item.data
    return item.kind, getattr(item, "content", None) or getattr(item, "url", None) or getattr(item, "file_id", "")


def turn_of_said(said: Said) -> Turn:
    """Convert `said` to a turn."""
    part = said.part
    if part is None:
        parts = _parts(said.message)
        calls = [_call(part) for part in parts if part.part_kind == "tool-call"]
        return turn_of({"role": "assistant", "content": _plain(block for part in parts for block in _response(part)), "tool_calls": calls})
    role = ROLES[part.part_kind]
    if part.part_kind == "retry-prompt" and part.tool_name is None:
        role = "developer"
    answered = {"tool_call_id": part.tool_call_id, "name": part.tool_name} if role == "tool" else {}
    failed = part.part_kind == "retry-prompt" or getattr(part, "outcome", "success") in ("failed", "denied")
    answered |= {"status": "error"} if role == "tool" and failed else {}
    return turn_of({"role": role, "content": _plain(_request(part)), **answered})


def _call(part: Any) -> dict[str, Any]:
    return {"id": part.tool_call_id, "name": part.tool_name, "args": {} if part.args is None else part.args}


def _request(part: Any) -> Iterator[Block]:
    """Yield the blocks of a part of a request."""
    kind = part.part_kind
    if kind == "tool-return":
        yield _text(part.model_response_str())
        yield from map(_block, part.files)
    elif kind == "user-prompt":
        items = [part.content] if isinstance(part.content, str) else part.content
        yield from (_block(item) for item in items if getattr(item, "kind", "") != "cache-point")
    elif kind == "speech":
        yield _text(part.transcript or "[audio]")
    elif kind in ("retry-prompt", "retry-feedback"):
        yield _text(part.model_response())
    else:
        yield _text(part.content or f"[{kind}]")


def _response(part: Any) -> Iterator[Block]:
    """Yield the blocks of a part of a response that is no tool call."""
    kind = part.part_kind
    if kind == "builtin-tool-call":
        yield _text(f"[{part.tool_name}({part.args_as_json_str()})]")
    elif kind == "builtin-tool-return":
        yield _text(f"[{part.tool_name}: {part.model_response_str()}]")
    elif kind == "thinking":
        yield {"type": "thinking", "thinking": part.content or "", **({"signature": part.signature} if part.signature else {})}
    elif kind == "file":
        yield _block(part.content)
    elif kind == "speech":
        yield _text(part.transcript or "[audio]")
    elif kind != "tool-call":
        yield _text(getattr(part, "content", None) or f"[{kind}]")


def _block(item: Any) -> Block:
    """Convert an item of a user's content to a block."""
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, BinaryContent):
        data = base64.b64encode(item.data).decode("ascii")
        if not item.is_image:
            return {"type": "file", "media_type": item.media_type, "data": data}
        return {"type": "image", "source": {"type": "base64", "media_type": item.media_type, "data": data}}
    if item.kind == "image-url":
        return {"type": "image_url", "image_url": {"url": item.url}}
    said, url = getattr(item, "content", None), getattr(item, "url", None)
    if isinstance(said, str):
        return _text(said)
    return {"type": "file", "media_type": _media_type(item), **({"url": url} if url else {"file_id": getattr(item, "file_id", "")})}


def _media_type(item: Any) -> str:
    try:
        return str(getattr(item, "media_type", ""))
    except ValueError:  # a URL whose ending says nothing
        return ""


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _plain(blocks: Iterable[Block]) -> str | list[Mapping[str, Any]]:
    """Return blocks as the content of a turn; a single text as a string."""
    known = [*blocks]
    return known[0]["text"] if len(known) == 1 and known[0]["type"] == "text" else readable(known)


# -- what is sent ------------------------------------------------------------------------------------------------------------------------


def render(pieces: Iterable[Piece], said: Sequence[Said], messages: Sequence[ModelMessage], dialect: PageDialect) -> list[ModelMessage]:
    """Return the messages to send for `pieces`, which number `said`.

    Parts that only the framework reads, or that still apply, come right after the pages if their message has moved to one.
    """
    order = list(pieces)
    shown = {said[piece.number - 1].place for piece in order if isinstance(piece, Kept)}
    gone_to = max((one.place for one in said if one.place not in shown), default=-1)
    after = max((at for at, piece in enumerate(order, 1) if isinstance(piece, Pages)), default=0)
    sending = _Sending(messages)
    if messages:
        sending.add(0, range(_opening(0, messages[0])))
    for piece in order[:after]:
        sending.piece(piece, said, dialect)
    for place, index in _holding(messages, [place for place in range(gone_to + 1) if place not in shown]):
        sending.add(place, [index])
    silent = deque(sorted(set(range(gone_to + 1, len(messages))) - {one.place for one in said}))
    for piece in order[after:]:
        while silent and isinstance(piece, Kept) and silent[0] < said[piece.number - 1].place:
            sending.whole(silent.popleft())
        sending.piece(piece, said, dialect)
    for place in silent:
        sending.whole(place)
    return sending.messages()


def _holding(messages: Sequence[ModelMessage], gone: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (place, part index) of parts that still apply, of messages that moved to pages."""
    found = [
        (place, index, part)
        for place in gone
        for index, part in enumerate(_parts(messages[place]))
        if index >= _opening(place, messages[place]) and _holds(messages[place], part)
    ]
    newest = {context: at for at, (_, _, part) in enumerate(found) if (context := getattr(part, "context_id", None))}
    for at, (place, index, part) in enumerate(found):
        if newest.get(getattr(part, "context_id", None), at) == at:  # a newer prompt replaces earlier ones of its context
            yield place, index


def _holds(message: ModelMessage, part: Any) -> bool:
    if getattr(part, "tool_kind", None) in REVEALING:
        return True
    return isinstance(message, ModelRequest) and _stands(part) and getattr(part, "scope", "conversation") != "request"


@dataclass(slots=True)
class _Some:
    """Some parts of the original at `place`, by index."""

    place: int
    indices: set[int]
    stale: bool


class _Sending:
    """Collects the messages to send: parts of originals, merged again if adjacent, and new messages."""

    def __init__(self, originals: Sequence[ModelMessage]) -> None:
        self._originals = originals
        self._out: list[ModelMessage | _Some] = []
        self._stood: set[int] = set()
        self._ids: dict[tuple[int, int], str] = {}  # by place and index of a part: the id to send instead of its own

    def add(self, place: int, indices: Iterable[int], *, stale: bool = False) -> None:
        """Add parts of an original."""
        last = self._out[-1] if self._out else None
        if isinstance(last, _Some) and last.place == place:
            last.indices.update(indices)
        elif chosen := set(indices):
            self._out.append(_Some(place, chosen, stale))

    def whole(self, place: int) -> None:
        """Add an original as it is."""
        self._out.append(self._originals[place])

    def piece(self, piece: Piece, said: Sequence[Said], dialect: PageDialect) -> None:
        """Add the content of a piece."""
        match piece:
            case Kept(number, stale, ids):
                self._keep(said[number - 1], stale, ids)
            case Pages():
                self._out.append(ModelRequest(parts=[UserPromptPart([*_pages(piece, dialect)])]))
            case Note(_, text):
                self._out.append(ModelRequest(parts=[UserPromptPart(text)]))
            case MissingResult(number, call_id, text, own_id):
                calls = (part for part in _parts(said[number - 1].message) if part.part_kind == "tool-call")
                name = next(call.tool_name for call in calls if call.tool_call_id == (own_id or call_id))
                self._out.append(ModelRequest(parts=[ToolReturnPart(tool_name=name, content=text, tool_call_id=call_id)]))

    def _keep(self, one: Said, stale: bool, ids: Sequence[str]) -> None:
        parts = _parts(one.message)
        if ids:
            calls = [index for index, part in enumerate(parts) if part.part_kind == "tool-call"] if one.part is None else [one.index]
            self._ids |= {(one.place, index): new for index, new in zip(calls, ids, strict=True)}
        if isinstance(one.message, ModelResponse):
            self.add(one.place, range(len(parts)), stale=stale)
            return
        self.add(one.place, [one.index])
        if one.place not in self._stood:
            self._stood.add(one.place)
            self.add(one.place, [index for index in range(_opening(one.place, one.message), len(parts)) if _stands(parts[index])])

    def messages(self) -> list[ModelMessage]:
        """Return what was added, in order."""
        built = [self._built(one) if isinstance(one, _Some) else one for one in self._out]
        return sendable([message for message in built if message is not None])

    def _built(self, some: _Some) -> ModelMessage | None:
        message = self._originals[some.place]
        parts = [self._part(some.place, index) for index in sorted(some.indices)]
        if some.stale:
            parts = [part for part in parts if not _is_bound(part)]
        if len(parts) == len(message.parts) and all(part is own for part, own in zip(parts, message.parts, strict=True)):
            return message
        return replace(message, parts=parts) if parts else None  # type: ignore[arg-type]  # the same type of parts

    def _part(self, place: int, index: int) -> Any:
        part, new = _parts(self._originals[place])[index], self._ids.get((place, index))
        return replace(part, tool_call_id=new) if new else part


def _pages(group: Pages, dialect: PageDialect) -> Iterator[UserContent]:
    if group.framing:
        yield group.framing
    for page in group.pages:
        yield page.text
        yield BinaryContent(page.image(), media_type="image/png", vendor_metadata=dialect.asked(page))


def _is_bound(part: Any) -> bool:
    """Whether a part is reasoning that its provider rejects after the messages before it have changed."""
    return part.part_kind == "thinking" and not str(part.provider_name or "").startswith(UNBOUND)

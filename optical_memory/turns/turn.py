"""A turn: one message of a conversation, as it is stored.

Content is stored word for word. Other fields of a provider's message are stored in `Turn.extra` and in the extra fields of parts and calls,
so that a recent turn is sent back to its model unchanged.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from .block_words import Opaque, beside_content, opaque_in, words_of

__all__ = [
    "IMPORTED",
    "UNDATED",
    "CallPlace",
    "Content",
    "DocumentContent",
    "DocumentHeading",
    "DocumentPage",
    "ImageContent",
    "OtherContent",
    "ReasoningContent",
    "Role",
    "TextContent",
    "ToolCall",
    "ToolResultContent",
    "Turn",
    "is_failure",
    "part_text",
]

IMPORTED = "import"  # key in the metadata of an imported turn
UNDATED = "undated"  # in it: the file does not say when it was said
Role = Literal["system", "developer", "user", "assistant", "tool"]


class _Part(BaseModel):
    """One block of a message's content list. Unknown fields (`cache_control`, `citations`, ...) are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)


class TextContent(_Part):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class ImageContent(_Part):
    """An image: its bytes as base64, or a URL. URLs are never fetched; a page shows them as text."""

    type: Literal["image"] = "image"
    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""

    @field_validator("data")
    @classmethod
    def _is_base64(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise ValueError(f"picture data of {len(value)} characters is not base64") from exc
        return value

    def decode(self) -> bytes:
        """Return the image's bytes; empty for a URL."""
        return base64.b64decode(self.data)


class ReasoningContent(_Part):
    """A provider's thinking block, stored unchanged. Its words are drawn, searched and counted; encrypted ones are counted only."""

    type: Literal["reasoning"] = "reasoning"
    block: dict[str, JsonValue]

    @property
    def text(self) -> str:
        """The words of the block; empty if they are encrypted."""
        return words_of({"type": "reasoning", **self.block})


class OtherContent(_Part):
    """A block of another kind, stored unchanged: a document, a search result, a tool that ran at the provider, a sound, a tool's JSON."""

    type: Literal["other"] = "other"
    block: dict[str, JsonValue]

    @property
    def text(self) -> str:
        """The words of the block."""
        return words_of(self.block)


class DocumentPage(BaseModel):
    """A page of an attached document, as its log has it.

    Attributes:
        text: its text layer, with what its forms hold; empty for a scan.
        is_cut: whether there was more text than one page may have.
        width, height: in points (1/72 inch), as it is shown.
        letters: characters of the text layer that are seen.
        letter: median height of their line boxes in points; 0 without a text layer.
        images: share of the page that images cover, 0 to 1.
        shapes: lines and shapes drawn on it.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    text: str = ""
    is_cut: bool = False
    width: float = 0.0
    height: float = 0.0
    letters: int = 0
    letter: float = 0.0
    images: float = 0.0
    shapes: int = 0


class DocumentHeading(BaseModel):
    """An entry of a document's outline: `level` from 0, and its page from 1; 0 if it leads to none."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    level: int
    title: str
    page: int


class DocumentContent(OtherContent):
    """A document whose pages are pages of the memory: the file, unchanged, and what was measured of it when it came in.

    Attributes:
        block: the file, as the block of a provider that it came in, or as OpenAI's; see `attached.file_of`. Without it if the file was
            withheld, because its text held secrets.
        name: the file's name.
        title: of its metadata.
        sha256: of the file, in hexadecimal digits.
        password: opens it, if it is encrypted: pages are drawn long after it came in.
        native: whether it is sent as `block`, as it came, as long as its turn is text; else as its text, with pictures of the pages whose
            text says less than the page.
        pages: its pages, in order.
        outline: its headings.
        first: number of the first of `pages`.
        of: pages of the whole document, where `pages` are some of them; 0 where they are all.
    """

    type: Literal["attached_document"] = "attached_document"  # type: ignore[assignment]  # parts are told apart by it
    name: str = ""
    title: str = ""
    sha256: str = ""
    password: str = ""
    native: bool = False
    pages: tuple[DocumentPage, ...] = ()
    outline: tuple[DocumentHeading, ...] = ()
    first: int = 1
    of: int = 0

    @property
    def text(self) -> str:
        """Name and title, and the text of each page under a mark with its number: `[p. 7]`. Of some of the pages, their text alone."""
        if self.of:
            return "\n".join(page.text for page in self.pages)
        head = f"[{self.name}: {self.title}]" if self.title else f"[{self.name}]"
        return "\n".join([head, *(f"[p. {number}]\n{page.text}".rstrip() for number, page in enumerate(self.pages, self.first))])


class CallPlace(_Part):
    """Where in the content a call was made: `place` in `Turn.tool_calls`, from 0. Only in turns whose calls do not all come last."""

    type: Literal["call"] = "call"
    place: int


class ToolResultContent(_Part):
    """A tool result inside a message's content list (Anthropic's shape)."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    content: str | tuple[Annotated[TextContent | ImageContent | OtherContent, Field(discriminator="type")], ...] = ""
    is_error: bool = False

    @property
    def text(self) -> str:
        """The words of the result."""
        return self.content if isinstance(self.content, str) else "\n".join(part_text(part) for part in self.content)


AnyPart = TextContent | ImageContent | ToolResultContent | ReasoningContent | OtherContent | DocumentContent | CallPlace
Part = Annotated[AnyPart, Field(discriminator="type")]
Content = str | tuple[Part, ...]


class ToolCall(BaseModel):
    """A call of a tool. `arguments` is the model's own text, valid JSON or not."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    id: str
    name: str
    arguments: str = "{}"

    @property
    def parsed(self) -> dict[str, Any]:
        """The arguments as an object. None at all, or `null`, are no arguments; what is no object is the argument `arguments`."""
        text = self.arguments.strip()
        if text in ("", "null", "None"):
            return {}
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        return value if isinstance(value, dict) else {} if value == "" else {"arguments": self.arguments}


Drawn = TextContent | ImageContent | ToolResultContent | ReasoningContent | OtherContent | ToolCall


class Turn(BaseModel):
    """One message of the conversation.

    Attributes:
        number: place in its session, from 1; 0 until it is stored.
        id: unique in its session; appending the same id again changes nothing.
        role: system, developer, user, assistant or tool.
        content: text, or parts in order.
        name: the speaker's or tool's name, if the message had one.
        tool_calls: calls that an assistant made in this message.
        tool_call_id: id of the call that a tool message answers.
        created_at: time of the message, with a time zone; of appending, if the message has none.
        importance: 0 (demoted soonest) to 1 (demoted last); 0.5 is neutral.
        pinned: its page is never demoted below the reader's floor tier.
        metadata: your own JSON data; never sent to a model.
        extra: other fields of the original message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    v: Literal[1] = 1
    number: int = Field(default=0, ge=0)
    id: str = ""
    role: Role
    content: Content = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    created_at: datetime | None = None
    importance: float = Field(default=0.5, ge=0.0, le=1.0)
    pinned: bool = False
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)

    @property
    def parts(self) -> tuple[AnyPart, ...]:
        """Content as parts; a plain string is one text part, an empty one none."""
        if isinstance(self.content, str):
            return (TextContent(text=self.content),) if self.content else ()
        return self.content

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        """All that this turn says, in order: its parts and calls, and what stands in fields beside the content."""
        before = beside_content(self.extra)[0] if self.extra else []
        return (*(ReasoningContent(block=block) for block in self._unsaid(before)), *self._parts_and_calls(), *self.beside)

    @property
    def beside(self) -> tuple[OtherContent, ...]:
        """What the message says in fields beside its content, and not in it: a refusal, a transcript, sources. Not its reasoning."""
        after = beside_content(self.extra)[1] if self.extra else []
        return tuple(OtherContent(block=block) for block in self._unsaid(after))

    @property
    def text(self) -> str:
        """All text of this turn, joined by line feeds: texts, reasoning, tool calls as `name(arguments)`, tool results, other blocks."""
        if isinstance(self.content, str) and not self.tool_calls and not self.extra:
            return self.content
        return "\n".join(piece for part in self.drawn if (piece := part_text(part)))

    @property
    def images(self) -> tuple[ImageContent, ...]:
        """Images of this turn, including those inside tool results."""
        found: list[ImageContent] = []
        for part in self.parts:
            inner = part.content if isinstance(part, ToolResultContent) else (part,)
            found += [item for item in inner if isinstance(item, ImageContent)]
        return tuple(found)

    @property
    def documents(self) -> tuple[DocumentContent, ...]:
        """Documents of this turn whose pages are pages of the memory."""
        return () if isinstance(self.content, str) else tuple(part for part in self.content if isinstance(part, DocumentContent))

    @property
    def opaque(self) -> tuple[Opaque, ...]:
        """Files, sounds and encrypted data of this turn, which are sent but have no words."""
        before, after = beside_content(self.extra) if self.extra else ([], [])
        blocks: list[Mapping[str, Any]] = [*before, *after]
        for part in self.parts:
            inner = part.content if isinstance(part, ToolResultContent) else (part,)
            blocks += [item.block for item in inner if isinstance(item, ReasoningContent | OtherContent) and _is_sent(item)]
            blocks += [part.model_extra] if isinstance(part, TextContent) and part.model_extra else []
        blocks += [call.model_extra for call in self.tool_calls if call.model_extra]
        return tuple(data for block in blocks for data in opaque_in(block))

    @property
    def said_at(self) -> datetime | None:
        """When it was said; None for an imported turn whose file does not tell. `created_at` is then the time of the import."""
        note = self.metadata.get(IMPORTED)
        return None if isinstance(note, dict) and note.get(UNDATED) else self.created_at

    @property
    def failed(self) -> bool:
        """Whether this is the result of a tool call that failed."""
        return self.role == "tool" and is_failure(self.extra)

    @property
    def reports_failure(self) -> bool:
        """Whether a result in this turn, of whatever shape, is that of a call that failed."""
        return self.failed or any(isinstance(part, ToolResultContent) and part.is_error for part in self.parts)

    @property
    def answered_calls(self) -> tuple[str, ...]:
        """Ids of the calls of earlier turns whose results are in this turn."""
        if isinstance(self.content, str):
            return (self.tool_call_id,) if self.tool_call_id else ()
        own = [call.id for call in self.tool_calls]
        inline: list[str] = []
        for part in self.parts:
            if isinstance(part, ToolResultContent):
                (own.remove if part.tool_call_id in own else inline.append)(part.tool_call_id)
        return (self.tool_call_id, *inline) if self.tool_call_id else tuple(inline)

    @property
    def waiting_calls(self) -> tuple[str, ...]:
        """Ids of the calls that a later turn is to answer: all but those whose result is in this turn."""
        waiting = [call.id for call in self.tool_calls]
        for part in self.parts if waiting else ():
            if isinstance(part, ToolResultContent) and part.tool_call_id in waiting:
                waiting.remove(part.tool_call_id)
        return tuple(waiting)

    def _parts_and_calls(self) -> list[Drawn]:
        said: list[Drawn] = []
        placed: set[int] = set()
        for part in self.parts:
            if not isinstance(part, CallPlace):
                said.append(part)
            elif part.place < len(self.tool_calls):
                said.append(self.tool_calls[part.place])
                placed.add(part.place)
        return [*said, *(call for place, call in enumerate(self.tool_calls) if place not in placed)]

    def _unsaid(self, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return blocks with words that the content, or a block before them, does not say already."""
        said = [self.content] if isinstance(self.content, str) else [part.text for part in self.parts if isinstance(part, ReasoningContent)]
        kept: list[dict[str, Any]] = []
        for block in blocks:
            words = words_of({"type": "reasoning", **block})
            if words and not any(words in other for other in said):
                kept.append(block)
                said.append(words)
        return kept


def _is_sent(part: ReasoningContent | OtherContent) -> bool:
    """Whether a block is sent as it is while its turn is text."""
    return not isinstance(part, DocumentContent) or part.native


def is_failure(fields: Mapping[str, Any]) -> bool:
    """Whether the fields of a result say that its call failed."""
    named = str(fields.get("status") or fields.get("outcome") or "").lower() in ("error", "failed", "failure", "denied")
    return named or any(fields.get(key) is True for key in ("is_error", "isError", "error"))


def part_text(part: Drawn | CallPlace) -> str:
    """Return the words of a part or call; empty for an image."""
    if isinstance(part, ToolCall):
        return f"{part.name}({part.arguments})"
    return "" if isinstance(part, ImageContent | CallPlace) else part.text

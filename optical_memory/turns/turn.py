"""A turn: one message of a conversation, as it is stored and for ever kept.

Content is kept word for word. What a provider adds to a message beyond the fields named here lives on in `Turn.extra` and in the extra
fields of parts and calls, so that a recent turn goes back to its model exactly as it came.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

__all__ = [
    "Content",
    "ImageContent",
    "ReasoningContent",
    "Role",
    "TextContent",
    "ToolCall",
    "ToolResultContent",
    "Turn",
]

Role = Literal["system", "developer", "user", "assistant", "tool"]


class _Part(BaseModel):
    """One block of a message's content list. Unknown fields (`cache_control`, `citations`, ...) are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class TextContent(_Part):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class ImageContent(_Part):
    """A picture: its bytes as base64, or an address. An address is never fetched; a page shows it as text."""

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
            raise ValueError(f"picture data is not base64: {value[:32]!r}...") from exc
        return value

    def decode(self) -> bytes:
        """The picture's bytes; empty where only an address is known."""
        return base64.b64decode(self.data)


class ToolResultContent(_Part):
    """A tool's answer inside a message's content list (Anthropic's shape)."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    content: str | tuple[TextContent | ImageContent, ...] = ""
    is_error: bool = False


class ReasoningContent(_Part):
    """A provider's thinking block, kept as it came. It is never drawn, searched or counted."""

    type: Literal["reasoning"] = "reasoning"
    block: dict[str, JsonValue]


Part = Annotated[TextContent | ImageContent | ToolResultContent | ReasoningContent, Field(discriminator="type")]
Content = str | tuple[Part, ...]


class ToolCall(BaseModel):
    """A call of a tool. `arguments` is the model's own text, valid JSON or not."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str
    name: str
    arguments: str = "{}"


class Turn(BaseModel):
    """One message of the conversation.

    Attributes:
        number: place in its session, from 1; 0 until it is stored.
        id: unique in its session; appending the same id again changes nothing.
        role: system, developer, user, assistant or tool.
        content: text, or parts in order.
        name: the speaker's or tool's name, where the message had one.
        tool_calls: calls that an assistant made in this message.
        tool_call_id: the call that a tool message answers.
        created_at: when it was said, with a time zone; when it was appended, if the message did not say.
        importance: 0 (may fade sooner) to 1 (is held up longest); 0.5 is neutral.
        pinned: its page is never demoted below the reader's legible floor.
        metadata: anything JSON, yours; never shown to a model.
        extra: fields of the original message that have no name here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    def parts(self) -> tuple[TextContent | ImageContent | ToolResultContent | ReasoningContent, ...]:
        """The content as parts; a plain string is one text part, an empty one none."""
        if isinstance(self.content, str):
            return (TextContent(text=self.content),) if self.content else ()
        return self.content

    @property
    def text(self) -> str:
        """Everything in this turn that is words: texts, tool calls as `name(arguments)`, and tool results, a line feed between."""
        if isinstance(self.content, str) and not self.tool_calls:
            return self.content
        pieces = [_part_text(part) for part in self.parts]
        pieces += [f"{call.name}({call.arguments})" for call in self.tool_calls]
        return "\n".join(piece for piece in pieces if piece)

    @property
    def images(self) -> tuple[ImageContent, ...]:
        """The pictures of this turn, those inside tool results included."""
        found: list[ImageContent] = []
        for part in self.parts:
            inner = part.content if isinstance(part, ToolResultContent) else (part,)
            found += [item for item in inner if isinstance(item, ImageContent)]
        return tuple(found)

    @property
    def answered_calls(self) -> tuple[str, ...]:
        """Ids of the calls whose results this turn carries."""
        inline = tuple(part.tool_call_id for part in self.parts if isinstance(part, ToolResultContent))
        return (self.tool_call_id, *inline) if self.tool_call_id else inline


def _part_text(part: TextContent | ImageContent | ToolResultContent | ReasoningContent) -> str:
    if isinstance(part, TextContent):
        return part.text
    if isinstance(part, ToolResultContent):
        inner = part.content if isinstance(part.content, str) else "\n".join(_part_text(item) for item in part.content)
        return inner
    return ""

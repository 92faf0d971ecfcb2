"""A turn: one message of a conversation, as it is stored.

Content is stored word for word. Other fields of a provider's message are stored in `Turn.extra` and in the extra fields of parts and calls,
so that a recent turn is sent back to its model unchanged.
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


class ToolResultContent(_Part):
    """A tool result inside a message's content list (Anthropic's shape)."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    content: str | tuple[TextContent | ImageContent, ...] = ""
    is_error: bool = False


class ReasoningContent(_Part):
    """A provider's thinking block, stored unchanged. Never drawn, searched or counted."""

    type: Literal["reasoning"] = "reasoning"
    block: dict[str, JsonValue]


Part = Annotated[TextContent | ImageContent | ToolResultContent | ReasoningContent, Field(discriminator="type")]
Content = str | tuple[Part, ...]


class ToolCall(BaseModel):
    """A call of a tool. `arguments` is the model's own text, valid JSON or not."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

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
    def parts(self) -> tuple[TextContent | ImageContent | ToolResultContent | ReasoningContent, ...]:
        """Content as parts; a plain string is one text part, an empty one none."""
        if isinstance(self.content, str):
            return (TextContent(text=self.content),) if self.content else ()
        return self.content

    @property
    def text(self) -> str:
        """All text of this turn: texts, tool calls as `name(arguments)`, and tool results, joined by line feeds."""
        if isinstance(self.content, str) and not self.tool_calls:
            return self.content
        pieces = [_part_text(part) for part in self.parts]
        pieces += [f"{call.name}({call.arguments})" for call in self.tool_calls]
        return "\n".join(piece for piece in pieces if piece)

    @property
    def images(self) -> tuple[ImageContent, ...]:
        """Images of this turn, including those inside tool results."""
        found: list[ImageContent] = []
        for part in self.parts:
            inner = part.content if isinstance(part, ToolResultContent) else (part,)
            found += [item for item in inner if isinstance(item, ImageContent)]
        return tuple(found)

    @property
    def answered_calls(self) -> tuple[str, ...]:
        """Ids of the calls whose results are in this turn."""
        inline = tuple(part.tool_call_id for part in self.parts if isinstance(part, ToolResultContent))
        return (self.tool_call_id, *inline) if self.tool_call_id else inline


def _part_text(part: TextContent | ImageContent | ToolResultContent | ReasoningContent) -> str:
    if isinstance(part, TextContent):
        return part.text
    if isinstance(part, ToolResultContent):
        inner = part.content if isinstance(part.content, str) else "\n".join(_part_text(item) for item in part.content)
        return inner
    return ""

"""Convert chat messages to turns: the shapes of OpenAI (chat and responses), Anthropic, LangChain's plain dicts, and `(role, content)`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, get_args

from pydantic import ValidationError

from ..errors import InvalidTurn, UnsupportedContent
from ..text.excerpts import excerpt, said, shape
from .turn import Content, ImageContent, Part, ReasoningContent, Role, TextContent, ToolCall, ToolResultContent, Turn

__all__ = ["TurnLike", "turn_of"]

TurnLike = Turn | Mapping[str, Any] | tuple[str, Any]

_OWN_FIELDS = {"id", "role", "content", "name", "tool_calls", "tool_call_id", "created_at", "importance", "pinned", "metadata"}
_ROLE_ALIASES = {"human": "user", "ai": "assistant"}


def turn_of(message: TurnLike) -> Turn:
    """Convert a message to a turn. Raises `InvalidTurn` (a `ValueError`) or `TypeError`, with the invalid value."""
    if isinstance(message, Turn):
        return message
    if isinstance(message, tuple) and len(message) == 2:
        message = {"role": message[0], "content": message[1]}
    if not isinstance(message, Mapping):
        raise TypeError(f"cannot append {shape(message)}: pass a Turn, a chat message mapping, or (role, content)")
    try:
        return _from_mapping(message)
    except ValidationError as exc:
        problem = _problem(exc)
    raise InvalidTurn(problem)  # without its cause, which would quote what was said


def _problem(exc: ValidationError) -> str:
    first = exc.errors(include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    return f"{said(where, 100) or 'message'}: {said(first['msg'])} (got {shape(first['input'])})"


def _from_mapping(message: Mapping[str, Any]) -> Turn:
    role = _role(message.get("role"))
    content, inline_calls = _content(message.get("content"))
    calls = tuple(_call(call) for call in message.get("tool_calls") or ()) + inline_calls
    call_id = message.get("tool_call_id")
    if role == "tool" and not call_id and not any(isinstance(part, ToolResultContent) for part in content):
        raise InvalidTurn(f"a tool message needs the tool_call_id that it answers; got {shape(message)}")
    if calls and role != "assistant":
        raise InvalidTurn(f"only an assistant message can call tools; this one has role {excerpt(role)}")
    own = {key: message[key] for key in ("name", "importance", "pinned", "metadata") if message.get(key) is not None}
    return Turn(
        id=_id(message.get("id")),
        role=role,
        content=content,
        tool_calls=calls,
        tool_call_id=call_id,
        created_at=_time(message.get("created_at")),
        extra={key: value for key, value in message.items() if key not in _OWN_FIELDS},
        **own,
    )


def _role(value: object) -> Role:
    role = _ROLE_ALIASES.get(value, value) if isinstance(value, str) else value
    for known in get_args(Role):
        if role == known:
            return known  # type: ignore[no-any-return]
    raise InvalidTurn(f"unknown role {excerpt(value)}; known: {', '.join(get_args(Role))}")


def _id(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidTurn(f"a turn's id is a string; got {shape(value)}")
    return value


def _time(value: object) -> datetime | None:
    """Parse a datetime, seconds since 1970, or text: ISO 8601, e-mail dates, or a written-out date. Without a zone it is UTC."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else _parsed_time(value)
    if moment is None:
        raise InvalidTurn(f"created_at {excerpt(value)} is no time; pass a datetime, ISO 8601 text, or seconds since 1970")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_WRITTEN_DATES = ("%I:%M %p on %d %B, %Y", "%d %B %Y", "%d %B, %Y", "%B %d, %Y", "%d %B %Y %H:%M", "%Y/%m/%d %H:%M", "%Y/%m/%d")


def _parsed_time(value: object) -> datetime | None:
    attempts: list[Callable[[], datetime]] = []
    if isinstance(value, int | float) and not isinstance(value, bool):
        attempts = [lambda: datetime.fromtimestamp(value, UTC)]
    elif isinstance(value, str):
        attempts = [lambda: datetime.fromisoformat(value), lambda: parsedate_to_datetime(value)]
        attempts += [partial(datetime.strptime, value, form) for form in _WRITTEN_DATES]
    for attempt in attempts:
        with suppress(ValueError, TypeError, OverflowError, OSError):
            return attempt()
    return None


def _content(value: object) -> tuple[Content, tuple[ToolCall, ...]]:
    if value is None:
        return "", ()
    if isinstance(value, str):
        return value, ()
    if isinstance(value, bytes) or not isinstance(value, Sequence):
        raise UnsupportedContent(f"content must be text or a list of parts; got {shape(value)}")
    calls = tuple(_call(block) for block in value if _type(block) == "tool_use")
    return tuple(_part(block) for block in value if _type(block) != "tool_use"), calls


def _type(block: object) -> object:
    return block.get("type") if isinstance(block, Mapping) else None


def _part(block: Any) -> Part:
    if isinstance(block, str):
        return TextContent(text=block)
    if isinstance(block, TextContent | ImageContent | ToolResultContent | ReasoningContent):
        return block
    kind = _type(block)
    if kind == "tool_result":
        return _tool_result(block)
    if kind in ("thinking", "redacted_thinking", "reasoning"):
        return ReasoningContent(block=dict(block.get("block", block)))
    return _text_or_image(block)


def _text_or_image(block: Any) -> TextContent | ImageContent:
    kind = _type(block)
    if isinstance(block, str):
        return TextContent(text=block)
    if kind in ("text", "input_text", "output_text"):
        return TextContent(**_rest(block, "type"))
    if kind in ("image_url", "input_image"):
        return _openai_image(block)
    if kind == "image":
        return _anthropic_image(block)
    raise UnsupportedContent(
        f"content part {shape(block)} is neither text nor a picture. Known types: text, input_text, output_text, image_url, input_image, "
        "image, tool_use, tool_result, thinking. Turn other media into text first."
    )


def _openai_image(block: Mapping[str, Any]) -> ImageContent:
    inner = block.get("image_url")
    fields = dict(inner) if isinstance(inner, Mapping) else {"url": inner}
    detail = fields.pop("detail", None) or block.get("detail") or ""
    rest = _rest(block, "type", "image_url", "detail")
    return ImageContent.model_validate({**rest, **_picture_source(fields.pop("url", None)), "detail": detail})


def _anthropic_image(block: Mapping[str, Any]) -> ImageContent:
    source = block.get("source")
    if source is None:
        return ImageContent(**_rest(block, "type"))
    if not isinstance(source, Mapping) or source.get("type") not in ("base64", "url"):
        raise UnsupportedContent(f"picture source {shape(source)} is neither base64 nor a URL")
    rest = _rest(block, "type", "source")
    if source["type"] == "url":
        return ImageContent.model_validate({**rest, **_picture_source(source.get("url"))})
    return ImageContent.model_validate({**rest, "media_type": source.get("media_type", ""), "data": source.get("data", "")})


def _picture_source(url: object) -> dict[str, str]:
    if not isinstance(url, str) or not url:
        raise UnsupportedContent(f"a picture needs a URL; got {shape(url)}")
    if not url.startswith("data:"):
        return {"url": url}
    head, comma, data = url[5:].partition(",")
    media_type, *flags = head.split(";")
    if not comma or "base64" not in flags or not media_type.startswith("image/"):
        raise UnsupportedContent(f"data URL {excerpt(url.partition(',')[0], 48)} is no base64 picture")
    return {"media_type": media_type, "data": data}


def _tool_result(block: Mapping[str, Any]) -> ToolResultContent:
    inner = block.get("content", "")
    content = inner if isinstance(inner, str) else tuple(_text_or_image(item) for item in inner or ())
    return ToolResultContent(
        tool_call_id=block.get("tool_call_id") or block.get("tool_use_id") or "",
        content=content,
        is_error=bool(block.get("is_error", False)),
        **_rest(block, "type", "content", "tool_use_id", "tool_call_id", "is_error"),
    )


def _call(call: Any) -> ToolCall:
    """Parse a call in OpenAI's shape (`function`), Anthropic's (`input`), LangChain's (`args`), or ours."""
    if isinstance(call, ToolCall):
        return call
    if not isinstance(call, Mapping):
        raise InvalidTurn(f"a tool call is a mapping; got {shape(call)}")
    function = call.get("function")
    fields = dict(function) if isinstance(function, Mapping) else dict(call)
    arguments: Any = next((fields.pop(key) for key in ("arguments", "input", "args") if key in fields), {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    call_id, name = call.get("id"), fields.pop("name", None)
    if not isinstance(call_id, str) or not call_id or not isinstance(name, str):
        raise InvalidTurn(f"a tool call needs an id and a name; got {shape(call)}")
    return ToolCall(id=call_id, name=name, arguments=text, **_rest(call, "id", "type", "name", "function", "arguments", "input", "args"))


def _rest(block: Mapping[str, Any], *named: str) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in named}

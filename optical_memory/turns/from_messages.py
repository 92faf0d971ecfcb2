"""Convert chat messages to turns: the shapes of OpenAI (chat and responses), Anthropic, LangChain's plain dicts, user interfaces'
(AI SDK), Gemini's contents, and `(role, content)`. This is the one place where a message becomes a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, get_args

from pydantic import ValidationError

from ..errors import InvalidTurn
from ..text.excerpts import excerpt, said, shape
from .block_words import beside_content, words_of
from .content import call_of, content_of
from .turn import Role, ToolResultContent, Turn

__all__ = ["TurnLike", "turn_of"]

TurnLike = Turn | Mapping[str, Any] | tuple[str, Any]

_OWN_FIELDS = {"id", "role", "content", "name", "tool_calls", "tool_call_id", "created_at", "importance", "pinned", "metadata"}
_PLAIN_FIELDS = _OWN_FIELDS - {"tool_calls", "tool_call_id"}
_SPEAKERS = ("system", "developer", "user", "assistant")
_ROLE_ALIASES = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}
_TIMES = ("timestamp", "createdAt", "create_time", "created", "createTime", "sent_at", "sentAt", "date", "ts", "time")
EARLIEST = 100_000_000  # seconds since 1970 of the earliest time that a number under another name than `created_at` can mean: 1973
_UNSAID = {"model", "usage", "status", "stop_reason", "finish_reason", "parentId", "session_id", "conversation_id", "object"}


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
    if message.keys() <= _PLAIN_FIELDS and message.get("role") in _SPEAKERS and isinstance(message.get("content"), str):
        return _plain(message)
    role = _role(message)
    content_given, used = _said(message)
    own_calls = [call_of(call) for call in message.get("tool_calls") or ()]
    legacy = message.get("function_call")
    if isinstance(legacy, Mapping) and not own_calls:  # of 2023: a call without an id, answered by a message of role `function`
        own_calls = [call_of({"id": _legacy_id(legacy.get("name")), **legacy})]
        used = (*used, "function_call")
    content, calls = content_of(content_given, own_calls, role=role)
    call_id = message.get("tool_call_id")
    if role == "tool" and not call_id and message.get("role") == "function":
        call_id = _legacy_id(message.get("name"))
    if role == "tool" and not call_id and not any(isinstance(part, ToolResultContent) for part in content):
        raise InvalidTurn(f"a tool message needs the tool_call_id that it answers; got {shape(message)}")
    if calls and role != "assistant":
        raise InvalidTurn(f"only an assistant message can call tools; this one has role {excerpt(role)}")
    created_at, read = _created_at(message)
    extra = {key: value for key, value in message.items() if key not in _OWN_FIELDS and key not in used and key != read}
    if not content and not calls and "content" not in message:
        _refuse_silence(message, extra)
    own = {key: message[key] for key in ("name", "importance", "pinned", "metadata") if message.get(key) is not None}
    return Turn(
        id=_id(message.get("id")),
        role=role,
        content=content,
        tool_calls=calls,
        tool_call_id=call_id,
        created_at=created_at,
        extra=extra,
        **own,
    )


def _plain(message: Mapping[str, Any]) -> Turn:
    """A message that is text, as most of an export are: the same turn as the long way makes, which looks for what is not there."""
    fields = {key: value for key, value in message.items() if value is not None}
    if "created_at" in fields:
        fields["created_at"] = _time(fields["created_at"])
    elif moment := _created_at(message)[0]:
        fields["created_at"] = moment
    if "id" in fields:
        _id(fields["id"])
    return Turn(**fields)


def _said(message: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Return what a message says, and the keys beside `content` that it was read from: `parts`, and what the AI SDK 4 keeps apart."""
    content, parts = message.get("content"), message.get("parts")
    used: list[str] = []
    if isinstance(parts, Sequence) and not isinstance(parts, str | bytes) and parts:
        if not content or (isinstance(content, str) and content in "\n".join(words_of(part) for part in parts)):
            content = list(parts)
            used.append("parts")
        elif isinstance(content, str):
            content = [content, *(part for part in parts if not isinstance(part, str) and part.get("type") != "text")]
            used.append("parts")
    more: list[Any] = []
    for key, kind in (("toolInvocations", "tool-invocation"), ("experimental_attachments", "file")):
        items = message.get(key)
        if isinstance(items, list) and not used:
            more += [{"type": kind, "toolInvocation": item} if kind == "tool-invocation" else {"type": kind, **item} for item in items]
            used.append(key)
        elif isinstance(items, list) and key == "toolInvocations":
            used.append(key)  # the parts have them
    if more:
        content = [*([content] if isinstance(content, str) and content else content or []), *more]
    return content, tuple(used)


def _refuse_silence(message: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
    """Raise `InvalidTurn` for a message whose words, if it has any, stand under keys that are not known."""
    unread = {key for key, value in extra.items() if value and isinstance(value, str | list | Mapping)} - _UNSAID
    if unread and not any(beside_content(extra)):
        raise InvalidTurn(f"a message has no content but {shape({key: extra[key] for key in sorted(unread)})}; pass its words as `content`")


def _legacy_id(name: object) -> str:
    return f"function-{name}"


def _created_at(message: Mapping[str, Any]) -> tuple[datetime | None, str]:
    """Return the time of a message, and the key it was read from if that is another name of `created_at`. What is no time stays."""
    if message.get("created_at") is not None:
        return _time(message["created_at"]), ""
    metadata = message.get("metadata")
    for fields in (message, metadata if isinstance(metadata, Mapping) else {}):
        for key in _TIMES:
            moment = _parsed_time(_stamp(fields.get(key)))
            if moment is not None:
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC), key if fields is message else ""
    return None, ""


def _role(message: Mapping[str, Any]) -> Role:
    value = message.get("role")
    role = _ROLE_ALIASES.get(value, value) if isinstance(value, str) else value
    for known in get_args(Role):
        if role == known:
            return known  # type: ignore[no-any-return]
    of = "" if "role" in message else f" in {shape(message)}"
    raise InvalidTurn(f"unknown role {excerpt(value)}{of}; known: {', '.join(get_args(Role))}")


def _id(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidTurn(f"a turn's id is a string; got {shape(value)}")
    return value


def _stamp(value: object) -> object:
    """Return a time as an export writes it: text with a number of seconds as the number; None for numbers too small to be a time."""
    if isinstance(value, str) and value.replace(".", "", 1).isdigit() and len(value) > 8:
        value = float(value)
    return None if isinstance(value, int | float) and abs(value) < EARLIEST else value


def _time(value: object) -> datetime | None:
    """Parse a datetime, seconds since 1970, or text: ISO 8601, e-mail dates, or a written-out date. Without a zone it is UTC."""
    if value is None:
        return None
    moment = value if isinstance(value, datetime) else _parsed_time(value)
    if moment is None:
        raise InvalidTurn(f"created_at {excerpt(value)} is no time; pass a datetime, ISO 8601 text, or seconds since 1970")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_WRITTEN_DATES = ("%I:%M %p on %d %B, %Y", "%d %B %Y", "%d %B, %Y", "%B %d, %Y", "%d %B %Y %H:%M", "%Y/%m/%d %H:%M", "%Y/%m/%d")


def _unit(value: float) -> int:
    """Return how many of a number's units make a second: it may count milliseconds, microseconds or nanoseconds since 1970."""
    return next((10**power for power, most in ((0, 1e11), (3, 1e14), (6, 1e17)) if abs(value) < most), 10**9)


def _parsed_time(value: object) -> datetime | None:
    attempts: list[Callable[[], datetime]] = []
    if isinstance(value, int | float) and not isinstance(value, bool):
        attempts = [lambda: datetime.fromtimestamp(value / _unit(value), UTC)]
    elif isinstance(value, datetime):
        attempts = [lambda: value]
    elif isinstance(value, str):
        attempts = [lambda: datetime.fromisoformat(value), lambda: parsedate_to_datetime(value)]
        attempts += [partial(datetime.strptime, value, form) for form in _WRITTEN_DATES]
    for attempt in attempts:
        with suppress(ValueError, TypeError, OverflowError, OSError):
            return attempt()
    return None

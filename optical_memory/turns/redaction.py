"""Mask secrets before turns are drawn, or before they are stored.

Detection is best effort. Secrets that match no rule are drawn; images are not searched.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from ..errors import OpticalMemoryError, UnknownName
from ..text.excerpts import excerpt, said
from ..text.masking import redacted
from ..text.secrets_in_text import Hit, LibraryRules, own_hits, own_rules
from .attached import withheld
from .turn import (
    CallPlace,
    Content,
    DocumentContent,
    ImageContent,
    OtherContent,
    Part,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolResultContent,
    Turn,
)

__all__ = ["Redactor", "Secrets", "redacted_turn", "redacted_turns", "redactor_of"]

UNREADABLE = '{"redacted": true}'  # replaces JSON that masking would make invalid


@runtime_checkable
class Redactor(Protocol):
    """Removes secrets from texts. Thread-safe."""

    @property
    def name(self) -> str:
        """The short name."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the result for a text may change. Pages with another fingerprint are drawn again."""
        ...

    def redact(self, text: str) -> str:
        """Return `text` without its secrets. Must be deterministic and idempotent."""
        ...


class Secrets:
    """Masks secrets as `[redacted:kind]`: keys and tokens of known formats, private keys, passwords in URLs and after their names.

    Args:
        patterns: your own regular expressions; matches are masked as `[redacted:pattern]`.
        detector: the library that adds formats to the built-in rules, or None. If it is not installed, warns and uses those alone.

    Raises `ValueError` for a pattern that cannot be compiled or that matches nothing at all, `UnknownName` for another detector.
    """

    name = "secrets"

    def __init__(self, patterns: Sequence[str | re.Pattern[str]] = (), *, detector: str | None = "detect-secrets") -> None:
        if detector not in (None, "detect-secrets"):
            raise UnknownName("detector", str(detector), ["detect-secrets"])
        if isinstance(patterns, str | re.Pattern):
            raise TypeError(f"patterns is a list of regular expressions; got {excerpt(patterns)}")
        self._patterns = tuple(_compiled(pattern) for pattern in patterns)
        self._library = _library() if detector else None
        basis = [own_rules(), self._library.version if self._library else "", [(each.pattern, each.flags) for each in self._patterns]]
        self.fingerprint = hashlib.sha256(json.dumps(basis).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def redact(self, text: str) -> str:
        """Return `text` with every secret masked; the same object if it has none."""
        return redacted(text, self._hits)

    def _hits(self, text: str) -> Iterable[Hit]:
        yield from own_hits(text)
        if self._library:
            yield from self._library.hits(text)
        for pattern in self._patterns:
            yield from ((*match.span(), "pattern") for match in pattern.finditer(text))

    def __repr__(self) -> str:
        return f"Secrets({len(self._patterns)} patterns, {'detect-secrets' if self._library else 'no library'})"


def redactor_of(redact: bool | Redactor | None) -> Redactor | None:
    """Resolve the option `redact`: none, `Secrets()`, or a redactor. Raises `TypeError` for anything else."""
    if redact is None or redact is False:
        return None
    if redact is True:
        return Secrets()
    if not isinstance(redact, Redactor):
        raise TypeError(f"redact is True, None, or a redactor with name, fingerprint and redact(text); got {excerpt(redact)}")
    return redact


_warned: set[str] = set()


def _library() -> LibraryRules | None:
    """Return the library's rules; None, with one warning, if it is not installed."""
    try:
        return LibraryRules()
    except ImportError:
        if not _warned:
            _warned.add("detect-secrets")
            advice = "Install it with: pip install 'optical-memory[redaction]', or pass Secrets(detector=None)"
            warnings.warn(f"detect-secrets is not installed: only the rules built in find secrets. {advice}", RuntimeWarning, stacklevel=5)
        return None


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
        problem = ""
    except (re.error, TypeError) as exc:
        problem = said(exc)  # not as a cause: it holds the pattern
    if problem:
        raise ValueError(f"pattern {excerpt(pattern)} is no regular expression: {problem}")
    if not isinstance(compiled.pattern, str):
        raise ValueError(f"pattern {excerpt(pattern)} is for bytes; pass one for text")
    if compiled.search(""):
        raise ValueError(f"pattern {excerpt(pattern)} matches the empty string, so it would mask nothing or everything")
    return compiled


# -- turns ---------------------------------------------------------------------------------------------------------------------------


def redacted_turns(turns: Iterable[Turn], redactor: Redactor) -> list[Turn]:
    """Return turns without their secrets. Raises `OpticalMemoryError` if the redactor fails."""
    try:
        return [redacted_turn(turn, redactor) for turn in turns]
    except Exception as exc:
        kind = type(exc).__name__
    raise OpticalMemoryError(f"the redactor {redactor.name!r} failed: {kind}")  # without its cause, which may quote what it was given


def redacted_turn(turn: Turn, redactor: Redactor) -> Turn:
    """Return a turn without its secrets; the same object if it has none. Ids, numbers, times and image bytes stay.

    Arguments of a tool call stay valid JSON if they were. A reasoning block with a secret is dropped: its provider would reject a
    changed one.
    """
    redact = redactor.redact
    changes: dict[str, Any] = {
        "content": _content(turn.content, redact),
        "name": redact(turn.name) if turn.name else turn.name,
        "tool_calls": tuple(_call(call, redact) for call in turn.tool_calls),
        "metadata": _data(turn.metadata, redact),
        "extra": _data(turn.extra, redact),
    }
    changed = {field: value for field, value in changes.items() if value != getattr(turn, field)}
    return turn.model_copy(update=changed) if changed else turn


def _content(content: Content, redact: Callable[[str], str]) -> Content:
    if isinstance(content, str):
        return redact(content)
    return tuple(kept for part in content if (kept := _part(part, redact)) is not None)


def _part(part: Part, redact: Callable[[str], str]) -> Part | None:
    if isinstance(part, ReasoningContent):
        return part if _data(part.block, redact) == part.block else None
    if isinstance(part, DocumentContent):
        return _document(part, redact)
    if isinstance(part, OtherContent | CallPlace):
        return part.model_copy(update={"block": _data(part.block, redact)}) if isinstance(part, OtherContent) else part
    changes = {key: _data(value, redact) for key, value in (part.model_extra or {}).items()}
    if isinstance(part, TextContent):
        changes["text"] = redact(part.text)
    elif isinstance(part, ImageContent):
        changes["url"] = redact(part.url)
    elif isinstance(part, ToolResultContent):
        changes["content"] = _content(part.content, redact)
    return part.model_copy(update=changes)


def _document(part: DocumentContent, redact: Callable[[str], str]) -> DocumentContent:
    """Return a document without secrets. If its text held one, without its file, which cannot be masked: its pages are text then."""
    pages = tuple(page.model_copy(update={"text": redact(page.text)}) if page.text else page for page in part.pages)
    changes = {"name": redact(part.name), "title": redact(part.title)}
    outline = tuple(heading.model_copy(update={"title": redact(heading.title)}) for heading in part.outline)
    if pages == part.pages and outline == part.outline and all(getattr(part, key) == value for key, value in changes.items()):
        return part
    return withheld(part, pages, **changes, password="").model_copy(update={"outline": outline})


def _call(call: ToolCall, redact: Callable[[str], str]) -> ToolCall:
    changes = {key: _data(value, redact) for key, value in (call.model_extra or {}).items()}
    return call.model_copy(update={**changes, "name": redact(call.name), "arguments": _json(call.arguments, redact)})


def _json(text: str, redact: Callable[[str], str]) -> str:
    """Redact text, keeping it valid JSON if it was: first its strings, then the whole, where a name marks a value as secret."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return redact(text)
    inner = _strings(value, redact)
    masked = redact(text if inner == value else json.dumps(inner, ensure_ascii=False))
    try:
        json.loads(masked)
    except (ValueError, RecursionError):
        return UNREADABLE
    return masked


def _data(value: Any, redact: Callable[[str], str]) -> Any:
    """Return plain data without secrets; the same object if it has none."""
    if not value:
        return value
    inner = _strings(value, redact)
    try:
        text = json.dumps(inner, ensure_ascii=False)
        masked = _json(text, redact)
        return json.loads(masked) if masked != text else inner
    except (ValueError, TypeError, RecursionError):
        return inner


def _strings(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {_strings(key, redact): _strings(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_strings(item, redact) for item in value) if type(value) in (list, tuple) else value
    return value

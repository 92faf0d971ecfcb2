"""How errors and logs quote what they are about: bounded, and without secrets, whether or not a memory redacts.

Text is quoted by its first characters, after secrets were masked in much more of it (`excerpt`). Mappings and lists are told by their kind,
size and keys (`shape`), since what stands under a key such as `password` looks like any other word. What others say in their errors, which
may quote what they were given, is masked and cut as well (`said`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from .masking import redacted
from .secrets_in_text import Hit, LibraryRules, own_hits

__all__ = ["excerpt", "masking", "said", "shape"]

LONGEST = 60  # characters of a name or a setting
LONGEST_SAID = 300  # characters of another's message
WINDOW = 25_000  # characters that are looked at: a secret that begins where it is shown is seen to its end

_own: ContextVar[Callable[[str], str] | None] = ContextVar("optical_memory_masking", default=None)


@contextmanager
def masking(redact: Callable[[str], str] | None) -> Iterator[None]:
    """Mask by the rules of a memory, too, in whatever is quoted while the block runs."""
    token = _own.set(redact)
    try:
        yield
    finally:
        _own.reset(token)


def excerpt(value: object, most: int = LONGEST) -> str:
    """Text or bytes in quotes, without secrets and at most so long; a number; anything else by its `shape`."""
    if isinstance(value, str):
        return repr(_bounded(value, most))
    if isinstance(value, bytes | bytearray):
        return f"b{excerpt(bytes(value[:WINDOW]).decode('latin-1'), most)}"
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    return repr(value) if value is None or isinstance(value, int | float) else shape(value)


def shape(value: object) -> str:
    """What `value` is, and as little as possible of what it holds: `a mapping with the keys ['role', 'content']`, `a list of 3`."""
    if isinstance(value, Mapping):
        keys = ", ".join(excerpt(key, 30) for key in list(value)[:6])
        kind = value.get("type")
        of = f" of type {excerpt(kind, 30)}" if isinstance(kind, str) else ""
        return f"a mapping{of} with the keys [{keys}{', ...' if len(value) > 6 else ''}]"
    if isinstance(value, list | tuple | set | frozenset):
        return f"a {type(value).__name__} of {len(value)}"
    return excerpt(value) if value is None or isinstance(value, str | bytes | bytearray | int | float) else f"a {type(value).__name__}"


def said(error: object, most: int = LONGEST_SAID) -> str:
    """Another's message, without secrets and at most so long."""
    return _bounded(str(error).strip(), most)


def _bounded(text: str, most: int) -> str:
    shown = redacted(text[:WINDOW], _hits)
    if own := _own.get():
        try:
            shown = own(shown)
        except Exception:  # of a memory's own redactor: then nothing is quoted
            shown = "[not shown: the redactor failed]"
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _hits(text: str) -> Iterator[Hit]:
    yield from own_hits(text)
    if library := _library():
        yield from library.hits(text)


@cache
def _library() -> LibraryRules | None:
    try:
        return LibraryRules()
    except ImportError:
        return None

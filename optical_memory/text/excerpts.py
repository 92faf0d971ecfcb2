"""How errors and logs quote what they are about: bounded, and without secrets, whether or not a memory redacts.

Names and settings are quoted (`excerpt`). What was said in a conversation is told by its kind and size (`shape`), since a secret of no
known format cannot be told from any other word. What others say in their errors, which may quote what they were given, is cut as well
(`said`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from .masking import redacted
from .secrets_in_text import Hit, LibraryRules, own_hits

__all__ = ["excerpt", "said", "shape"]

LONGEST = 60  # characters of a name or a setting
LONGEST_SAID = 300  # characters of another's message
WINDOW = 25_000  # characters that are looked at: a secret that begins where it is shown is seen to its end


def excerpt(value: object, most: int = LONGEST) -> str:
    """`value` in quotes, without secrets and at most so long; anything but text and numbers by its shape."""
    if isinstance(value, str):
        return repr(_bounded(value, most))
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    return _bounded(repr(value), most) if value is None or isinstance(value, int | float) else shape(value)


def shape(value: object) -> str:
    """What `value` is, without what it holds: `text of 812 characters`, `a mapping with the keys 'role', 'content'`, `5`."""
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        keys = [excerpt(key, 30) for key in list(value)[:6]]
        return f"a mapping with the keys {', '.join(keys)}{' and more' if len(value) > 6 else ''}" if keys else "an empty mapping"
    if value is None or isinstance(value, int | float):
        return excerpt(value)
    if isinstance(value, list | tuple | set | frozenset):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"


def said(error: object, most: int = LONGEST_SAID) -> str:
    """Another's message, without secrets and at most so long."""
    return _bounded(str(error).strip(), most)


def _bounded(text: str, most: int) -> str:
    shown = redacted(text[:WINDOW], _hits)
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

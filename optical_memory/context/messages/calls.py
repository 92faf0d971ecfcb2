"""Ids and names of tool calls as a provider takes them."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from .tool_pairs import Message

__all__ = ["CallIds", "fitting_name"]

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]+")
_UNFIT_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")


class CallIds:
    """Gives the calls of a request ids: each its own, if that fits and no call before has it.

    Args:
        longest: characters that the provider takes.
        strict: whether it takes letters, digits, `_` and `-` only.

    An id depends on the calls before it only, so that a longer request begins with the same ones.
    """

    def __init__(self, longest: int, *, strict: bool) -> None:
        self._longest, self._strict = longest, strict
        self._used: set[str] = set()

    def of(self, message: Message) -> list[str]:
        """Return the ids of the calls of a message, in order. Results have the id at their `place`."""
        return [self._new(call.id) for call in message.turn.tool_calls] if message.turn else []

    def _new(self, call_id: str) -> str:
        fitting = _UNFIT_CHARACTER.sub("_", call_id) if self._strict else call_id
        if len(fitting) > self._longest:
            fitting = f"{fitting[: self._longest - 9]}-{hashlib.sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        found, count = fitting, 2
        while found in self._used:
            found = f"{fitting[: self._longest - 1 - len(str(count))]}-{count}"
            count += 1
        self._used.add(found)
        return found


def fitting_name(name: str, longest: int = 64) -> str:
    """Return a speaker's or a tool's name in letters, digits, `_` and `-`; empty if none of it is left."""
    if not _UNFIT.search(name):
        return name[:longest]
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return _UNFIT.sub("_", plain).strip("_")[:longest]

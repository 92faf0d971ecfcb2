"""Entries parsed once: a conversation comes whole at every call, and all but its end is known."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..raw_json import Span
from .request import Entry, EntryKind, digest_of_raw

__all__ = ["ParsedEntries"]

REMEMBERED = 20_000  # entries; they hold their messages, some tens of megabytes
Parsed = tuple[bytes, str, EntryKind, Mapping[str, Any]]


class ParsedEntries:
    """Remembers entries by the hash of their text.

    Args:
        parse: the values of an entry to its key, role, kind and message.
    """

    def __init__(self, parse: Callable[[Sequence[Any]], Parsed]) -> None:
        self._parse = parse
        self._known: OrderedDict[bytes, Parsed] = OrderedDict()

    def entry(self, text: str, spans: Sequence[Span]) -> Entry:
        """Return the entry of adjacent values. Raises what `parse` raises."""
        start, end = spans[0].start, spans[-1].end
        values = tuple(span.value for span in spans)
        raw = digest_of_raw(text[start:end])
        known = self._known.get(raw)
        if known is None:
            known = self._known[raw] = self._parse(values)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return Entry(start, end, known[0], known[1], known[2], values, known[3])

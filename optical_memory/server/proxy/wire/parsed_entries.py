"""Requests parsed once: a conversation comes whole at every call, and all but its end is known."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..raw_json import Span, common_length, members
from .request import Entry, EntryKind, digest_of_raw

__all__ = ["ParsedEntries"]

REMEMBERED = 20_000  # entries; they hold their messages, some tens of megabytes
TEXTS, OF_A_KIND = 64, 4  # beginnings of requests, and requests with the same beginning, that are kept as text
BEGINNING = 1_000  # characters
Parsed = tuple[bytes, str, EntryKind, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    spans: Sequence[Span]
    entries: Sequence[Entry]


class ParsedEntries:
    """Remembers requests by their beginning, and entries by the hash of their text.

    Args:
        name: the member of a body that is the list of messages.
        parse: the values of an entry to its key, role, kind and message.
        group: puts adjacent items that are one entry together; None if each is one.
    """

    def __init__(
        self, name: str, parse: Callable[[Sequence[Any]], Parsed], group: Callable[[Sequence[Span]], Iterable[Sequence[Span]]] | None = None
    ) -> None:
        self._name, self._parse = name, parse
        self._group = group or (lambda spans: ((span,) for span in spans))
        self._entries: OrderedDict[bytes, Parsed] = OrderedDict()
        self._texts: OrderedDict[int, deque[_Known]] = OrderedDict()

    def read(self, text: str) -> tuple[dict[str, Span], list[Entry]]:
        """Return the members of a body, and its entries. Raises `NotUnderstood`, and what `parse` raises."""
        alike = self._texts.get(hash(text[:BEGINNING]), ())
        common, known = max(((common_length(text, each.text), each) for each in alike), key=lambda pair: pair[0], default=(0, None))
        spans = [span for span in known.spans if span.end < common] if known is not None else []
        fields = members(text, lists=self._name, known=spans)
        items = fields[self._name].items if self._name in fields else None
        if items is None:
            return fields, []
        reached = spans[-1].end if spans else 0
        entries = [entry for entry in known.entries if entry.end <= reached][:-1] if known is not None else []
        done = entries[-1].end if entries else -1
        rest = [item for item in items if item.start > done]
        entries += [self._entry(text, group) for group in self._group(rest)]
        self._keep(text, items, entries)
        return fields, entries

    def _keep(self, text: str, spans: Sequence[Span], entries: Sequence[Entry]) -> None:
        alike = self._texts.setdefault(hash(text[:BEGINNING]), deque(maxlen=OF_A_KIND))
        alike.append(_Known(text, spans, tuple(entries)))
        self._texts.move_to_end(hash(text[:BEGINNING]))
        while len(self._texts) > TEXTS:
            self._texts.popitem(last=False)

    def _entry(self, text: str, spans: Sequence[Span]) -> Entry:
        start, end = spans[0].start, spans[-1].end
        raw = digest_of_raw(text[start:end])
        values = tuple(span.value for span in spans)
        known = self._entries.get(raw)
        if known is None:
            known = self._entries[raw] = self._parse(values)
            if len(self._entries) > REMEMBERED:
                self._entries.popitem(last=False)
        return Entry(start, end, known[0], known[1], known[2], values, known[3])

"""Hidden exchanges: what a model has recalled and said on the way to an answer, put back into the next requests.

The client sends one message where the provider has seen several: a call, its result, and what followed. Without them the model would
forget what it has recalled, and reasoning would be bound to a beginning that is no longer sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..raw_json import Edit, members
from ..wire.request import Request, Wire, digest

__all__ = ["Exchanges", "anchor_of", "at_the_end", "kept_with"]

MOST_KEPT = 32  # of a line; older ones are on pages, or their client has dropped them


@dataclass(frozen=True, slots=True)
class Exchanges:
    """The hidden exchanges of a request, by the place of the entry in whose stead they stand."""

    at: Mapping[int, Mapping[str, Any]]

    @classmethod
    def of(cls, request: Request, wire: Wire, kept: Mapping[str, Mapping[str, Any]], *, bound: int) -> Exchanges:
        """Find the exchanges that a request still refers to; those are left out whose reasoning is bound to another beginning.

        Args:
            kept: by anchor; see `anchor_of`.
            bound: number of entries whose reasoning may be bound so.
        """
        if not kept:
            return cls({})
        anchors = {at: anchor_of(at, entry.message) for at, entry in enumerate(request.entries) if entry.message}
        found = {at: kept[anchor] for at, anchor in anchors.items() if anchor in kept}
        return cls({at: each for at, each in found.items() if at >= bound or not wire.without_reasoning(request, request.entries[at])})

    def edits(self, request: Request, at: int) -> list[Edit]:
        """Return the edits of the entry at a place: the exchange in its stead, or results of the exchange before it."""
        entry = request.entries[at]
        if at in self.at:
            return [Edit(entry.start, entry.end, ",".join(json.dumps(each) for each in self.at[at]["said"]))]
        parts = self.at.get(at - 1, {}).get("parts")
        if not parts:
            return []
        place = members(request.text, entry.start, whole=False)["parts"].start + 1
        return [Edit(place, place, "".join(json.dumps(part) + "," for part in parts))]


def anchor_of(at: int, message: Mapping[str, Any]) -> str:
    """Return what names an answer as its client sends it back: its place, its words, and its calls."""
    texts: list[str] = []
    calls: list[Any] = []
    for block in message.get("content") or ():
        if block.get("type") == "tool_use":
            calls.append([block.get("name"), block.get("input") or {}])
        elif block.get("type") == "text":
            texts += block["text"].split()
    calls += [[call["name"], _read(call["arguments"])] for call in message.get("tool_calls") or ()]
    return digest([at, "".join(texts), calls]).hex()


def _read(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def kept_with(kept: Mapping[str, Any], anchor: str, exchange: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept with one more exchange."""
    return dict([*(item for item in kept.items() if item[0] != anchor), (anchor, exchange)][-MOST_KEPT:])


def at_the_end(said: Sequence[Any], results: Sequence[Any], *, wire: str) -> dict[str, Any]:
    """Return an exchange that ends with calls of the client beside ours; our results stand where its own will.

    Gemini wants all results of a turn in one message, so that ours are put into the client's.
    """
    if wire == "gemini":
        return {"said": list(said), "parts": [part for content in results for part in content["parts"]]}
    return {"said": [*said, *results], "parts": []}

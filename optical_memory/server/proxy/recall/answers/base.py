"""What all wire formats have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

__all__ = ["SEPARATOR", "Answers", "RecallCall", "Usages", "arguments_of", "summed"]

SEPARATOR = "\n\n"  # between what is said before and after a recall, where a client joins it


@dataclass(frozen=True, slots=True)
class RecallCall:
    """A call of the tool: its id, and its arguments as they came; None if they are no JSON object."""

    id: str
    arguments: Mapping[str, Any] | None


class Usages:
    """What each round was billed, in the provider's words; the last one's may still grow."""

    def __init__(self) -> None:
        self.rounds: list[dict[str, Any]] = [{}]

    def begin(self) -> None:
        """Begin the next round."""
        self.rounds.append({})

    def add(self, usage: Mapping[str, Any] | None) -> None:
        """Take what the provider says of the present round; what it says later counts."""
        self.rounds[-1].update({name: value for name, value in (usage or {}).items() if value is not None})

    @property
    def is_first(self) -> bool:
        """Whether the present round is the first."""
        return len(self.rounds) == 1

    @property
    def total(self) -> dict[str, Any]:
        """The sum over all rounds."""
        return dict(reduce(summed, self.rounds))


class Answers(Protocol):
    """One answer of a provider after another, in rounds, and the one answer that the client sees.

    Attributes:
        usages: what each round was billed, as the provider says it; empty for one that it has not said.
        is_last: whether the present round ends the answer, whatever it holds.
    """

    usages: Usages
    is_last: bool

    @property
    def calls(self) -> list[RecallCall]:
        """Calls of the tool in the present round."""
        ...

    def event(self, event: bytes, data: dict[str, Any] | None) -> bytes:
        """Take an event of a stream; return what the client gets of it."""
        ...

    def whole(self, answer: dict[str, Any]) -> None:
        """Take an answer that came at once."""
        ...

    @property
    def has_ended(self) -> bool:
        """Whether the present round has said how it ends."""
        ...

    @property
    def goes_on(self) -> bool:
        """Whether the present round has ended with nothing but calls of the tool to do."""
        ...

    def said(self) -> list[Any]:
        """Return the messages or items of the present round, as the next request is to hold them."""
        ...

    def results(self, texts: Sequence[str]) -> list[Any]:
        """Return the results of the present calls, as the next request is to hold them."""
        ...

    def begin(self) -> None:
        """Begin the next round."""
        ...

    def merged(self) -> dict[str, Any]:
        """Return the one answer of all rounds."""
        ...

    def visible(self) -> list[Any]:
        """Return what the client has seen of all rounds, as its next request will hold it."""
        ...


def arguments_of(given: Any) -> Mapping[str, Any] | None:
    """Return the arguments of a call; None if they are no JSON object."""
    if isinstance(given, str):
        try:
            given = json.loads(given or "{}")
        except ValueError:
            return None
    return given if isinstance(given, Mapping) else None


def summed(one: Any, other: Any) -> Any:
    """Add the numbers in two usages, also in parts of them; anything else is the second's."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {name: summed(one.get(name), other.get(name)) for name in {**one, **other}}
    if _is_number(one) and _is_number(other):
        return one + other
    return one if other is None else other


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

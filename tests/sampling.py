"""How much of a test belongs to `make test`, how much to `make test-all`, and how much to a nightly run: parameters, and examples."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import pytest

# Of whole memories in a property test: a nightly run draws 20, and a release more still.
EXAMPLES = int(os.environ.get("EXAMPLES", "5"))


def mostly_slow(values: Iterable[Any], *, quick: Collection[Any], daily: Collection[Any] | None = None) -> list[Any]:
    """Return parameters of which all but those in `quick` are marked slow.

    Args:
        values: all of them; a nightly run has them all.
        quick: those that `make test` runs.
        daily: those that `make test-all` runs beside them; the rest is marked nightly. None for all.

    Raises `ValueError` for a quick or daily one that is not among the values: a test renamed would otherwise leave in silence.
    """
    values = list(values)
    if unknown := [value for value in (*quick, *(daily or ())) if value not in values]:
        raise ValueError(f"not among the parameters: {unknown!r}")

    def marked(value: Any) -> Any:
        if value in quick:
            return value
        return pytest.param(value, marks=pytest.mark.slow if daily is None or value in daily else [pytest.mark.slow, pytest.mark.nightly])

    return [marked(value) for value in values]


def examples(most: int) -> int:
    """Return how many examples a property test draws: `most` in a nightly run, a quarter else."""
    return max(3, most * EXAMPLES // 20)

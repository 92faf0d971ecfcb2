"""How much of a test belongs to `make test`, and how much to `make test-all` only: parameters, and examples of property tests."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

import pytest

# Of whole memories in a property test: `make test-all` draws 10, a nightly run 20, and a release more still.
EXAMPLES = int(os.environ.get("EXAMPLES", "5"))


def mostly_slow(values: Iterable[Any], *, quick: Collection[Any]) -> list[Any]:
    """Return parameters of which all but those in `quick` are marked slow.

    Raises `ValueError` for a quick one that is not among the values: a test renamed would otherwise leave `make test` in silence.
    """
    values = list(values)
    if unknown := [value for value in quick if value not in values]:
        raise ValueError(f"not among the parameters: {unknown!r}")
    return [value if value in quick else pytest.param(value, marks=pytest.mark.slow) for value in values]


def examples(most: int) -> int:
    """Return how many examples a property test draws: `most` in a nightly run, half in `make test-all`, a quarter in `make test`."""
    return max(3, most * EXAMPLES // 20)

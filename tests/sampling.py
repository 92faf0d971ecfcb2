"""Which parameters of a test belong to `make test`, and which to `make test-all` only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def mostly_slow(values: Iterable[Any], *, quick: Collection[Any]) -> list[Any]:
    """Return parameters of which all but those in `quick` are marked slow.

    Raises `ValueError` for a quick one that is not among the values: a test renamed would otherwise leave `make test` in silence.
    """
    values = list(values)
    if unknown := [value for value in quick if value not in values]:
        raise ValueError(f"not among the parameters: {unknown!r}")
    return [value if value in quick else pytest.param(value, marks=pytest.mark.slow) for value in values]

"""What the proxy's conversations have cost, from the store alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

from ...stores.base import open_store
from .records import Records, Totals
from .summary import conversations_of

__all__ = ["statistics"]


def statistics(url: str | None) -> dict[str, Any]:
    """Return conversations, models, and the corrections of our estimates. Raises `StoreError`, `ValueError`."""
    with closing(open_store(url)) as store:
        records = Records(store)
        found, corrections = records.all(), records.get("corrections")
    models: defaultdict[str, dict[str, Any]] = defaultdict(lambda: asdict(Totals()))
    for record in found:
        for name, amount in asdict(record.totals).items():
            models[record.model or "?"][name] += amount
    return {
        "conversations": conversations_of(found),
        "models": {name: _saved(totals) for name, totals in sorted(models.items())},
        "corrections": corrections or {},
    }


def _saved(totals: Mapping[str, Any]) -> dict[str, Any]:
    return {**totals, "saved": totals["text_cost"] - totals["cost"]}

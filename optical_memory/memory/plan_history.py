"""The last plans of a session, so that a person can see what a context held before, and why it changed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import from_json

from ..context.plan import Plan
from ..stores.base import Readable, SessionId
from ..stores.intact import intact

__all__ = ["PREFIX", "PastPlan", "keep_plan", "past_plans"]

PREFIX = "past-plan/"
KEPT = 64  # plans of a reader; with the next, the oldest is overwritten
LONGEST = 4 * 2**20  # bytes of a plan's JSON: what is in a store may be anybody's


@dataclass(frozen=True, slots=True)
class PastPlan:
    """A plan, and when it was made (UTC)."""

    plan: Plan
    made: datetime


def keep_plan(store: Readable, session: SessionId, reader: str, plan: Plan) -> None:
    """Store a plan beside the last ones of its reader. Raises `StoreError`."""
    record = json.dumps({"made": datetime.now(UTC).isoformat(timespec="seconds"), "plan": plan.model_dump(mode="json")})
    store.put(session, {f"{PREFIX}{reader}/{plan.epoch % KEPT:02d}": zlib.compress(record.encode())})


def past_plans(store: Readable, session: SessionId, reader: str) -> list[PastPlan]:
    """Return the last plans of a reader, oldest first; those that are damaged, or of another release, are absent. Raises `StoreError`."""
    names = [f"{PREFIX}{reader}/{place:02d}" for place in range(KEPT)]
    return sorted(_decoded(intact(store, session, names).values()), key=lambda past: (past.made, past.plan.epoch))


def _decoded(records: Iterable[bytes]) -> list[PastPlan]:
    found: list[PastPlan] = []
    for record in records:
        try:
            values = from_json(zlib.decompressobj().decompress(record, LONGEST))  # unlike json's, refuses brackets without end
            found.append(PastPlan(Plan.model_validate(values["plan"]), datetime.fromisoformat(values["made"])))
        except (ValueError, KeyError, TypeError, zlib.error):
            continue
    return found

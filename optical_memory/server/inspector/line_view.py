"""A conversation of the proxy as it stands in a store. Here are its plan and its pages; its words stand in a log of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property

from ...archive.page_runs import PageRun
from ...context.plan import Plan
from ...memory.message_list import TENANT
from ...memory.plan_history import PastPlan
from ...stores.base import SessionId, Store
from ...turns.turn import Turn
from ..proxy.records import Record
from .session_view import PLAN, SessionView

__all__ = ["LineView"]


class LineView(SessionView):
    """The plan and pages of one line of a conversation."""

    has_words = False

    def __init__(self, store: Store, record: Record) -> None:
        self._store, self.session, self.record = store, SessionId(record.home, TENANT), record
        state = record.state or {}
        plans, runs = state.get("plans"), state.get("runs")
        self._plans = plans if isinstance(plans, dict) else {}
        self._named = {str(name): str(digest) for name, digest in runs.items()} if isinstance(runs, dict) else {}
        self.readers = sorted(name.removeprefix(PLAN) for name in self._plans)
        self.reader = record.profile if record.profile in self.readers else next(iter(self.readers), "")

    @cached_property
    def plan(self) -> Plan | None:
        """The plan in use; None while the conversation is sent as text."""
        kept = self._plans.get(f"{PLAN}{self.reader}")
        try:
            return Plan.model_validate_json(json.dumps(kept["plan"])) if kept else None
        except (ValueError, TypeError, KeyError):
            return None

    @cached_property
    def past(self) -> list[PastPlan]:
        """None: the proxy keeps the plan in use alone."""
        return []

    @cached_property
    def length(self) -> int:
        """Number of messages of the last request that a plan can show."""
        return max(0, len(self.record.keys) - self.record.floor)

    def _runs(self) -> Iterator[tuple[str, PageRun]]:
        for name, digest in self._named.items():
            try:
                yield f"{name}/{digest}", PageRun.parse(name)
            except ValueError:
                continue

    def turns(self, first: int, last: int) -> dict[int, Turn]:
        """None: they are numbered apart; see `proxy.turn_log`."""
        return {}

    def search(self, query: str, limit: int) -> list[Turn]:
        """None, for the same reason."""
        return []

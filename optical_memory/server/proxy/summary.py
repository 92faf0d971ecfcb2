"""Sums over the lines of conversations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ...memory.message_list import TENANT as PAGES_TENANT
from .records import Record
from .turn_log import TENANT

__all__ = ["conversations_of"]


def conversations_of(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Sum up the lines of each conversation, the last used first."""
    lines: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        lines[record.conversation].append(record)
    found = [_summed(name, sorted(group, key=lambda record: -record.used)) for name, group in lines.items()]
    return sorted(found, key=lambda each: -float(each["used"]))


def _summed(name: str, records: list[Record]) -> dict[str, Any]:
    newest = records[0]
    totals = [asdict(record.totals) for record in records]
    sums = {key: sum(each[key] for each in totals) for key in totals[0]}
    reasons: defaultdict[str, int] = defaultdict(int)
    for record in records:
        for reason, count in record.reasons.items():
            reasons[reason] += count
    return {
        "conversation": name,
        "wire": newest.wire,
        "model": newest.model,
        "client": newest.client,
        "messages": len(newest.keys),
        "lines": len(records),
        "epoch": newest.epoch,
        "reader": newest.profile,
        "text_only": newest.text_only,
        "text_counted": newest.gap is not None and newest.gap_of == newest.beginning,
        "session": {"name": name, "tenant": TENANT} if any(record.logged for record in records) else None,
        "pages_session": {"name": newest.home, "tenant": PAGES_TENANT} if newest.home else None,
        "changes_of_pages": sorted((each for record in records for each in record.changes_of_pages), key=lambda each: float(each["time"])),
        "created": min(record.created for record in records),
        "used": newest.used,
        **sums,
        "saved": sums["text_cost"] - sums["cost"],
        "reasons": dict(reasons),
    }

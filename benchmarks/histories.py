"""No inflation, no limit broken: generated histories for every reader profile.

`python -m benchmarks.histories --histories 10000 --sessions 100` plans so many histories for each profile (pages and texts by chance, the
profile's own price formulas; budgets, pins, ages, gateways with less room, pictures of users), and runs so many whole sessions through the
memory to the request. Without options it is a tenth of that. A fault makes it fail. The seeds are fixed: a run can be repeated.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

from rich.table import Table

from optical_memory.profiles.profile import ReaderProfile
from optical_memory.profiles.registry import shipped_profiles

from ._console import open_console
from ._histories import KINDS, Report, by_chance, tally
from ._sessions import run_session


def plan_many(name: str, count: int) -> Report:
    """Histories through the planner alone."""
    return _many(name, count, lambda report, chance, profile: tally(report, by_chance(chance, profile)))


def run_many(name: str, count: int) -> Report:
    """Sessions through the whole memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a rung whose price these messages cannot ask for: not what is tested here
        return _many(name, count, run_session)


def _many(name: str, count: int, one: Callable[[Report, random.Random, ReaderProfile], None]) -> Report:
    report, profile = Report(), shipped_profiles()[name]
    for place in range(count):
        one(report, random.Random(f"{name} {place}"), profile)
    return report


def table_of(title: str, reports: dict[str, Report]) -> Table:
    """A row for each profile."""
    table = Table("reader", "histories", "pages shown", "dearest, of its text", *KINDS, title=title)
    for name, report in reports.items():
        dearest = f"{100 * report.worst:.1f} %" if report.worst else ""
        table.add_row(name, f"{report.histories:,}", f"{report.pages:,}", dearest, *(f"{report.faults[kind]:,}" for kind in KINDS))
    return table


def main(arguments: Sequence[str] = ()) -> int:
    """Print both tables; returns how many faults there were."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.histories", description=__doc__)
    parser.add_argument("--histories", type=int, default=1_000, help="for each profile, through the planner")
    parser.add_argument("--sessions", type=int, default=10, help="for each profile, through the whole memory")
    given = parser.parse_args(arguments)
    names, console, faults = list(shipped_profiles()), open_console(), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for title, job, count in (("Plans", plan_many, given.histories), ("Whole sessions", run_many, given.sessions)):
            reports = dict(zip(names, pool.map(job, names, [count] * len(names)), strict=True))
            console.print(table_of(title, reports))
            faults += sum(report.faults.total() for report in reports.values())
    return faults


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)

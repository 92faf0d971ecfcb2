"""Does `recall` find the evidence of a question, and how fast? This build, and another one beside it.

`python -m benchmarks.recall FILE ... [--against FOLDER]`: conversations with questions, as `optical-memory eval` takes them. A question
counts if all of its evidence is among the first 5 (10) turns. The folder is a checkout of the build to compare with. CPU time is the
least of three rounds in which both take turns, as a ratio: this build over the other.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ._console import open_console

HERE = Path(__file__).parent
ROUNDS = 3
STORES = ("sqlite", "memory")
Asked = list[dict[str, Any]]


def measured(build: Path, store: str, files: Sequence[Path]) -> dict[str, Asked]:
    """Questions by file, asked of one build in a process of its own."""
    paths = [str(build), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, str(HERE / "_recalled.py"), store, *map(str, files)]
    told = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, text=True, check=True)
    found: dict[str, Asked] = json.loads(told.stdout)
    return found


def data_set(file: str) -> str:
    """The file's name without its number."""
    return re.sub(r"[-_]?(conv)?[-_]?\d*$", "", Path(file).stem)


def share(asked: Asked, first: int) -> str:
    """Questions with all evidence among the first."""
    hits = sum(set(each["evidence"]) <= set(each["found"][:first]) for each in asked)
    return f"{hits / len(asked):.1%}" if asked else "-"


def groups(found: dict[str, Asked]) -> dict[tuple[str, str], Asked]:
    """Questions by data set and kind: all, those with one turn of evidence, those with several, and the data's own kinds."""
    parts: dict[tuple[str, str], Asked] = {}
    for file, asked in found.items():
        for each in asked:
            several = "several turns" if len(each["evidence"]) > 1 else "one turn"
            kinds = ["all", several, *([f"kind {each['kind']}"] if each["kind"] is not None else [])]
            for kind in kinds:
                parts.setdefault((data_set(file), kind), []).append(each)
    return parts


def print_shares(builds: dict[str, dict[str, Asked]]) -> None:
    """One row for each data set and kind, two columns for each build."""
    table = Table("data", "questions", "number", *[f"{name}: first {first}" for name in builds for first in (5, 10)])
    parted = {name: groups(found) for name, found in builds.items()}
    for key, asked in sorted(next(iter(parted.values())).items()):
        cells = [share(parted[name][key], first) for name in builds for first in (5, 10)]
        table.add_row(*key, str(len(asked)), *cells)
    open_console().print(table)


def print_times(rounds: dict[tuple[str, str], list[dict[str, Asked]]]) -> None:
    """CPU time by store and data set, and the ratio of the builds."""
    table = Table("store", "data", "this: ms a question", "other", "ratio", title="CPU time, of the least of the rounds")
    for store in STORES:
        best = {name: _fastest(rounds[store, name]) for where, name in rounds if where == store}
        for data in sorted(best["this"]):
            this, other = best["this"][data] * 1_000, best.get("other", {}).get(data, 0.0) * 1_000
            table.add_row(store, data, f"{this:.2f}", f"{other:.2f}" if other else "-", f"{this / other:.2f}" if other else "-")
    open_console().print(table)


def _fastest(rounds: Sequence[dict[str, Asked]]) -> dict[str, float]:
    """Mean CPU seconds a question by data set, each question at its fastest."""
    times: dict[str, list[float]] = {}
    for file in rounds[0]:
        for each in zip(*[found[file] for found in rounds], strict=True):
            times.setdefault(data_set(file), []).append(min(once["seconds"] for once in each))
    return {data: sum(found) / len(found) for data, found in times.items()}


def main(arguments: Sequence[str]) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args(arguments)
    if not given.files:
        print("name conversations with questions: JSON with `messages` and `questions`")
        return
    builds = {"this": HERE.parent, **({"other": given.against.resolve()} if given.against else {})}
    rounds: dict[tuple[str, str], list[dict[str, Asked]]] = {}
    for _ in range(ROUNDS):
        for store in STORES:
            for name, folder in builds.items():
                rounds.setdefault((store, name), []).append(measured(folder, store, given.files))
    print_shares({name: rounds["sqlite", name][0] for name in builds})
    print_times(rounds)


if __name__ == "__main__":
    main(sys.argv[1:])

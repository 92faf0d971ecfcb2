"""A job that costs nothing, and a look at what jobs leave."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.dataset

from optical_memory.bulk.jobs import Job
from optical_memory.bulk.outputs import WritePages
from optical_memory.bulk.page_making import MakePages
from optical_memory.bulk.stages import Failures, Part
from optical_memory.errors import StoreUnavailable, UnknownName


def keep_pages() -> Job:
    """Pictures to Parquet, as they are."""
    return Job("keep", (Part((MakePages(renderer="pillow"),)),), WritePages(), {})


def rows(folder: Path, kind: str = "pages") -> list[dict[str, Any]]:
    """All rows of a kind of output, in the order of the parts."""
    found: list[dict[str, Any]] = pyarrow.dataset.dataset(folder / kind).to_table().to_pylist()
    return found


def kept(folder: Path) -> Counter[str]:
    """How often each item's page is in the output."""
    return Counter(row["item"] for row in rows(folder))


def letters(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "dead-letter.jsonl").read_text("utf-8").splitlines()]


@dataclass(frozen=True, slots=True)
class NoStage:
    """A stage that cannot be opened."""

    def open(self) -> Any:
        raise UnknownName("reader", "crystal ball", ["tesseract"])


@dataclass(frozen=True, slots=True)
class Gone:
    """A stage whose store goes away once it has worked on `after` items."""

    after: int

    def open(self) -> Gone:
        return self

    def work(self, records: Any, failures: Failures) -> list[Any]:
        return list(failures.each("read", records, self._read))

    def close(self) -> None: ...

    def _read(self, record: Any) -> Any:
        if int(record.key.rpartition("-")[2]) >= self.after:
            raise StoreUnavailable("nobody answers at redis://localhost:1")
        return record

"""Server-sent events: whole events out of chunks of bytes, and their data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["EventReader", "data_of", "with_data"]

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class EventReader:
    """Cuts a stream of bytes into events, each with the blank line that ends it."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the events that a chunk completes."""
        looked_at = max(0, len(self._kept) - 3)
        self._kept += chunk
        start = 0
        while end := _END.search(self._kept, max(start, looked_at)):
            yield self._kept[start : end.end()]
            start = end.end()
        self._kept = self._kept[start:]

    def rest(self) -> bytes:
        """Return what was not ended."""
        rest, self._kept = self._kept, b""
        return rest


def data_of(event: bytes) -> dict[str, Any] | None:
    """Return the data of an event if it is a JSON object; None for comments, `[DONE]` and all else."""
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        value = json.loads(b"\n".join(lines)) if lines else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def with_data(event: bytes, data: Any) -> bytes:
    """Return an event with other data under the same name."""
    kept = [line for line in event.splitlines() if line and not line.startswith(b"data:")]
    return b"\n".join([*kept, b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")]) + b"\n\n"

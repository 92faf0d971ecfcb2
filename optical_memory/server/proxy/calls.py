"""The last calls, and counters over all of them; without content."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Call", "Calls"]

KEPT = 1_000
log = logging.getLogger("optical_memory.server.proxy")


@dataclass(slots=True)
class Call:
    """One request.

    Attributes:
        upstream, origin: name of the upstream; its scheme, host and port.
        rewritten: whether the answer is one to a request with pages.
        reason: why it was sent as it came; empty if it was rewritten.
        refused: the status with which the provider refused the rewritten request, before the original was sent.
        own_ms: milliseconds between the end of the client's request and the start of ours.
        pages: page images sent.
        recalls: calls of `recall_memory` that were answered on the way.
        saved: text cost minus cost, in tokens of uncached input; None where the answer says nothing about usage.
    """

    method: str
    path: str
    upstream: str = ""
    origin: str = ""
    wire: str = ""
    model: str = ""
    conversation: str = ""
    line: str = ""
    client: str = ""
    time: float = field(default_factory=time.time)
    status: int = 0
    rewritten: bool = False
    reason: str = ""
    refused: int = 0
    pages: int = 0
    recalls: int = 0
    bytes_in: int = 0
    bytes_sent: int = 0
    own_ms: float = 0.0
    first_byte_ms: float = 0.0
    total_ms: float = 0.0
    usage: dict[str, int] | None = None
    cost: float | None = None
    text_cost: float | None = None
    saved: float | None = None
    end: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


class Calls:
    """Keeps the last calls and counts all."""

    def __init__(self) -> None:
        self._last: deque[Call] = deque(maxlen=KEPT)
        self.counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def add(self, call: Call) -> None:
        """Keep, count and log a call that has ended."""
        self._last.append(call)
        labels = {"upstream": call.upstream, "wire": call.wire, "model": call.model}
        self._count("requests_total", 1, **labels, rewritten=str(call.rewritten).lower(), status=str(call.status))
        if call.reason:
            self._count("as_text_total", 1, wire=call.wire, reason=call.reason.partition(":")[0])
        if call.recalls:
            self._count("recalls_total", call.recalls, wire=call.wire, model=call.model)
        if call.refused:
            self._count("refused_total", 1, wire=call.wire, status=str(call.refused))
        for name, amount in (call.usage or {}).items():
            self._count("tokens_total", amount, **labels, kind=name)
        if call.cost is not None and call.text_cost is not None:
            self._count("cost_input_tokens_total", call.cost, **labels)
            self._count("text_cost_input_tokens_total", call.text_cost, **labels)
        if log.isEnabledFor(logging.INFO):
            log.info(json.dumps({"event": "call", **call.plain()}))

    def last(self, most: int = KEPT) -> list[Call]:
        """Return the last calls, newest first."""
        return list(reversed(self._last))[:most]

    def _count(self, name: str, amount: float, **labels: str) -> None:
        self.counts[name, tuple(sorted(labels.items()))] += amount  # type: ignore[assignment]

    def prometheus(self) -> str:
        """Return the counters as Prometheus reads them."""
        return "".join(f"{line}\n" for line in _lines(self.counts.items()))


def _lines(counts: Iterable[tuple[tuple[str, tuple[tuple[str, str], ...]], float]]) -> Iterator[str]:
    last = ""
    for (name, labels), amount in sorted(counts):
        if name != last:
            yield f"# TYPE optical_memory_{name} counter"
            last = name
        named = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels)
        yield f"optical_memory_{name}{{{named}}} {amount:.10g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

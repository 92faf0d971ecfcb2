"""What the inspector shows of the proxy: of the one in this process, or of one whose records are in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...stores.base import Store
from ..proxy.calls import Calls
from ..proxy.records import Record, Records
from ..proxy.summary import conversations_of
from ..proxy.switches import Switches

__all__ = ["ProxyWindow"]


class ProxyWindow:
    """The proxy's conversations and calls.

    Args:
        live: the records that the proxy of this process has not stored yet.
        calls, switches: the proxy's own; None without a proxy in this process.
    """

    def __init__(
        self,
        store: Store,
        *,
        live: Callable[[], Sequence[Record]] = tuple,
        calls: Calls | None = None,
        switches: Switches | None = None,
    ) -> None:
        self._records, self._live, self._calls, self._switches = Records(store), live, calls, switches

    @property
    def is_running(self) -> bool:
        """Whether the proxy runs in this process: only then can it be switched."""
        return self._switches is not None

    @property
    def switches(self) -> dict[str, Any]:
        """What is on and off; see `Switches.plain`."""
        return self._switches.plain() if self._switches else {"on": True, "models": {}, "conversations": {}}

    def lines(self) -> list[Record]:
        """Return all records, the last used first. Raises `StoreError`."""
        found = {record.id: record for record in self._records.all()} | {record.id: record for record in self._live()}
        return sorted(found.values(), key=lambda record: -record.used)

    def line(self, name: str) -> Record | None:
        """Return the record with this id. Raises `StoreError`."""
        return next((record for record in self.lines() if record.id == name), None)

    def conversations(self) -> list[dict[str, Any]]:
        """Return the sums of each conversation, the last used first, with its switch and its lines. Raises `StoreError`."""
        lines, on = self.lines(), self.switches["conversations"]
        found = conversations_of(lines)
        own = {each["conversation"]: [line for line in lines if line.conversation == each["conversation"]] for each in found}
        return [{**each, "on": on.get(each["conversation"], True), "records": own[each["conversation"]]} for each in found]

    def calls(self) -> list[dict[str, Any]]:
        """Return the last calls, newest first; none without a proxy in this process."""
        return [call.plain() for call in self._calls.last()] if self._calls else []

    def count(self) -> float:
        """Return a number that changes with every call."""
        newest = self._calls.last(1) if self._calls else []
        return newest[0].time if newest else 0.0

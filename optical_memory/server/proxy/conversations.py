"""Find the line of a conversation that a request continues: the one with the longest common beginning."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...context.plan import Plan
from ...profiles.profile import ReaderProfile
from .identity import Identity
from .planner import Planned
from .raw_json import common_length
from .records import Record
from .splice import Splice
from .wire.request import Request

__all__ = ["Conversations", "Line"]

HELD = 256  # groups whose lines are held in this process; a line with pages holds some megabytes
LINES = 64  # lines of a group; the one not used for longest goes first


@dataclass(eq=False, slots=True)
class Line:
    """A line of a conversation in this process: its record, and the splice that its requests are sent with.

    Attributes:
        standing: the plan behind it; also one of text alone.
        pending: a newer plan, which is used once that pays.
        drawing: the plan that is being made for it now.
        failed, failed_at: why and when the last plan could not be made; empty if it could.
        origin: the line that it left; a plan that is being made for that one may fit this one too.
        restored: whether the splice of a stored plan was made again, or there was none.
    """

    record: Record
    splice: Splice | None = None
    standing: Plan | None = None
    pending: Planned | None = None
    drawing: asyncio.Task[None] | None = None
    failed: str = ""
    failed_at: float = 0.0
    restored: bool = True
    origin: Line | None = None
    keys: list[bytes] = field(default_factory=list)

    @property
    def is_drawing(self) -> bool:
        """Whether a plan is being made for it now."""
        return self.drawing is not None and not self.drawing.done()

    @property
    def plan(self) -> Plan | None:
        """Its newest plan, also one of text alone; None if it has none, or one that was not read from the store yet."""
        return self.pending.plan if self.pending is not None else self.standing

    @property
    def newest(self) -> Splice | None:
        """The splice of its newest plan."""
        return self.pending.splice if self.pending is not None else self.splice

    def of_origin(self, request: Request, profile: str) -> Planned | None:
        """Return the plan of the line that this one left, if it has none of its own and that one fits."""
        origin, self.origin = self.origin, self.origin if self.newest is None else None
        planned = origin.pending if origin is not None and self.newest is None else None
        if planned is None and origin is not None and self.newest is None and origin.splice is not None and origin.record.state is not None:
            record = origin.record
            planned = Planned(record.state or {}, origin.splice, origin.splice.plan, record.home, record.planned, record.floor)
        fits = planned is not None and planned.splice is not None and planned.splice.fits(request, profile)
        return planned if fits else None

    def cache_is_alive(self, profile: ReaderProfile) -> bool:
        """Whether the provider may still have its last request in the cache."""
        seconds = (profile.cache.long_seconds if self.record.totals.write_long else None) or profile.cache_seconds
        return self.record.cached > 0 and time.time() - self.record.cached_at <= seconds


class Conversations:
    """Lines by group. Not thread-safe: used by the event loop only."""

    def __init__(self) -> None:
        self._groups: OrderedDict[str, list[Line]] = OrderedDict()

    def holds(self, group: str) -> bool:
        """Whether the lines of a group were read from the store."""
        return group in self._groups

    def add(self, group: str, records: Sequence[Record]) -> None:
        """Hold the stored lines of a group."""
        self._groups[group] = [_of(record) for record in records]
        while len(self._groups) > HELD:
            self._groups.popitem(last=False)

    def refresh(self, group: str, records: Sequence[Record]) -> None:
        """Take over what other processes have stored since."""
        lines = self._groups[group]
        held = {line.record.id: line for line in lines}
        for record in records:
            line = held.get(record.id)
            if line is None:
                lines.append(_of(record))
            elif (record.totals.calls, record.used) > (line.record.totals.calls, line.record.used):
                keeps = line.splice is not None and line.splice.beginning.hex() == record.beginning
                line.record, line.keys = record, [bytes.fromhex(key) for key in record.keys]
                if not keeps:
                    line.splice = line.standing = line.pending = None
                    line.restored = record.state is None

    def lines(self) -> list[Line]:
        """Return all lines held."""
        return [line for lines in self._groups.values() for line in lines]

    def records(self) -> list[Record]:
        """Return the records of all lines held."""
        return [line.record for line in self.lines()]

    def begins(self, request: Request, identity: Identity) -> str:
        """Return a hash of what is new at the beginning of a request that needs a line of its own; empty if it continues one."""
        keys = [entry.key for entry in request.entries]
        best, common = self._nearest(identity.group, keys)
        if best is not None and _continues(best, keys, common):
            return ""
        first = next((at for at, entry in enumerate(request.entries) if entry.role == "user"), 0)
        new = keys[: (first if best is None else common) + 1]
        return hashlib.sha256(b"".join(new)).hexdigest()[:24]

    def line(self, request: Request, identity: Identity, name: str = "") -> Line:
        """Return the line that a request continues, or a new one.

        A request that leaves the beginning of a line is a fork, an edit, or, if it is much shorter, what the client made of a compacted
        history. It gets a line of its own, which takes over the plan if it holds the whole beginning that the plan covers.

        Args:
            name: of a new line; made up by default.
        """
        lines = self._groups.setdefault(identity.group, [])
        self._groups.move_to_end(identity.group)
        keys = [entry.key for entry in request.entries]
        best, common = self._nearest(identity.group, keys)
        if best is not None and _continues(best, keys, common):
            found = best
        else:
            found = self._forked(best, request, common, identity, name or secrets.token_hex(8))
            lines.append(found)
        if len(keys) >= len(found.keys) or common < len(keys):
            found.keys = keys
            found.record.keys = [key.hex() for key in keys]
        found.record.used = time.time()
        lines.sort(key=lambda line: -line.record.used)
        del lines[LINES:]
        return found

    def _nearest(self, group: str, keys: Sequence[bytes]) -> tuple[Line | None, int]:
        """The line that shares the longest beginning, and its length in entries; of equal ones the last used."""
        best, common = None, -1
        for line in self._groups.get(group, ()):
            shared = common_length(line.keys, keys)
            if shared > common or (shared == common and best is not None and line.record.used > best.record.used):
                best, common = line, shared
        return best, common

    def _forked(self, origin: Line | None, request: Request, common: int, identity: Identity, name: str) -> Line:
        conversation = identity.group if identity.named else name
        record = Record(id=name, conversation=conversation, group=identity.group)
        if origin is None:
            return Line(record)
        record.epoch = origin.record.epoch + 1
        if common >= len(origin.keys) - 1:  # only the last message was written anew
            record.conversation = origin.record.conversation
        without = origin.newest is None and origin.origin is not None
        line = Line(record, origin=origin.origin if without else origin)
        splice = origin.splice
        if splice is not None and splice.fits(request, splice.profile):
            line.splice, line.standing = splice, splice.plan
            record.state, record.planned, record.floor = origin.record.state, origin.record.planned, origin.record.floor
            record.profile, record.bound, record.beginning = origin.record.profile, origin.record.bound, origin.record.beginning
            record.text_only, record.home = origin.record.text_only, origin.record.home
            record.recalled, record.recall_off = dict(origin.record.recalled), origin.record.recall_off
        return line


def _continues(line: Line, keys: Sequence[bytes], common: int) -> bool:
    return common in (len(line.keys), len(keys)) and common > 0


def _of(record: Record) -> Line:
    return Line(record, restored=record.state is None, keys=[bytes.fromhex(key) for key in record.keys])

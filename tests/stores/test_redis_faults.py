"""The Redis store when connections are cut, its server dies, hangs or has no memory left, and when clocks are wrong."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.errors import SessionCorrupted, StoreUnavailable
from optical_memory.stores import SessionId, open_store
from optical_memory.stores.redis import RedisStore
from optical_memory.turns.turn import Turn
from tests.stores.redis_servers import DURABLE, CuttingProxy, Load, Server, check_load, opened, redis_server
from tests.support import RuledRenderer

redis = pytest.importorskip("redis", reason="needs the redis extra")

ALICE = SessionId("alice")


def turn(id: str) -> Turn:
    return Turn(id=id, role="user", content=f"what {id} says")


# -- cut connections -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("writers", "each", "every"), [(3, 200, 12), pytest.param(16, 500, 100, marks=[pytest.mark.endurance, pytest.mark.nightly])]
)
def test_answers_that_are_lost_store_nothing_twice(tmp_path: Path, writers: int, each: int, every: int) -> None:
    """Processes behind a proxy that cuts: requests that never arrive, and answers of appends that were carried out."""
    context = multiprocessing.get_context("spawn")
    with redis_server(tmp_path) as server, CuttingProxy(server.port, every=every, seed=1) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}?retry_for=20"
        processes = [context.Process(target=write_alone, args=(url, writer, each), daemon=True) for writer in range(writers)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0] * writers
        assert proxy.lost_requests > 15 and proxy.lost_answers > 15
        stored = open_store(server.url()).read(ALICE)
    assert [turn.number for turn in stored] == list(range(1, writers * each + 1))
    for writer in range(writers):
        assert [turn.id for turn in stored if turn.name == f"w{writer}"] == [f"{writer} {place}" for place in range(each)]


def write_alone(url: str, writer: int, each: int) -> None:
    store, before = opened(url), 0
    for place in range(each):
        (stored,) = store.append(ALICE, [Turn(id=f"{writer} {place}", role="user", name=f"w{writer}", content="x")])
        assert stored.number > before
        before = stored.number
    store.close()


# -- servers that die and hang -------------------------------------------------------------------------------------------------------


def test_a_server_that_is_killed_and_started_again_has_every_acknowledged_turn(tmp_path: Path) -> None:
    with redis_server(tmp_path, *DURABLE) as server:
        with Load(server.url("retry_for=20"), [ALICE], writers=4) as load:
            for _ in range(3):
                load.wait_for(200)
                server.kill()
                server.start()
            load.wait_for(200)
        assert load.failures == []
        check_load(load, server.url())


@pytest.mark.endurance
def test_a_server_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    """What was sent meanwhile is carried out once the server goes on: an append that was given up, and is then done again, is one turn."""
    marks = WaterMarks(high=300, low=60)
    with redis_server(tmp_path) as server:
        url = server.url("socket_timeout=0.3&socket_connect_timeout=0.3&retry_for=0.5")
        with OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=marks) as memory:
            for place in range(20):
                memory.append({"role": "user", "content": f"turn {place} speaks of QX-77{place:03}. " * 8, "id": f"m{place}"})
            assert memory.context().pages
            late = {"role": "user", "content": "said while it hung", "id": "late"}
            calls: list[Callable[[], Any]] = [
                lambda: memory.append(late),  # first, on the connection that is there: the server has it all the while
                memory.turns,
                memory.context,
                memory.__len__,
                lambda: memory.recall("QX-77003"),
                lambda: memory.append(late),
                lambda: open_store(url),
            ]
            server.signal(signal.SIGSTOP)
            for call in calls:
                began = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    call()
                assert time.monotonic() - began < 5
            server.signal(signal.SIGCONT)
            assert memory.append(late).number == 21
            assert [each.id for each in memory.turns()] == [*(f"m{place}" for place in range(20)), "late"]
            assert memory.recall("hung")[0].number == 21
            assert memory.context().pages


# -- a server without memory ---------------------------------------------------------------------------------------------------------

PAGE = bytes(range(256)) * 235  # 60 kB
SESSIONS, ROUNDS = [SessionId("alice", f"tenant {place}") for place in range(40)], 30


def endured(policy: str) -> Any:
    return pytest.param(policy, marks=pytest.mark.endurance)


def crowded(folder: Path, policy: str) -> Server:
    return Server(folder, "--maxmemory", "20mb", "--maxmemory-policy", policy)


def fill(store: RedisStore) -> tuple[dict[SessionId, list[str]], list[Exception]]:
    """What of 1,200 turns was acknowledged, and what was raised, beside 72 MB of pages. A session that raised is left alone."""
    told: dict[SessionId, list[str]] = {session: [] for session in SESSIONS}
    raised: dict[SessionId, Exception] = {}
    for place in range(ROUNDS):
        for session in (session for session in SESSIONS if session not in raised):
            id = f"{session.tenant} {place}"
            try:
                (stored,) = store.append(session, [turn(id)])
            except (StoreUnavailable, SessionCorrupted) as exc:
                raised[session] = exc
            else:
                told[session] = [*told[session], id] if stored.number > 1 else [id]  # begun anew: its name was thrown away as well
            store.put(session, {f"page {place}": PAGE})
    return told, list(raised.values())


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", *map(endured, ("volatile-lfu", "volatile-random", "volatile-ttl"))])
def test_a_full_server_throws_no_turn_away(tmp_path: Path, policy: str) -> None:
    server = crowded(tmp_path, policy)
    try:
        server.start()
        store = RedisStore(server.url())
        told, raised = fill(store)
        assert {session: [each.id for each in store.read(session)] for session in SESSIONS} == told
        if policy == "noeviction":
            assert len(raised) == len(SESSIONS)
            assert all(isinstance(exc, StoreUnavailable) and "maxmemory" in str(exc) for exc in raised)
            with server.client() as client:
                client.config_set("maxmemory", "100mb")
            session, length = SESSIONS[0], len(told[SESSIONS[0]])
            assert store.append(session, [turn(f"{session.tenant} {length}")])[0].number == length + 1
        else:
            assert raised == []
            assert server.info("evicted_keys") > 0
        store.close()
    finally:
        server.kill()


@pytest.mark.parametrize("policy", ["allkeys-lru", *map(endured, ("allkeys-lfu", "allkeys-random"))])
def test_a_server_that_throws_anything_away_never_gives_a_part_of_a_session(tmp_path: Path, policy: str) -> None:
    """Whole, or `SessionCorrupted`. The hash of a tenant's sessions is a key like others: without it, a session that is gone altogether is
    one that never was. So only sessions that are still named there may not be empty; each has a tenant of its own, or all names would go at
    once. Which are left is chance; test_redis_damage.py takes all keys of one that is named.
    """
    server = crowded(tmp_path, policy)
    try:
        server.start()
        store = RedisStore(server.url())
        told, raised = fill(store)
        assert len(raised) > 5 and all(isinstance(exc, SessionCorrupted) for exc in raised)
        outcomes = {session: ids_of(store, session) for session in SESSIONS}
        assert None in outcomes.values()
        with server.client() as client:
            named = {session for session in SESSIONS if client.hexists(store.layout.index(session.tenant), session.name)}
        for session, outcome in outcomes.items():
            assert outcome in (None, told[session], *([] if session in named else [[]]))
        store.close()
    finally:
        server.kill()


def ids_of(store: RedisStore, session: SessionId) -> list[str] | None:
    """Of all turns; None for a session that raises."""
    try:
        return [each.id for each in store.read(session)]
    except SessionCorrupted as exc:
        assert exc.session == session.name
        return None


# -- wrong clocks --------------------------------------------------------------------------------------------------------------------

# Replaces what tells the time before anything else is imported; then appends one turn for each line that it reads.
SKEWED = """
import datetime, sys, time
skew = float(sys.argv[2])
real, real_ns = time.time, time.time_ns
time.time, time.time_ns = lambda: real() + skew, lambda: real_ns() + int(skew * 10**9)
class Skewed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Skewed
from optical_memory import OpticalMemory
memory = OpticalMemory("alice", store=sys.argv[1], renderer="pillow")
for line in sys.stdin:
    stored = memory.append({"role": "user", "content": "x", "id": line.strip()})
    print(stored.number, stored.created_at.isoformat(), flush=True)
"""


@pytest.mark.endurance
def test_clocks_of_writers_do_not_matter(clean_redis: str) -> None:
    """One writer lives a year ahead, the other a year behind; a session of two seconds ends two seconds after the last append."""
    year = timedelta(days=365)
    skews = (year, -year)
    writers = [_skewed(f"{clean_redis}?ttl=2s", skew) for skew in skews]
    store = RedisStore(f"{clean_redis}?ttl=2s")
    try:
        for number in range(1, 9):
            stored, created_at = _tell(writers[number % 2], f"m{number}")
            assert stored == number
            assert abs(created_at - datetime.now(UTC) - skews[number % 2]) < timedelta(minutes=5)  # its clock is wrong indeed
            time.sleep(0.4)  # 3.2 s in all: a session that lived from its first append on would be over
        seconds, micros = store.wire.command("TIME")
        server_time = datetime.fromtimestamp(int(seconds) + int(micros) / 1e6, UTC)
        (info,) = store.sessions()
        assert info.turns == 8
        assert info.last_append is not None and timedelta(0) <= server_time - info.last_append < timedelta(seconds=2)
        assert [each.id for each in store.read(ALICE)] == [f"m{number}" for number in range(1, 9)]
        assert 0 < store.wire.command("PTTL", store.layout.keys(ALICE)[0]) <= 2_000
        time.sleep(2.1)
        assert store.read(ALICE) == [] and store.sessions() == []
        assert _tell(writers[0], "anew")[0] == 1
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
        store.close()


def _skewed(url: str, skew: timedelta) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SKEWED, url, str(skew.total_seconds())]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def _tell(writer: subprocess.Popen[str], id: str) -> tuple[int, datetime]:
    """What a writer says of a turn that it appended: number and time."""
    assert writer.stdin is not None and writer.stdout is not None
    writer.stdin.write(f"{id}\n")
    writer.stdin.flush()
    number, created_at = writer.stdout.readline().split()
    return int(number), datetime.fromisoformat(created_at)

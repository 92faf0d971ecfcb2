"""How long sessions and pages live in Redis, older layouts, what a check finds, and erasure down to the files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.errors import SessionCorrupted, StoreError
from optical_memory.stores import SessionId, open_store
from optical_memory.stores.codec import digest, encode
from optical_memory.stores.redis import Options, RedisStore
from optical_memory.stores.redis.health_check import check
from optical_memory.turns.turn import ToolCall, Turn
from tests.stores.redis_servers import DURABLE, redis_server, wait_until
from tests.support import RuledRenderer

redis = pytest.importorskip("redis", reason="needs the redis extra")

ALICE = SessionId("alice")
LOG = ("meta", "log")


def turn(text: str, **fields: Any) -> Turn:
    return Turn(**{"id": text, "role": "user", "content": text} | fields)


def full(text: str) -> Turn:
    """A turn that has something in every key."""
    return turn(text, role="assistant", pinned=True, tool_calls=(ToolCall(id=f"call {text}", name="f"),))


@pytest.fixture
def client(clean_redis: str) -> Any:
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


def opened(url: str, **options: Any) -> RedisStore:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    store = open_store(f"{url}?{query}")
    assert isinstance(store, RedisStore)
    return store


def lives(store: RedisStore, client: Any, session: SessionId = ALICE) -> dict[str, int]:
    """Milliseconds that each key has left; -1 for ever."""
    return {key.decode().rpartition(":")[2]: client.pttl(key) for key in store.layout.keys(session)}


def test_by_default_the_log_stays_and_pages_end(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis)
    store.append(ALICE, [full("a")])
    store.put(ALICE, {"page": b"x"})
    left = lives(store, client)
    assert {left[part] for part in LOG} == {-1}
    assert 6.9 * 86_400_000 < left["cache"] <= 7 * 86_400_000


def test_all_keys_of_a_session_end_together_and_each_append_moves_the_end(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis, ttl="1h")
    store.append(ALICE, [turn("a")])
    first = lives(store, client)["log"]
    assert 0 < first <= 3_600_000
    client.pexpire(store.layout.keys(ALICE)[1], 50_000)
    store.append(ALICE, [full("b")])  # brings keys that were not there
    store.put(ALICE, {"page": b"x"})
    left = lives(store, client)
    assert max(left[part] for part in LOG) - min(left[part] for part in LOG) < 100 and left["log"] > first - 10_000
    assert 0 < left["cache"] <= left["log"] + 100  # pages do not outlive their session
    store.read(ALICE)
    client.pexpire(store.layout.keys(ALICE)[0], 60_000)
    store.read(ALICE)
    assert lives(store, client)["meta"] <= 60_000  # reading moves nothing unless it was asked for


def test_reading_moves_the_end_where_that_was_asked_for(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis, ttl="1h", expiry="sliding-read")
    store.append(ALICE, [full("a")])
    for part in LOG:
        client.pexpire(f"{store.layout.tag(ALICE)}:{part}", 10_000)
    store.read(ALICE)
    assert min(lives(store, client)[part] for part in LOG) > 3_500_000


def test_a_fixed_end_is_not_moved(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis, ttl="1h", expiry="fixed")
    store.append(ALICE, [turn("a")])
    end = client.pexpiretime(store.layout.keys(ALICE)[0])
    time.sleep(0.05)
    store.append(ALICE, [full("b")])
    store.read(ALICE)
    assert {client.pexpiretime(f"{store.layout.tag(ALICE)}:{part}") for part in LOG} == {end}


def test_an_end_for_one_session(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis)
    store.append(ALICE, [full("a")])
    store.put(ALICE, {"page": b"x"})
    store.expire(ALICE, 0.3)
    wait_until(lambda: not client.exists(*store.layout.keys(ALICE)), "the session ends")
    assert (store.length(ALICE), store.read(ALICE), store.sessions(), store.count_sessions()) == (0, [], [], 0)
    assert store.append(ALICE, [turn("anew")])[0].number == 1
    store.expire(ALICE, 100)
    store.expire(ALICE, None)
    assert lives(store, client)["log"] == -1
    client.delete(*store.layout.keys(ALICE))
    with pytest.raises(SessionCorrupted, match="all of it is gone"):  # for ever is for ever
        store.read(ALICE)
    with pytest.raises(LookupError, match="nobody"):
        store.expire(SessionId("nobody"), 5)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="positive number"):
            store.expire(ALICE, wrong)


def test_pages_that_ended_are_drawn_again_and_counted(clean_redis: str, client: Any) -> None:
    def open_memory() -> OpticalMemory:
        return OpticalMemory("alice", store=clean_redis, renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60))

    memory = open_memory()
    memory.extend([("user" if n % 2 else "assistant", f"turn {n} " + "word " * 40) for n in range(40)])
    before = memory.context()
    assert before.pages and memory.stats().pages_redrawn == 0
    store = opened(clean_redis)
    pictures = [part.image() for part in before.pages]
    client.hdel(store.layout.keys(ALICE)[2], *[name for name in store.names(ALICE) if name.startswith("picture/")])
    other = open_memory()
    assert [part.image() for part in other.context().pages] == pictures
    assert other.stats().pages_redrawn > 0
    client.delete(store.layout.keys(ALICE)[2])  # the server evicts all of it at once
    again = memory.context()
    assert [part.image() for part in again.pages] == pictures
    assert memory.stats().pages_redrawn == len(memory.pages()) == memory.stats().pages_sealed


def test_namespaces_and_tenants_never_meet(clean_redis: str) -> None:
    stores = [opened(clean_redis, namespace=name) for name in ("om", "om2", "o", "om.index")]
    for store in stores:
        for tenant in ("", "a", "b"):
            store.append(SessionId("s", tenant), [turn(f"{store.options.namespace} {tenant}")])
    for store in stores:
        assert [item.content for item in store.read(SessionId("s", "a"))] == [f"{store.options.namespace} a"]
        assert [info.id for info in store.sessions("a")] == [SessionId("s", "a")]
        assert check(store).sessions == 3


def test_a_session_of_the_first_layout_is_brought_to_this_one(clean_redis: str, client: Any) -> None:
    """Written as release 0.1 in its first form wrote it: no version, no counts, and a set for the names."""
    store = opened(clean_redis)
    meta, log, _ = store.layout.keys(ALICE)
    ids, calls, pins = store.layout.old_keys(ALICE)
    for number, item in enumerate([full("a"), turn("b")], 1):
        client.rpush(log, encode(item))
        client.hset(ids, digest(item.id), number)
    client.hset(meta, mapping={"length": 2, "appended": 1_700_000_000_000_000, "generation": "g"})
    client.hset(calls, digest("call a"), 1)
    client.zadd(pins, {1: 1})
    client.sadd("om:sessions:", b"alice")
    assert [info.id for info in store.sessions()] == [ALICE]
    assert [(item.content, item.pinned) for item in store.read(ALICE)] == [("a", True), ("b", False)]
    assert store.append(ALICE, [turn("b"), turn("c")])[1].number == 3
    assert store.known_calls(ALICE, ["call a"]) == {"call a"}
    assert store.pinned(ALICE) == [1]
    assert client.hget(meta, "v") == b"2" and not client.exists("om:sessions:", ids, calls, pins)
    store.erase(ALICE)
    assert client.keys() == []


def test_a_damaged_session_of_the_first_layout_is_not_taken_over(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis)
    meta, log, _ = store.layout.keys(ALICE)
    ids, *_ = store.layout.old_keys(ALICE)
    client.rpush(log, encode(turn("b")))
    client.hset(ids, mapping={digest("a"): 1, digest("b"): 2})
    client.hset(meta, "length", 2)
    with pytest.raises(SessionCorrupted, match="lost: turn #1") as lost:
        store.read(ALICE)
    assert (lost.value.session, lost.value.missing) == ("alice", (1,))


def test_a_newer_layout_is_left_alone(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis)
    store.append(ALICE, [turn("a")])
    client.hset(store.layout.keys(ALICE)[0], "v", 3)
    for call in (lambda: store.read(ALICE), lambda: store.append(ALICE, [turn("b")])):
        with pytest.raises(StoreError, match="newer release"):
            call()
    assert client.llen(store.layout.keys(ALICE)[1]) == 1


def test_a_check_finds_what_is_lost(clean_redis: str, client: Any) -> None:
    store = opened(clean_redis)
    names = ["whole", "cut", "garbled", "swapped", "gone", "unlisted", "ended"]
    for name in names:
        store.append(SessionId(name), [full(f"{name} {number}") for number in range(1, 4)])
    store.put(SessionId("only pages"), {"page": b"x"})
    keys = {name: store.layout.keys(SessionId(name)) for name in names}
    client.lrem(keys["cut"][1], 1, client.lindex(keys["cut"][1], 1))
    client.lset(keys["garbled"][1], 2, b"\xff\0 rubbish")
    first, second = client.lrange(keys["swapped"][1], 0, 1)
    client.lset(keys["swapped"][1], 0, second)
    client.lset(keys["swapped"][1], 1, first)
    client.delete(*keys["gone"])
    client.hdel("om:index:", b"unlisted")
    store.expire(SessionId("ended"), 0.01)
    wait_until(lambda: not client.exists(keys["ended"][0]), "the session ends")
    store.erase(SessionId("whole"), [2])
    report = check(store)
    found = {problem.session.name: problem.what for problem in report.problems if problem.session}
    assert found == {
        "cut": "the log holds 2 of 3 turns; lost: turn #2. Restore the server from a backup, or erase the session",
        "garbled": "the records of turn #3 cannot be read",
        "swapped": "the records of turns #1 to #2 stand where another one should",
        "gone": "all of it is gone, and nobody erased it",
        "unlisted": "it is not in its tenant's list",
    }
    assert (report.sessions, report.turns, report.erased, report.caches, report.has_errors) == (4, 11, 1, 1, True)
    check(store, repair=True)
    assert "unlisted" in [info.id.name for info in store.sessions()]
    assert not client.hexists("om:index:", b"ended")
    for name in ("cut", "garbled", "swapped", "gone"):
        store.erase(SessionId(name))
    assert not check(store).has_errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--maxmemory-policy", "allkeys-lru", *DURABLE], ["allkeys-lru throws sessions away"]),
        (["--maxmemory-policy", "volatile-lru", "--appendonly", "no"], ["keeps no append-only file"]),
        (["--maxmemory-policy", "noeviction", *DURABLE], []),
        (["--rename-command", "INFO", "", *DURABLE], ["does not say"]),
    ],
)
def test_a_check_warns_of_settings_that_lose(tmp_path: Path, options: list[str], words: list[str], caplog: Any) -> None:
    with redis_server(tmp_path, *options) as server:
        store = RedisStore(server.url())
        problems = check(store).problems
    assert len(problems) == len(words)
    assert all(word in problem.what and problem.level == "warning" for word, problem in zip(words, problems, strict=True))
    assert ("allkeys-lru" in caplog.text) == ("allkeys-lru" in options)  # said when the store is opened, too


def test_what_was_erased_is_in_no_file_of_the_server(tmp_path: Path) -> None:
    def holding(secret: bytes) -> list[str]:
        return [path.name for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]

    with redis_server(tmp_path, *DURABLE, "--save", "3600 1000") as server:
        memory = OpticalMemory("alice", store=server.url(), renderer=RuledRenderer(rows=900), marks=WaterMarks(high=300, low=60))
        memory.append({"role": "user", "content": "the launch code is XYZZY-4711", "id": "own id"})
        memory.extend([("user" if n % 2 else "assistant", f"turn {n} " + "word " * 40) for n in range(40)])
        memory.context()
        with server.client() as client:
            client.bgsave()
        wait_until(lambda: "dump.rdb" in [path.name for path in tmp_path.rglob("*")], "a snapshot")
        assert holding(b"XYZZY-4711")
        early = memory.prove_erased(1)
        assert any(trace.clean is False for trace in early.traces) and not early.is_complete
        memory.erase(1)
        proof = memory.prove_erased(1)
        assert proof.is_complete and (proof.session, proof.turns) == ("alice", (1,))
        assert [trace.place for trace in proof.traces] == ["log", "pages", "server", "replicas", "append-only file", "snapshot"]
        assert holding(b"XYZZY-4711") == []
        assert any(trace.clean is False for trace in memory.prove_erased().traces)
        memory.erase()
        assert memory.prove_erased().is_complete
        assert holding(b"turn 7 word") == []


def test_a_proof_says_what_it_could_not_look_at(tmp_path: Path) -> None:
    renamed = [part for command in ("BGREWRITEAOF", "BGSAVE", "CONFIG") for part in ("--rename-command", command, "")]
    with redis_server(tmp_path, *DURABLE, "--save", "3600 1", *renamed) as server:
        memory = OpticalMemory("alice", store=server.url(), renderer=RuledRenderer())
        memory.append(("user", "secret"))
        memory.erase(1)
        proof = memory.prove_erased(1)
    assert not proof.is_complete and all(trace.clean is not False for trace in proof.traces)
    assert [(trace.place, trace.clean) for trace in proof.traces][-2:] == [("append-only file", None), ("snapshot", None)]
    assert "BGREWRITEAOF did not work" in proof.traces[-2].details
    sqlite = OpticalMemory("alice", store=f"sqlite:///{tmp_path}/x.db", renderer=RuledRenderer())
    assert [(trace.place, trace.clean) for trace in sqlite.prove_erased().traces] == [("log", True), ("pages", True), ("file", True)]


def test_options_beside_a_client(clean_redis: str, client: Any) -> None:
    with redis.Redis.from_url(clean_redis, socket_timeout=5) as lent:
        store = RedisStore(lent, options=Options(namespace="mine", ttl=60, pages_ttl=30))
        store.append(ALICE, [turn("a")])
        store.put(ALICE, {"page": b"x"})
        left = lives(store, client)
    assert 0 < left["cache"] <= 30_000 < left["log"] <= 60_000
    with pytest.raises(TypeError, match="query"):
        RedisStore(clean_redis, options=Options())
    with pytest.raises(TypeError, match="URL or a client"):
        RedisStore(json)

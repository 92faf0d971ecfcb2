"""Records on a Redis server are sealed for their places: what was moved, copied or slipped in is told, and never read as a turn."""

from __future__ import annotations

import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.errors import SessionCorrupted, StoreError, WrongKey
from optical_memory.stores import SessionId
from optical_memory.stores.codec import encode
from optical_memory.stores.encryption import BOUND, SEALED
from optical_memory.stores.redis import Options, RedisStore
from optical_memory.stores.redis.health_check import check, rotate
from optical_memory.stores.redis.key_names import PARTS, Layout
from optical_memory.turns.turn import Turn
from tests.sampling import examples

redis = pytest.importorskip("redis", reason="needs the redis extra")
fernet = pytest.importorskip("cryptography.fernet", reason="needs the encryption extra")

KEY, OTHER = (fernet.Fernet.generate_key().decode() for _ in range(2))
ALICE, BOB, FOREIGN = SessionId("alice", "acme"), SessionId("bob", "acme"), SessionId("alice", "other")
TURNS = [Turn(id=f"m{number}", role="user", content=f"turn {number}") for number in range(1, 9)]
FORGED = Turn(id="m6", role="user", content="forged")
REFUSED = (WrongKey, SessionCorrupted)


@pytest.fixture
def client(clean_redis: str) -> Any:
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


@pytest.fixture
def store(clean_redis: str) -> RedisStore:
    opened = RedisStore(clean_redis, keys=[KEY])
    for session in (ALICE, BOB, FOREIGN):
        opened.append(session, [turn.model_copy(update={"content": f"{turn.content} of {session}"}) for turn in TURNS])
        opened.put(session, {"picture/x/1": f"pixels of {session}".encode(), "plan/a": b"a", "plan/b": b"b"})
    return opened


def key(session: SessionId, part: str) -> bytes:
    return Layout().keys(session)[PARTS.index(part)]


def unbound(data: bytes, fernet_key: str = KEY) -> bytes:
    """As the last release sealed."""
    return SEALED + urlsafe_b64decode(fernet.Fernet(fernet_key).encrypt(data))


def as_last_release_left_it(client: Any, session: SessionId, turns: list[Turn], cached: dict[str, bytes], seal: Any = unbound) -> None:
    """A session with records sealed for no place, and `meta` of layout 2."""
    plain = RedisStore(_url(client), keys=[])
    plain.append(session, turns)
    for place, record in enumerate(client.lrange(key(session, "log"), 0, -1)):
        client.lset(key(session, "log"), place, seal(record))
    for name, data in cached.items():
        client.hset(key(session, "cache"), name, seal(data))
    assert client.hget(key(session, "meta"), "v") == b"2"


def _url(client: Any) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/{client.connection_pool.connection_kwargs.get('db', 0)}"


# -- the log ---------------------------------------------------------------------------------------------------------------------------


def copied(source: SessionId, number: int) -> Callable[[Any], bytes]:
    return lambda client: client.lindex(key(source, "log"), number - 1)


SLIPPED_IN: dict[str, Callable[[Any], bytes]] = {
    "another session's, of the same number": copied(BOB, 6),
    "another tenant's session of the same name": copied(FOREIGN, 6),
    "a replay of #7": copied(ALICE, 7),
    "a replay of #5": copied(ALICE, 5),
    "plain text": lambda client: encode(FORGED),
    "plain text behind its mark": lambda client: b"\0plain.\1" + encode(FORGED),
    "a record of the last release": lambda client: unbound(encode(FORGED)),
    "a cached entry": lambda client: client.hget(key(ALICE, "cache"), "plan/a"),
    "sealed with another key": lambda client: unbound(encode(FORGED), OTHER),
    "a mark and nothing behind it": lambda client: BOUND,
}


@pytest.mark.parametrize("slipped", SLIPPED_IN)
def test_a_record_that_belongs_elsewhere_is_told(store: RedisStore, client: Any, slipped: str) -> None:
    client.lset(key(ALICE, "log"), 5, SLIPPED_IN[slipped](client))
    fresh = RedisStore(store.url, keys=[KEY])
    calls: list[Callable[[], Any]] = [
        lambda: fresh.read(ALICE),
        lambda: fresh.read(ALICE, 6, 7),
        lambda: fresh.append(ALICE, [TURNS[5]]),  # known: the stored one comes back
        lambda: fresh.search(ALICE, "turn", 5),
    ]
    for call in calls:
        with pytest.raises(REFUSED):
            call()
    assert len(fresh.read(ALICE, 1, 6)) == 5 and len(fresh.read(ALICE, 7)) == 2, "the others are read"
    assert check(fresh).has_errors
    assert fresh.erase(ALICE, [6]) == [6], "it can be erased"
    assert [turn.number for turn in fresh.read(ALICE)] == [1, 2, 3, 4, 5, 7, 8] and not check(fresh).has_errors


@pytest.mark.parametrize("at", [1, 6, 8])
@pytest.mark.parametrize("slipped", ["plain text", "a record of the last release"])
def test_removing_the_session_s_mark_does_not_help(store: RedisStore, client: Any, slipped: str, at: int) -> None:
    client.hset(key(ALICE, "meta"), "v", 2)
    client.hdel(key(ALICE, "meta"), "since")
    client.lset(key(ALICE, "log"), at - 1, SLIPPED_IN[slipped](client))
    for start, stop in ((1, None), (at, at + 1)):
        with pytest.raises(SessionCorrupted) as told:
            RedisStore(store.url, keys=[KEY]).read(ALICE, start, stop)
        assert told.value.missing == (at,) and told.value.session == "alice"


def test_two_turns_that_changed_places_are_told(store: RedisStore, client: Any) -> None:
    log = key(ALICE, "log")
    six, seven = client.lindex(log, 5), client.lindex(log, 6)
    client.lset(log, 5, seven)
    client.lset(log, 6, six)
    with pytest.raises(SessionCorrupted, match="another place"):
        store.read(ALICE)


def test_a_whole_session_under_another_name_is_told(store: RedisStore, client: Any) -> None:
    for part in PARTS:
        client.copy(key(BOB, part), key(ALICE, part), replace=True)
    with pytest.raises(SessionCorrupted):
        store.read(ALICE)
    with pytest.raises(SessionCorrupted):
        store.get(ALICE, ["picture/x/1"])


# -- the cache -------------------------------------------------------------------------------------------------------------------------

ENTRIES: dict[str, Callable[[Any], bytes]] = {
    "another session's": lambda client: client.hget(key(BOB, "cache"), "picture/x/1"),
    "another tenant's": lambda client: client.hget(key(FOREIGN, "cache"), "picture/x/1"),
    "of another name": lambda client: client.hget(key(ALICE, "cache"), "plan/a"),
    "plain": lambda client: b"forged pixels",
    "of the last release": lambda client: unbound(b"forged pixels"),
    "a turn": copied(ALICE, 1),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_cached_entry_that_belongs_elsewhere_is_told(store: RedisStore, client: Any, entry: str) -> None:
    client.hset(key(ALICE, "cache"), "picture/x/1", ENTRIES[entry](client))
    with pytest.raises(REFUSED):
        store.get(ALICE, ["plan/a", "picture/x/1"])
    assert store.get(ALICE, ["plan/a"]) == {"plan/a": b"a"}
    assert not store.swap(ALICE, "picture/x/1", b"forged pixels", b"next"), "it is not what one has seen"
    assert store.swap(ALICE, "picture/x/1", None, b"made again"), "it counts as absent"
    assert store.get(ALICE, ["picture/x/1"]) == {"picture/x/1": b"made again"}


def test_pages_of_another_session_are_drawn_again_and_never_shown(store: RedisStore, client: Any, caplog: pytest.LogCaptureFixture) -> None:
    words = {name: [f"{name} says {number}: " + f"{name} " * 60 for number in range(40)] for name in ("mine", "yours")}
    contexts = {}
    for name, said in words.items():
        memory = OpticalMemory(name, store=store, renderer="pillow")
        memory.extend([{"role": "user" if place % 2 == 0 else "assistant", "content": text} for place, text in enumerate(said)])
        contexts[name] = memory.context(1500)
        assert contexts[name].pages
    mine, yours = (key(SessionId(name), "cache") for name in words)
    entries = {side: [name for name in client.hkeys(side) if name.startswith((b"picture/", b"run/", b"plan/"))] for side in (mine, yours)}
    for name in entries[mine]:
        kind = name.partition(b"/")[0]
        client.hset(mine, name, client.hget(yours, next(each for each in entries[yours] if each.startswith(kind))))
    again = OpticalMemory("mine", store=store, renderer="pillow").context(1500)
    assert [page.image() for page in again.pages] == [page.image() for page in contexts["mine"].pages]
    assert "another place" in caplog.text


# -- records of the last release -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seal", [unbound, lambda data: data], ids=["sealed", "plain"])
def test_what_the_last_release_wrote_stays_readable_until_it_is_bound(client: Any, clean_redis: str, seal: Any) -> None:
    as_last_release_left_it(client, ALICE, TURNS, {"plan/a": b"old plan"}, seal)
    store = RedisStore(clean_redis, keys=[KEY])
    before = store.read(ALICE)
    assert [turn.content for turn in before] == [turn.content for turn in TURNS] and store.get(ALICE, ["plan/a"]) == {"plan/a": b"old plan"}
    after = before + store.append(ALICE, [TURNS[0], Turn(id="m9", role="user", content="turn 9")])[1:]
    assert store.read(ALICE) == after and check(store).unsealed == 8
    copy = client.lindex(key(ALICE, "log"), 3)
    client.lset(key(ALICE, "log"), 8, copy)  # a record of the last release where it cannot have written any
    with pytest.raises(SessionCorrupted):
        store.read(ALICE, 9)
    store.erase(ALICE, [9])
    assert rotate(store) == (8, 1) and rotate(store) == (0, 0) and check(store).unsealed == 0
    assert store.read(ALICE) == before and store.get(ALICE, ["plan/a"]) == {"plan/a": b"old plan"}
    for place in range(8):
        kept = client.lindex(key(ALICE, "log"), place)
        client.lset(key(ALICE, "log"), place, copy)
        with pytest.raises(SessionCorrupted):
            store.read(ALICE, place + 1, place + 2)
        client.lset(key(ALICE, "log"), place, kept)
    client.hset(key(ALICE, "cache"), "plan/a", unbound(b"old plan"))
    with pytest.raises(SessionCorrupted):
        store.get(ALICE, ["plan/a"])


def test_a_rotation_that_was_cut_short_leaves_all_readable(client: Any, clean_redis: str) -> None:
    as_last_release_left_it(client, ALICE, TURNS, {})
    store = RedisStore(clean_redis, keys=[KEY])
    before, good = store.read(ALICE), client.lindex(key(ALICE, "log"), 3)
    client.lset(key(ALICE, "log"), 3, unbound(encode(TURNS[3]), OTHER))
    with pytest.raises(WrongKey):
        rotate(store)
    client.lset(key(ALICE, "log"), 3, good)
    assert store.read(ALICE) == before and all(store.read(ALICE, number, number + 1) for number in range(1, 9))
    assert rotate(store)[0] == 4 and store.read(ALICE) == before


def test_unbound_records_can_be_refused_anywhere(client: Any, clean_redis: str) -> None:
    as_last_release_left_it(client, ALICE, TURNS, {"plan/a": b"x"})
    strict = RedisStore(f"{clean_redis}?unbound=refuse", keys=[KEY])
    for call in (lambda: strict.read(ALICE), lambda: strict.get(ALICE, ["plan/a"])):
        with pytest.raises(SessionCorrupted):
            call()
    rotate(RedisStore(clean_redis, keys=[KEY]))
    assert len(strict.read(ALICE)) == 8 and strict.get(ALICE, ["plan/a"]) == {"plan/a": b"x"}
    with pytest.raises(ValueError, match="needs a key"):
        RedisStore(f"{clean_redis}?unbound=refuse", keys=[])
    with pytest.raises(ValueError, match="known: read, refuse"):
        Options(unbound="maybe")


def test_a_process_without_a_key_writes_no_plain_text_into_a_sealed_session(store: RedisStore) -> None:
    plain = RedisStore(store.url, keys=[])
    for call in (
        lambda: plain.append(ALICE, [FORGED.model_copy(update={"id": "new"})]),
        lambda: plain.put(ALICE, {"plan/a": b"x"}),
        lambda: plain.swap(ALICE, "plan/c", None, b"x"),
    ):
        with pytest.raises(WrongKey, match="no key is given"):
            call()
    assert len(store.read(ALICE)) == 8 and store.names(ALICE) == ["picture/x/1", "plan/a", "plan/b"]


# -- numbers are known only when they are given ----------------------------------------------------------------------------------------


def test_turns_are_sealed_for_the_numbers_that_they_get(clean_redis: str) -> None:
    """Eight writers at once, of stores that do not know of each other; every record opens in its place."""
    stores = [RedisStore(clean_redis, keys=[KEY]) for _ in range(4)]

    def write(writer: int) -> None:
        for batch in range(12):
            ids = [f"{writer} {batch} {each}" for each in range(3)]
            stores[writer % 4].append(ALICE, [Turn(id=id, role="user", content=id) for id in [*ids, "shared", ids[0]]])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = RedisStore(clean_redis, keys=[KEY]).read(ALICE)
    assert len(turns) == 8 * 12 * 3 + 1 and all(turn.content == turn.id for turn in turns)
    assert [turn.number for turn in turns] == list(range(1, len(turns) + 1))


def test_a_session_that_began_anew_meanwhile(store: RedisStore, clean_redis: str) -> None:
    other = RedisStore(clean_redis, keys=[KEY])
    other.erase(ALICE)
    other.append(ALICE, TURNS[:2])
    assert [turn.number for turn in store.append(ALICE, [*TURNS[:3], TURNS[2]])] == [1, 2, 3, 3]
    assert [turn.number for turn in store.read(ALICE)] == [1, 2, 3]
    store.erase(ALICE, [2])
    (again,) = store.append(ALICE, [TURNS[1]])
    assert again.number == 2 and not again.content


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**9), kind=st.sampled_from(["log", "cache"]))
def test_a_flipped_bit_never_gives_other_words(clean_redis: str, at: int, kind: str) -> None:
    with redis.Redis.from_url(clean_redis) as client:
        client.flushdb()
        store = RedisStore(clean_redis, keys=[KEY])
        store.append(ALICE, TURNS[:1])
        store.put(ALICE, {"plan/a": b"the plan"})
        held = client.lindex(key(ALICE, "log"), 0) if kind == "log" else client.hget(key(ALICE, "cache"), "plan/a")
        bit = at % (len(held) * 8)
        changed = bytearray(held)
        changed[bit // 8] ^= 1 << bit % 8
        if kind == "log":
            client.lset(key(ALICE, "log"), 0, bytes(changed))
            with pytest.raises(StoreError):
                store.read(ALICE)
            return
        client.hset(key(ALICE, "cache"), "plan/a", bytes(changed))
        with suppress(*REFUSED):
            assert store.get(ALICE, ["plan/a"]) == {}

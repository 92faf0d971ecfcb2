"""A session of the Redis store that lost something: never a shorter one, and an error that says which turns are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from optical_memory.errors import SessionCorrupted
from optical_memory.stores import SessionId
from optical_memory.stores.redis import RedisStore
from optical_memory.stores.redis.key_names import PARTS
from optical_memory.turns.turn import ToolCall, Turn

redis = pytest.importorskip("redis", reason="needs the redis extra")

ALICE = SessionId("alice", "acme")
TURNS = [
    Turn(
        id=f"m{number}",
        role="assistant",
        content=f"turn {number}",
        pinned=number in (2, 4),
        tool_calls=(ToolCall(id=f"c{number}", name="f"),),
    )
    for number in range(1, 6)
]
CALLS: dict[str, Callable[[RedisStore], Any]] = {
    "read": lambda store: store.read(ALICE),
    "read a part": lambda store: store.read(ALICE, 2, 3),
    "append": lambda store: store.append(ALICE, [Turn(id="m6", role="user", content="x")]),
    "append again": lambda store: store.append(ALICE, TURNS[:1]),
    "length": lambda store: store.length(ALICE),
    "search": lambda store: store.search(ALICE, "turn", 5),
    "pin": lambda store: store.pin(ALICE, 1, True),
    "pinned": lambda store: store.pinned(ALICE),
    "known_calls": lambda store: store.known_calls(ALICE, ["c1"]),
    "erase": lambda store: store.erase(ALICE, [1]),
}


@pytest.fixture
def store(clean_redis: str) -> Iterator[RedisStore]:
    opened = RedisStore(clean_redis)
    opened.append(ALICE, TURNS)
    opened.put(ALICE, {"page": b"x"})
    opened.search(ALICE, "turn", 5)  # its own index knows the turns before they are lost
    yield opened
    opened.close()


@pytest.fixture
def client(clean_redis: str) -> Any:
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


def key(store: RedisStore, part: str) -> bytes:
    return store.layout.keys(ALICE)[PARTS.index(part)]


def check_begins_anew(store: RedisStore) -> None:
    store.erase(ALICE)
    assert store.read(ALICE) == [] and store.names(ALICE) == [] and store.sessions("acme") == []
    assert [each.number for each in store.append(ALICE, TURNS)] == [1, 2, 3, 4, 5]
    assert store.read(ALICE) == [turn.model_copy(update={"number": number}) for number, turn in enumerate(TURNS, 1)]


# -- lost keys and entries -----------------------------------------------------------------------------------------------------------


def lose(part: str) -> Callable[[RedisStore, Any], Any]:
    return lambda store, client: client.delete(key(store, part))


def lose_all(store: RedisStore, client: Any) -> None:
    client.delete(*store.layout.keys(ALICE))


def lose_third(store: RedisStore, client: Any) -> None:
    client.lrem(key(store, "log"), 1, client.lindex(key(store, "log"), 2))


LOSSES: dict[str, tuple[Callable[[RedisStore, Any], Any], tuple[int, ...]]] = {
    "first entry": (lambda store, client: client.lpop(key(store, "log")), (1,)),
    "last entry": (lambda store, client: client.rpop(key(store, "log")), (5,)),
    "middle entry": (lose_third, (3,)),
    "both ends": (lambda store, client: client.ltrim(key(store, "log"), 1, -2), (1, 5)),
    "log": (lose("log"), (1, 2, 3, 4, 5)),
    "meta": (lose("meta"), ()),
    "everything": (lose_all, ()),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_answered_from_what_is_left(store: RedisStore, client: Any, loss: str, call: str) -> None:
    damage, missing = LOSSES[loss]
    damage(store, client)
    with pytest.raises(SessionCorrupted, match="'alice'") as caught:
        CALLS[call](store)
    assert caught.value.session == "alice"
    assert caught.value.missing == missing


@pytest.mark.parametrize("loss", LOSSES)
def test_a_session_that_lost_something_can_begin_anew(store: RedisStore, client: Any, loss: str) -> None:
    LOSSES[loss][0](store, client)
    with pytest.raises(SessionCorrupted):
        store.read(ALICE)
    check_begins_anew(store)


def test_lost_pages_are_no_damage(store: RedisStore, client: Any) -> None:
    client.delete(key(store, "cache"))
    assert store.get(ALICE, ["page"]) == {}
    assert len(store.read(ALICE)) == 5


def test_a_loss_beside_an_erased_turn_is_told(store: RedisStore, client: Any) -> None:
    """Which of the two was erased cannot be told any more: ids are kept as digests, an erased record not at all."""
    store.erase(ALICE, [2])
    client.rpop(key(store, "log"))
    with pytest.raises(SessionCorrupted, match=r"some of turns #2, #5; the others were erased") as caught:
        store.read(ALICE)
    assert caught.value.missing == (2, 5)
    check_begins_anew(store)


# -- entries that cannot be read -----------------------------------------------------------------------------------------------------

SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda record: b"\x00\xff garbage \xfe" * 3,
    "truncated": lambda record: record[: len(record) // 2],
    "one byte": lambda record: record[:1],
    "null": lambda record: b"null",
    "a list": lambda record: b"[1]",
    "no id": lambda record: b"{}",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_an_entry_that_cannot_be_read_is_named(store: RedisStore, client: Any, spoilt: str) -> None:
    """What looks at it raises; what does not is answered, since all the rest is there."""
    log = key(store, "log")
    client.lset(log, 2, SPOILT[spoilt](client.lindex(log, 2)))
    fresh = RedisStore(store.url)  # its index of terms is still to be made
    for call in (
        lambda: store.read(ALICE),
        lambda: store.read(ALICE, 3, 4),
        lambda: store.append(ALICE, [TURNS[2]]),  # comes back as it stands in the log
        lambda: fresh.search(ALICE, "turn", 5),
    ):
        with pytest.raises(SessionCorrupted, match=r"'alice'.*#3") as caught:
            call()
        assert (caught.value.session, caught.value.missing) == ("alice", (3,))
    fresh.close()
    assert [each.number for each in store.read(ALICE, 1, 3) + store.read(ALICE, 4)] == [1, 2, 4, 5]
    assert (store.length(ALICE), store.pinned(ALICE), store.known_calls(ALICE, ["c1", "x"])) == (5, [2, 4], {"c1"})
    assert store.append(ALICE, [Turn(id="m6", role="user", content="x")])[0].number == 6
    store.erase(ALICE, [3])
    assert [each.number for each in store.read(ALICE)] == [1, 2, 4, 5, 6]
    check_begins_anew(store)

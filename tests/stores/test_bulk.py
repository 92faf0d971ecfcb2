"""Turns of many sessions stored at once: all or none, nothing twice, found when they are first searched, and erased like any other."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.stores import SessionId
from optical_memory.stores.entries import Entry, entry_of
from optical_memory.stores.sqlite import SqliteStore
from optical_memory.turns.turn import ToolCall, Turn

ALICE, BOB = SessionId("alice"), SessionId("bob", "other")


def entries(*texts: str) -> list[Entry]:
    return [entry_of(Turn(id=text[:30], role="user", content=text)) for text in texts]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture(params=["auto", "none"])
def store(path: Path, request: pytest.FixtureRequest) -> SqliteStore:
    return SqliteStore(f"sqlite:///{path}?index={request.param}")


def waiting(path: Path) -> int:
    """How many turns are not indexed yet."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM unindexed").fetchone()[0])


def test_turns_of_many_sessions_are_numbered_read_and_found(store: SqliteStore) -> None:
    call = ToolCall(id="c-1", name="look", arguments="{}")
    asks = entry_of(Turn(id="asks", role="assistant", content="", tool_calls=(call, call), pinned=True))
    done = store.append_entries([(ALICE, [*entries("apples", "pears"), asks]), (BOB, entries("plums")), (ALICE, entries("figs"))])
    assert [tuple(one) for one in done] == [(3, 3), (1, 1), (1, 4)]
    assert [(turn.number, turn.content) for turn in store.read(ALICE)] == [(1, "apples"), (2, "pears"), (3, ""), (4, "figs")]
    assert (store.search(ALICE, "pears", 5), store.search(BOB, "pears", 5), store.search(BOB, "plums", 5)) == ([2], [], [1])
    assert (store.known_calls(ALICE, ["c-1", "c-2"]), store.pinned(ALICE)) == ({"c-1"}, [3])
    assert store.append(ALICE, [Turn(id="x", role="user", content="pears again")])[0].number == 5
    assert store.search(ALICE, "pears", 5) == [2, 5]


def test_what_is_known_or_erased_is_not_stored_again(store: SqliteStore) -> None:
    store.append_entries([(ALICE, entries("one", "two", "one"))])
    store.erase(ALICE, [1])
    assert store.append_entries([(ALICE, entries("one", "two", "three", "three"))]) == [(1, 3)]
    assert [turn.content for turn in store.read(ALICE)] == ["two", "three"]
    assert store.search(ALICE, "one", 5) == []


def test_all_sessions_or_none(store: SqliteStore) -> None:
    broken = Entry(b"x" * 16, None, False, ())  # type: ignore[arg-type]
    with pytest.raises(Exception, match="NOT NULL"):
        store.append_entries([(ALICE, entries("one")), (BOB, [*entries("two"), broken])])
    assert (store.length(ALICE), store.length(BOB), store.sessions(), store.sessions("other")) == (0, 0, [], [])


def test_a_session_is_indexed_when_it_is_first_searched(path: Path) -> None:
    store = SqliteStore(f"sqlite:///{path}")
    many = [f"number{place} words" for place in range(600)]
    store.append_entries([(ALICE, entries(*many)), (BOB, entries("plums"))])
    store.append(ALICE, [Turn(id="later", role="user", content="later words")])
    assert waiting(path) == 601
    assert store.search(ALICE, "number599", 1) == [600]
    assert waiting(path) == 1
    assert sorted(store.search(ALICE, "words", 700)) == list(range(1, 602))


def test_two_searches_at_once_index_each_turn_once(path: Path) -> None:
    store = SqliteStore(f"sqlite:///{path}")
    store.append_entries([(ALICE, entries(*(f"number{place} words" for place in range(900))))])
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda: found.append(store.search(ALICE, "number7", 1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM turn_index('\"1:number7\"')").fetchone() == (1,)
    assert found == [[8]] * 4


@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize("numbers", [[2], None])
def test_what_is_erased_before_or_after_it_is_indexed_leaves_no_byte(
    path: Path, store: SqliteStore, searched: bool, numbers: Sequence[int] | None
) -> None:
    others = [f"bystander {place}" for place in range(30)]
    store.append_entries([(ALICE, entries("before", "Xylographomancy", "after", *others)), (BOB, entries(*others))])
    if searched:
        assert store.search(ALICE, "Xylographomancy", 5) == [2]
    store.erase(ALICE, numbers)
    assert store.search(ALICE, "Xylographomancy", 5) == []
    assert store.search(ALICE, "after", 5) == ([3] if numbers else [])
    assert len(store.search(BOB, "bystander", 50)) == 30
    held = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"xylographomancy" not in held.lower()


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.lists(st.integers(0, 9), max_size=4)), max_size=8))
def test_bulk_and_single_appends_give_the_same_log(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool, list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("same")
    mixed, single = (SqliteStore(f"sqlite:///{folder / name}.db") for name in ("mixed", "single"))
    for name, in_bulk, numbers in steps:
        turns = [Turn(id=str(number), role="user", content=f"word{number} of {name}") for number in numbers]
        single.append(SessionId(name), turns)
        if in_bulk:
            mixed.append_entries([(SessionId(name), [entry_of(turn) for turn in turns])])
        else:
            mixed.append(SessionId(name), turns)
    for session in (SessionId("a"), SessionId("b")):
        assert mixed.read(session) == single.read(session)
        assert [mixed.search(session, f"word{n}", 5) for n in range(10)] == [single.search(session, f"word{n}", 5) for n in range(10)]
    mixed.close()
    single.close()

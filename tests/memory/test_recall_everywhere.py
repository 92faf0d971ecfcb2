"""Turns are found in all sessions of one tenant: never in another's, never after they were erased, the best of all first."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.memory.recall import Period
from optical_memory.memory.recall_everywhere import Recalled, recall_everywhere
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.stores.entries import entry_of
from optical_memory.stores.sqlite import SqliteStore
from optical_memory.turns.turn import Turn


def said(found: list[Recalled]) -> list[tuple[str, int, str]]:
    return [(one.session, one.turn.number, one.turn.text) for one in found]


def filled(store: Store, tenant: str = "") -> OpticalMemory:
    for name, texts in {
        "lyon": ["A train to Lyon at ten.", "The invoice QX-77419 is 30 euros.", "Thank you."],
        "hamburg": ["A train to Hamburg.", "Thank you for the invoice of the train, it is $30."],
        "silent": ["Nothing of note."],
    }.items():
        with OpticalMemory(name, store=store, tenant=tenant) as memory:
            memory.extend([("user", text) for text in texts])
    return OpticalMemory("lyon", store=store, tenant=tenant)


def told(store: Store, name: str, texts: list[str]) -> OpticalMemory:
    memory = OpticalMemory(name, store=store)
    memory.extend([("user", text) for text in texts])
    return memory


@pytest.mark.parametrize("query", ["booking", "bookings", "book", "Häuser", "Haus", "Lisbon flights", "which trip was booked?"])
def test_what_a_session_finds_is_found_everywhere(store: Store, query: str) -> None:
    english = [
        "I booked two flights to Lisbon, and the house is the one that we saw.",
        "Then it is settled.",
        "It was for the three of us.",
    ]
    german = ["Ich habe das Haus in der Stadt besichtigt.", "Das ist gut, und was ist mit den anderen?", "Es waren drei."]
    memories = [told(store, "english", english), told(store, "german", german)]
    own = {(memory.session.name, turn.number) for memory in memories for turn in memory.recall(query, 50)}
    assert {(one.session, one.turn.number) for one in memories[0].recall_everywhere(query, 50)} == own


def test_other_forms_are_found_in_logs_too_short_to_tell_their_language_together(store: Store) -> None:
    told(store, "a", ["I booked two flights to Lisbon. Please remember it.", "Noted: the flight, for the two of you."])
    memory = told(store, "b", ["I booked two flights to Lisbon. Please remember it.", "Noted: the flight, for the two of you."])
    assert memory.recall("booking") != []
    assert {(one.session, one.turn.number) for one in memory.recall_everywhere("booking")} == {("a", 1), ("b", 1)}


def test_the_best_of_all_sessions_come_first(store: Store) -> None:
    memory = filled(store)
    assert said(memory.recall_everywhere("train invoice"))[0] == ("hamburg", 2, "Thank you for the invoice of the train, it is $30.")
    assert {one.session for one in memory.recall_everywhere("train")} == {"lyon", "hamburg"}
    assert said(memory.recall_everywhere("QX-77419"))[0] == ("lyon", 2, "The invoice QX-77419 is 30 euros.")
    assert said(memory.recall_everywhere("$30", 1)) == [("hamburg", 2, "Thank you for the invoice of the train, it is $30.")]
    assert len(memory.recall_everywhere("train invoice thank", 2)) == 2
    assert memory.recall_everywhere("zeppelin") == memory.recall_everywhere("train", 0) == memory.recall_everywhere("") == []
    assert said(asyncio.run(memory.arecall_everywhere("zeppelin note"))) == [("silent", 1, "Nothing of note.")]


def test_no_other_tenant_is_looked_at(store: Store) -> None:
    filled(store, "acme")
    assert filled(store, "other").recall_everywhere("QX-77419", 50) != []
    assert OpticalMemory("x", store=store).recall_everywhere("QX-77419", 50) == []
    OpticalMemory("acme/lyon", store=store, tenant="").append(("user", "zeppelin"))
    assert OpticalMemory("x", store=store, tenant="acme").recall_everywhere("zeppelin", 50) == []


def test_what_was_erased_is_not_found(store: Store) -> None:
    memory = filled(store)
    assert memory.recall_everywhere("QX-77419")
    memory.erase([2])
    assert all("QX-77419" not in one.turn.text for one in memory.recall_everywhere("QX-77419", 50))
    OpticalMemory("hamburg", store=store).erase()
    assert {one.session for one in memory.recall_everywhere("train", 50)} == {"lyon"}


def test_a_period(store: Store) -> None:
    memory = OpticalMemory("a", store=store)
    for year in (2020, 2024):
        OpticalMemory(f"of {year}", store=store).append({"role": "user", "content": "a train", "created_at": f"{year}-05-01T00:00:00Z"})
    assert [one.session for one in memory.recall_everywhere("train", since=datetime(2022, 1, 1, tzinfo=UTC))] == ["of 2024"]


def test_it_looks_in_the_sessions_appended_to_last(store: Store) -> None:
    memory = filled(store)
    memory.append(("user", "now"))
    found = recall_everywhere(store, "", "train", 9, Period(), most_sessions=1)
    assert {one.session for one in found} == {"lyon"}


def test_an_import_in_bulk_is_found(tmp_path: Path) -> None:
    store = SqliteStore(f"sqlite:///{tmp_path / 'log.db'}")
    turns = [entry_of(Turn(id=str(n), role="user", content=f"word{n}")) for n in range(30)]
    store.append_entries([(SessionId(f"s{n}"), [turn]) for n, turn in enumerate(turns)])
    assert said(OpticalMemory("x", store=store).recall_everywhere("word7", 1)) == [("s7", 1, "word7")]


@pytest.mark.parametrize("query", [7, [1, 2], None])
def test_numbers_are_refused(store: Store, query: object) -> None:
    with pytest.raises(TypeError, match="found by words"):
        OpticalMemory("a", store=store).recall_everywhere(query)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["", "t"]), st.sampled_from("abc"), st.sampled_from(["red", "green", "red green"])), max_size=12))
def test_all_that_one_session_finds_is_found(turns: list[tuple[str, str, str]]) -> None:
    with closing(open_store("memory://")) as store:
        for tenant, session, text in turns:
            OpticalMemory(session, store=store, tenant=tenant).append(("user", text))
        for tenant in ("", "t"):
            memory = OpticalMemory("a", store=store, tenant=tenant)
            found = {(one.session, one.turn.number) for one in memory.recall_everywhere("red", 100)}
            each = {(name, turn.number) for name in "abc" for turn in OpticalMemory(name, store=store, tenant=tenant).recall("red", 100)}
            assert found == each

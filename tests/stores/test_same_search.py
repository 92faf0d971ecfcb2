"""The same search in every store: equal logs give equal answers, in the same order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.stores import Store, open_store
from optical_memory.stores.base import SessionId
from optical_memory.turns.turn import Turn

WORDS = [
    *("the", "of", "and", "you", "train", "trains", "trained", "booking", "bookings", "QX-77419", "77419", "file_name.py", "getUserName"),
    *("und", "nicht", "ist", "Wohnung", "Wohnungen", "l'été", "être", "città", "citta", "что", "не", "кошка", "кошки"),
    *("火车票", "火车", "예약은", "C++", "12,500", "a.b/c", "und:1"),
]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=30).map(" ".join)


@pytest.fixture
def stores(tmp_path: Path, clean_redis: str) -> Iterator[list[Store]]:
    file = tmp_path / "log.db"
    with ExitStack() as opened:
        urls = ["memory://", f"sqlite:///{file}", f"sqlite:///{file}2?index=none", clean_redis]
        found = [open_store(url) for url in urls]
        for store in found:
            opened.callback(store.close)
        yield found


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    log=st.lists(TEXTS, max_size=25),
    others=st.lists(TEXTS, max_size=3),
    queries=st.lists(TEXTS, min_size=1, max_size=4),
    erased=st.sets(st.integers(1, 25), max_size=3),
)
def test_every_store_always_finds_the_same(
    stores: list[Store], log: list[str], others: list[str], queries: list[str], erased: set[int]
) -> None:
    session, other = SessionId(uuid.uuid4().hex), SessionId(uuid.uuid4().hex)
    answers = []
    for store in stores:
        for where, texts in ((session, log), (other, others)):  # what other sessions of a file say changes nothing
            store.append(where, [Turn(role="user", content=text, id=str(number)) for number, text in enumerate(texts, 1)])
        before = [store.search(session, query, limit) for query in queries for limit in (1, 3, 99)]
        store.erase(session, sorted(erased))
        after = [store.search(session, query, 99) for query in queries]
        assert not any(erased & set(found) for found in after)
        answers.append((before, after))
    assert all(answer == answers[0] for answer in answers)

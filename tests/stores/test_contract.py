"""What every store promises, on every back end. Calls go by keyword, so that names are part of the promise."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.errors import InvalidTurn, LengthConflict, TurnNotFound
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.turns.turn import ImageContent, ReasoningContent, TextContent, ToolCall, ToolResultContent, Turn
from tests.sampling import examples

ALICE = SessionId("alice")
ODD_NAMES = ["", "a:b", "a", "b", "{a}", "a}:log", "ü", "你好", "a\0b", "\ud800", "..", "a/b", " a", "A", "%41", "*", "a" * 300]


def turn(text: str, id: str | None = None, **fields: Any) -> Turn:
    return Turn(**{"id": text if id is None else id, "role": "user", "content": text} | fields)


def put(store: Store, *texts: str, session: SessionId = ALICE) -> list[Turn]:
    return store.append(session=session, turns=[turn(text) for text in texts])


def contents(turns: list[Turn]) -> list[object]:
    return [item.content for item in turns]


def test_a_new_session_is_empty(store: Store) -> None:
    assert store.read(session=ALICE) == []
    assert store.length(session=ALICE) == 0
    assert store.pinned(session=ALICE) == []
    assert store.known_calls(session=ALICE, ids=["c"]) == set()
    assert store.search(session=ALICE, query="anything", limit=5) == []
    assert store.names(session=ALICE) == []
    assert store.get(session=ALICE, names=["x"]) == {}
    assert store.sessions() == []
    assert store.erase(session=ALICE) == []
    assert store.erase(session=ALICE, numbers=[1]) == []


def test_turns_are_numbered_in_order_over_batches(store: Store) -> None:
    assert store.append(session=ALICE, turns=[]) == []
    assert [item.number for item in put(store, "one", "two")] == [1, 2]
    assert [item.number for item in put(store, "three")] == [3]
    assert contents(store.read(session=ALICE)) == ["one", "two", "three"]
    assert store.length(session=ALICE) == 3


def test_a_repeated_id_changes_nothing_and_gives_the_first_turn(store: Store) -> None:
    first = store.append(session=ALICE, turns=[turn("first", "x")])
    again = store.append(session=ALICE, turns=[turn("second", "x"), turn("new", "y"), turn("third", "x"), turn("newer", "y")])
    assert [item.number for item in again] == [1, 2, 1, 2]
    assert contents(again) == ["first", "new", "first", "new"]
    assert again[0] == first[0]
    assert contents(store.read(session=ALICE)) == ["first", "new"]
    assert store.append(session=SessionId("bob"), turns=[turn("bob's", "x")])[0].content == "bob's"


def test_an_expected_length_lets_one_of_two_writers_append(store: Store) -> None:
    with pytest.raises(LengthConflict) as early:
        store.append(session=ALICE, turns=[turn("too early")], expected_length=1)
    assert (early.value.expected, early.value.length, store.sessions()) == (1, 0, [])
    assert [item.number for item in store.append(session=ALICE, turns=[turn("a"), turn("b")], expected_length=0)] == [1, 2]
    assert store.append(session=ALICE, turns=[turn("c")], expected_length=2)[0].number == 3
    with pytest.raises(LengthConflict, match=r"'alice' has 3 turns, not 2"):
        store.append(session=ALICE, turns=[turn("c"), turn("d")], expected_length=2)
    assert contents(store.read(session=ALICE)) == ["a", "b", "c"]
    # The answer to the first writer was lost, and it asks again: that is no conflict.
    assert [item.number for item in store.append(session=ALICE, turns=[turn("c"), turn("a")], expected_length=2)] == [3, 1]
    store.erase(session=ALICE, numbers=[3])
    assert store.append(session=ALICE, turns=[turn("c")], expected_length=2) == [Turn(number=3, id="c", role="user")]


@pytest.mark.parametrize("bad", [Turn(role="user", content="no id"), turn("bytes", extra={"x": b"\xff"}), turn("set", extra={"x": {1}})])
def test_a_batch_is_stored_whole_or_not_at_all(store: Store, bad: Turn) -> None:
    with pytest.raises(InvalidTurn):
        store.append(session=ALICE, turns=[turn("good"), bad])
    assert store.read(session=ALICE) == []
    assert store.sessions() == []


FULL_TURNS = [
    turn("text", name="Zoë", importance=0.25, metadata={"a": [1, 2.5, None, {"b": True}], "big": 2**80}, extra={"cache": {"x": "y"}}),
    turn("", "empty"),
    turn("spoken", created_at=datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    turn("seconds", created_at=datetime(1890, 1, 1, tzinfo=timezone(timedelta(minutes=9, seconds=21)))),
    turn("naive", created_at=datetime(2026, 1, 1)),
    turn("NUL \0 and surrogate \ud83d alone", "surrogate"),
    turn("id", "id \0 \udfff 你"),
    turn("👩‍👩‍👧 नमस्ते مرحبا 你好 \u2028 \u202e", "scripts"),
    turn("infinite", metadata={"x": float("inf")}),
    turn(
        "",
        "parts",
        role="assistant",
        content=(
            TextContent(text="see \udcff", cache_control={"type": "ephemeral"}),
            ImageContent(media_type="image/png", data="aGVsbG8=", detail="high"),
            ImageContent(url="https://example.org/a.png"),
            ReasoningContent(block={"type": "thinking", "signature": "s"}),
        ),
        tool_calls=(ToolCall(id="c1", name="look", arguments="{not json", index=0),),
    ),
    turn("", "result", content=(ToolResultContent(tool_call_id="c1", content=(TextContent(text="found"),), is_error=True),)),
    turn("answer", role="tool", tool_call_id="c1"),
]


def test_everything_about_a_turn_survives(store: Store) -> None:
    stored = store.append(session=ALICE, turns=FULL_TURNS)
    assert stored == [given.model_copy(update={"number": number}) for number, given in enumerate(FULL_TURNS, 1)]
    assert store.read(session=ALICE) == stored
    assert store.append(session=ALICE, turns=FULL_TURNS) == stored
    assert stored[2].created_at is not None and stored[2].created_at.utcoffset() == timedelta(hours=5, minutes=45)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(st.characters()), metadata=st.dictionaries(st.text(), json_values, max_size=3), session=st.text(st.characters()))
def test_any_text_and_metadata_come_back_equal(store: Store, content: str, metadata: dict[str, Any], session: str) -> None:
    given_turn = Turn(id=f"id {content}", role="user", content=content, metadata=metadata)
    where = SessionId(session, tenant="hypothesis")
    store.erase(session=where)
    stored = store.append(session=where, turns=[given_turn])
    assert stored == [given_turn.model_copy(update={"number": 1})]
    assert store.read(session=where) == stored


def test_a_caller_cannot_change_what_is_stored(store: Store) -> None:
    (stored,) = store.append(session=ALICE, turns=[turn("kept", metadata={"list": [1]})])
    stored.metadata["list"] = "changed"
    store.read(session=ALICE)[0].metadata.clear()
    assert store.read(session=ALICE)[0].metadata == {"list": [1]}


def test_large_turns_are_kept(store: Store) -> None:
    big = turn("wörd 你 " * 130_000, "big")
    picture = turn("", "picture", content=(ImageContent(media_type="image/png", data="QUJD" * 400_000),))
    store.append(session=ALICE, turns=[big, picture])
    assert contents(store.read(session=ALICE)) == [big.content, picture.content]


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        *[(1, None, [1, 2, 3, 4]), (2, 4, [2, 3]), (4, None, [4]), (5, None, []), (3, 3, []), (4, 2, []), (0, 2, [1]), (-5, 3, [1, 2])],
        *[(1, 0, []), (1, -3, []), (2, 1_000_000, [2, 3, 4])],
    ],
)
def test_ranges(store: Store, start: int, stop: int | None, expected: list[int]) -> None:
    put(store, "a", "b", "c", "d")
    assert [item.number for item in store.read(session=ALICE, start=start, stop=stop)] == expected


def test_sessions_do_not_mix_whatever_their_names(store: Store) -> None:
    ids = [SessionId(name, tenant) for name in ODD_NAMES for tenant in ("", "a", "a:b", "\ud800")]
    for number, session in enumerate(ids):
        store.append(session=session, turns=[turn(f"said {number}", "same id")])
        store.put(session=session, items={"plan": str(number).encode()})
    for number, session in enumerate(ids):
        assert contents(store.read(session=session)) == [f"said {number}"]
        assert store.get(session=session, names=["plan"]) == {"plan": str(number).encode()}
        assert store.search(session=session, query="said", limit=9) == [1]
    assert [info.id for info in store.sessions(tenant="a")] == sorted(SessionId(name, "a") for name in ODD_NAMES)


def test_sessions_are_listed_with_what_they_hold(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    put(store, "one", "two", session=SessionId("b"))
    put(store, "one", session=SessionId("a"))
    put(store, "hidden", session=SessionId("c", tenant="other"))
    store.put(session=SessionId("only a cache"), items={"plan": b"{}"})
    store.erase(session=SessionId("b"), numbers=[1])
    listed = store.sessions()
    assert [(info.id, info.turns) for info in listed] == [(SessionId("a"), 1), (SessionId("b"), 1)]
    for info in listed:
        assert info.last_append is not None and before <= info.last_append <= datetime.now(UTC)
    assert [info.id.name for info in store.sessions(tenant="other")] == ["c"]


def test_known_calls(store: Store) -> None:
    made = [("call", ["c1"]), ("twice", ["c2", "c2", "ü\ud800"]), ("again", ["c2"])]
    store.append(session=ALICE, turns=[turn(text, tool_calls=tuple(ToolCall(id=call, name="f") for call in calls)) for text, calls in made])
    assert store.known_calls(session=ALICE, ids=["c1", "c2", "c3", "ü\ud800", ""]) == {"c1", "c2", "ü\ud800"}
    assert store.known_calls(session=ALICE, ids=[]) == set()
    assert store.known_calls(session=SessionId("bob"), ids=["c1"]) == set()
    store.erase(session=ALICE, numbers=[1, 2])
    assert store.known_calls(session=ALICE, ids=["c1", "c2", "ü\ud800"]) == {"c2"}  # turn 3 made it too


def test_pins(store: Store) -> None:
    store.append(session=ALICE, turns=[turn("a"), turn("b", pinned=True), turn("c")])
    store.pin(session=ALICE, number=3, pinned=True)
    store.pin(session=ALICE, number=3, pinned=True)
    assert store.pinned(session=ALICE) == [2, 3]
    assert [item.pinned for item in store.read(session=ALICE)] == [False, True, True]
    store.pin(session=ALICE, number=2, pinned=False)
    assert store.pinned(session=ALICE) == [3]
    assert store.append(session=ALICE, turns=[turn("b", pinned=True)])[0].pinned is False
    store.erase(session=ALICE, numbers=[3])
    assert store.pinned(session=ALICE) == []
    for number in (0, -1, 3, 4):
        with pytest.raises(TurnNotFound):
            store.pin(session=ALICE, number=number, pinned=True)
    with pytest.raises(TurnNotFound):
        store.pin(session=SessionId("nobody"), number=1, pinned=True)


LOG = [
    "My train to Lyon is the 7:40, booking QX-77419.",
    "Noted: the train to Lyon.",
    "Please fix getUserName in src/http_client.py, it raises KeyError.",
    "我的火车票订单号是六十，去里昂的列车早上出发。",
    "今天天气很好，我们去公园。",
    "The café in the old town: Crème brûlée for 12,500 yen.",
    "予約番号はABC123です。예약은 내일입니다.",
    "Nothing to see here. AND OR NOT NEAR.",
]


@pytest.mark.parametrize(
    ("query", "first", "others"),
    [
        ("booking", 1, set()),
        ("BOOKING lyon", 1, {2}),
        ("train lyon", 2, {1}),
        ("QX-77419", 1, set()),
        ("77419", 1, set()),
        ("qx", 1, set()),
        ("getUserName", 3, set()),
        ("username", 0, set()),
        ("user", 3, set()),
        ("http_client", 3, set()),
        ("src/http_client.py", 3, set()),
        ("火车票", 4, set()),
        ("火车", 4, set()),
        ("园", 5, set()),
        ("去", 5, {4}),
        ("订单号是多少", 4, set()),
        ("列车到里昂的出发时间", 4, set()),
        ("昂贵", 4, set()),
        ("cafe creme", 6, set()),
        ("brulée", 6, set()),
        ("12500", 6, set()),
        ("予約", 7, set()),
        ("예약", 7, set()),
        ("ABC123", 7, set()),
        ("AND", 8, set()),
        ("NEAR(train lyon)", 2, {1, 3, 8}),
        ('"booking', 1, set()),
        ("book*", 1, set()),
        ("terms:booking", 1, set()),
        ("^nothing", 8, set()),
        ("{booking} : -lyon' OR 1=1 --", 1, {2}),
        ("", 0, set()),
        ("\0 \ud800 !? 🚂", 0, set()),
        ("absent", 0, set()),
    ],
)
def test_search(store: Store, query: str, first: int, others: set[int]) -> None:
    put(store, *LOG)
    put(store, *reversed(LOG), session=SessionId("alice", tenant="other"))
    found = store.search(session=ALICE, query=query, limit=5)
    assert found[:1] == [first][: 1 if first else 0]
    assert set(found[1:]) == others


def test_search_limits_ranks_and_follows_the_log(store: Store) -> None:
    put(store, "alpha beta gamma", "alpha", "alpha beta", "delta", "alpha alpha alpha alpha")
    assert store.search(session=ALICE, query="alpha beta gamma", limit=2) == [1, 2]
    assert store.search(session=ALICE, query="alpha", limit=0) == []
    assert store.search(session=ALICE, query="alpha", limit=99)[0] == 5
    put(store, "gamma new")
    assert sorted(store.search(session=ALICE, query="gamma", limit=9)) == [1, 6]
    store.erase(session=ALICE, numbers=[1])
    assert store.search(session=ALICE, query="gamma", limit=9) == [6]
    store.erase(session=ALICE)
    put(store, "only")
    assert store.search(session=ALICE, query="gamma alpha only", limit=9) == [1]


def test_tool_results_and_reasoning_are_found(store: Store) -> None:
    hidden = ReasoningContent(block={"thinking": "secretive"})
    shown = ToolResultContent(tool_call_id="c", content="discovered")
    call = ToolCall(id="c", name="fetch_page", arguments='{"url": "example.org"}')
    store.append(session=ALICE, turns=[turn("", "x", content=(hidden,), tool_calls=(call,)), turn("", "y", content=(shown,))])
    assert [store.search(session=ALICE, query=query, limit=5) for query in ("secretive", "discovered", "fetch_page")] == [[1], [2], [1]]


def test_erased_turns_leave_a_gap_that_is_never_filled(store: Store) -> None:
    put(store, "a", "b", "c", "d")
    assert store.erase(session=ALICE, numbers=[4, 2, 2, 9, 0, -1]) == [2, 4]
    assert store.erase(session=ALICE, numbers=[2]) == []
    assert store.erase(session=ALICE, numbers=[]) == []
    assert [item.number for item in store.read(session=ALICE)] == [1, 3]
    assert store.read(session=ALICE, start=2, stop=3) == []
    assert store.length(session=ALICE) == 4
    assert put(store, "e")[0].number == 5


def test_an_erased_id_does_not_come_back(store: Store) -> None:
    store.append(session=ALICE, turns=[turn("secret", "x", metadata={"a": "secret"}), turn("kept", "y")])
    store.erase(session=ALICE, numbers=[1])
    again = store.append(session=ALICE, turns=[turn("secret", "x", metadata={"a": "secret"}), turn("kept", "y"), turn("new", "z")])
    assert again == [Turn(number=1, id="x", role="user"), *store.read(session=ALICE)]
    assert [item.number for item in again] == [1, 2, 3]
    assert store.search(session=ALICE, query="secret", limit=5) == []


def test_an_erased_session_is_as_if_it_had_never_been(store: Store) -> None:
    store.append(session=ALICE, turns=[turn("a", pinned=True), turn("b", tool_calls=(ToolCall(id="c", name="f"),)), turn("c")])
    put(store, "kept", session=SessionId("bob"))
    store.put(session=ALICE, items={"plan": b"x"})
    store.erase(session=ALICE, numbers=[3])
    assert store.erase(session=ALICE) == [1, 2]
    assert (store.read(session=ALICE), store.length(session=ALICE), store.pinned(session=ALICE)) == ([], 0, [])
    assert store.known_calls(session=ALICE, ids=["c"]) == set()
    assert store.names(session=ALICE) == []
    assert [info.id.name for info in store.sessions()] == ["bob"]
    assert [item.number for item in put(store, "a")] == [1]
    assert contents(store.read(session=SessionId("bob"))) == ["kept"]


def test_the_cache(store: Store) -> None:
    items = {"page/1": b"\x89PNG\0\xff", "page/2": b"", "plan": b"{}", "pagé\ud800": b"odd", "": b"nameless"}
    store.put(session=ALICE, items=items)
    store.put(session=ALICE, items={})
    assert store.get(session=ALICE, names=[*items, "absent"]) == items
    assert store.names(session=ALICE) == sorted(items)
    assert store.names(session=ALICE, prefix="page/") == ["page/1", "page/2"]
    assert store.names(session=ALICE, prefix="pag%") == []
    store.put(session=ALICE, items={"plan": b"new", "page/3": b"3" * 100_000})
    assert store.get(session=ALICE, names=["plan", "page/3"]) == {"plan": b"new", "page/3": b"3" * 100_000}
    store.discard(session=ALICE, names=["plan", "absent", "pagé\ud800"])
    store.discard(session=ALICE, names=[])
    assert store.names(session=ALICE) == ["", "page/1", "page/2", "page/3"]
    assert store.length(session=ALICE) == 0


def test_two_handles_see_each_other(store: Store, store_url: str) -> None:
    other = open_store(store_url)
    put(store, "one")
    put(other, "two", "one")
    assert contents(store.read(session=ALICE)) == ["one", "two"]
    assert store.search(session=ALICE, query="two", limit=5) == [2]
    other.erase(session=ALICE, numbers=[2])
    assert store.search(session=ALICE, query="two", limit=5) == []
    other.close()
    assert contents(other.read(session=ALICE)) == ["one"]  # a closed store opens itself again


def test_threads_append_without_gaps(store: Store) -> None:
    def write(writer: int) -> None:
        for number in range(25):
            store.append(session=ALICE, turns=[turn(f"{writer} {number}"), turn(f"{writer} {number}")])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = store.read(session=ALICE)
    assert [item.number for item in stored] == list(range(1, 151))
    for writer in range(6):
        own = [str(item.content) for item in stored if str(item.content).startswith(f"{writer} ")]
        assert own == [f"{writer} {number}" for number in range(25)]

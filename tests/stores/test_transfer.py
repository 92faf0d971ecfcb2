"""Sessions that leave a store as lines and come back, between all pairs of back ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.errors import LengthConflict
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.stores import transfer as transfer_module
from optical_memory.stores.in_memory import MemoryStore
from optical_memory.stores.transfer import ImportReport, copy_session, export_session, import_session
from optical_memory.turns.turn import ToolCall, Turn
from tests.sampling import examples

from .test_contract import FULL_TURNS, ODD_NAMES, json_values, turn

ALICE = SessionId("alice")
BOB = SessionId("bob", tenant="acme")
CACHE = {"page/1": b"\x89PNG\0\xff", "page/2": b"", "plan": b"{}", "pagé\ud800": b"odd", "": b"nameless"}


def _opened(request: pytest.FixtureRequest, folder: Path, name: str) -> Iterator[Store]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{folder / name}.db"}
    opened = open_store(urls.get(request.param) or f"{request.getfixturevalue('clean_redis')}?namespace={name}")
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from _opened(request, tmp_path, "source")


@pytest.fixture(params=["memory", "sqlite", "redis"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    yield from _opened(request, tmp_path, "target")


def fill(store: Store, session: SessionId, turns: Sequence[Turn], *, pins: Sequence[int] = (), erased: Sequence[int] = ()) -> None:
    store.erase(session, None)
    store.append(session, turns)
    for number in pins:
        store.pin(session, number, True)
    store.erase(session, erased)


def lively(store: Store, session: SessionId = ALICE, more: int = 20) -> None:
    """A session with everything in it: gaps at its beginning, its middle and its end."""
    turns = [*FULL_TURNS, *(turn(f"word{place} said", pinned=place == 3) for place in range(more))]
    fill(store, session, turns, pins=[2, 4, len(turns) - 3], erased=[1, 7, 8, len(turns) - 1, len(turns)])
    store.put(session, CACHE)


def state(store: Store, session: SessionId, *, cache: bool = True) -> dict[str, Any]:
    """All that a store tells of a session, but when it was appended to."""
    turns = store.read(session)
    calls = {call.id for item in turns for call in item.tool_calls} | {"c1", "never"}
    return {
        "turns": turns,
        "length": store.length(session),
        "pinned": store.pinned(session),
        "calls": store.known_calls(session, calls),
        "found": [store.search(session, query, 5) for query in ("word3", "said", "text", "look", "你好")],
        "cache": store.get(session, store.names(session)) if cache else {},
        "listed": [info.turns for info in store.sessions(session.tenant) if info.id == session],
    }


def exported(store: Store, session: SessionId = ALICE, *, pages: bool = True) -> list[str]:
    return list(export_session(store, session, pages=pages))


def as_text(lines: Sequence[str]) -> list[str]:
    """Through the bytes of a file and back."""
    return "".join(f"{line}\n" for line in lines).encode().decode().splitlines(keepends=True)


def test_a_session_comes_back_equal_from_any_store_in_any_other(source: Store, target: Store) -> None:
    lively(source)
    report = import_session(target, as_text(exported(source)))
    assert report == ImportReport(ALICE, turns=len(source.read(ALICE)), known=0, cached=len(CACHE))
    assert state(target, ALICE) == state(source, ALICE)
    assert exported(target) == exported(source)
    assert target.append(ALICE, [turn("next")])[0].number == source.length(ALICE) + 1


def test_importing_twice_adds_nothing(source: Store, target: Store) -> None:
    lively(source)
    lines = exported(source)
    import_session(target, lines)
    before = state(target, ALICE)
    assert import_session(target, lines) == ImportReport(ALICE, turns=0, known=len(source.read(ALICE)), cached=0)
    assert state(target, ALICE) == before


def test_a_copy_goes_under_another_name_and_takes_what_is_new_later(source: Store, target: Store) -> None:
    lively(source)
    assert copy_session(source, target, ALICE, as_session=BOB).cached == 0
    assert state(target, BOB) == state(source, ALICE, cache=False)
    known = len(source.read(ALICE))
    source.append(ALICE, [turn("newer"), turn("newest")])
    assert copy_session(source, target, ALICE, as_session=BOB, pages=True) == ImportReport(BOB, 2, known, len(CACHE))
    assert state(target, BOB) == state(source, ALICE)
    assert target.length(ALICE) == 0


def test_a_copy_within_one_store(source: Store) -> None:
    lively(source)
    copy_session(source, source, ALICE, as_session=SessionId(""), pages=True)
    assert state(source, SessionId("")) == state(source, ALICE)
    assert copy_session(source, source, ALICE, pages=True).turns == 0


def test_a_session_of_which_all_was_erased_keeps_its_numbers(source: Store, target: Store) -> None:
    fill(source, ALICE, [turn("a"), turn("b")], erased=[1, 2])
    assert [copy_session(source, target, ALICE) for _ in range(2)] == [ImportReport(ALICE, 0, 0, 0)] * 2
    assert (target.read(ALICE), target.length(ALICE)) == ([], 2)


def test_the_lines_say_what_they_hold(source: Store) -> None:
    fill(source, ALICE, [turn(text) for text in "abcde"], pins=[2], erased=[3, 4])
    source.put(ALICE, {"plan": b"{}"})
    lines = [json.loads(line) for line in exported(source)]
    assert [next(iter(line)) for line in lines] == ["optical_memory", "number", "number", "erased", "number", "cache", "end"]
    assert lines[0].items() >= {"optical_memory": 1, "kind": "session", "session": "alice", "tenant": "", "length": 5}.items()
    assert (lines[2]["number"], lines[2]["pinned"], lines[2]["turn"]["content"]) == (2, True, "b")
    assert (lines[3]["erased"], lines[5]["data"], lines[6]["end"]) == ([3, 4], "e30=", 7)
    assert [json.loads(line).get("cache") for line in exported(source, pages=False)] == [None] * 6


def test_odd_names_come_back() -> None:
    source, target = MemoryStore(), MemoryStore()
    ids = [SessionId(name, tenant) for name in ODD_NAMES if name for tenant in ("", "a:b", "\ud800")]
    for place, session in enumerate(ids):
        fill(source, session, [turn(f"said {place}")])
        assert import_session(target, as_text(exported(source, session))).session == session
    assert [state(target, session) for session in ids] == [state(source, session) for session in ids]


any_turn = st.builds(
    turn,
    st.text(st.characters(), max_size=20),
    metadata=st.dictionaries(st.text(), json_values, max_size=2),
    tool_calls=st.lists(st.builds(ToolCall, id=st.text(max_size=3), name=st.just("f")), max_size=2).map(tuple),
    pinned=st.booleans(),
)
# Two halves of a pair side by side are one character once JSON has read them, in every store's records as well.
any_name = st.text(st.characters(), max_size=8).map(lambda name: name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"))


drawn_sessions = st.fixed_dictionaries(
    {
        "id": st.builds(SessionId, any_name.filter(bool), any_name),
        "turns": st.lists(any_turn | st.sampled_from(FULL_TURNS), min_size=1, max_size=12),
        "erased": st.sets(st.integers(1, 12)),
        "cache": st.dictionaries(any_name, st.binary(max_size=20), max_size=20),
    }
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=drawn_sessions, sizes=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)))
def test_any_session_comes_back_equal(
    target: Store, monkeypatch: pytest.MonkeyPatch, drawn: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    for name, size in zip(("READ_AT_ONCE", "STORED_AT_ONCE", "CACHED_AT_ONCE"), sizes, strict=True):
        monkeypatch.setattr(transfer_module, name, size)
    session = drawn["id"]
    source = MemoryStore()
    source.append(session, [item.model_copy(update={"id": f"{place} {item.id}"}) for place, item in enumerate(drawn["turns"])])
    source.erase(session, sorted(drawn["erased"]))
    source.put(session, drawn["cache"])
    target.erase(session)
    lines = as_text(exported(source, session))
    import_session(target, lines)
    assert state(target, session) == state(source, session)
    again = import_session(target, lines)
    assert (again.turns, again.known, again.cached) == (0, len(source.read(session)), 0)
    assert state(target, session) == state(source, session)


@pytest.mark.parametrize("size", [1, 3, 500])
def test_a_file_cut_after_any_line_is_noticed_and_the_whole_one_completes_it(
    target: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(transfer_module, "STORED_AT_ONCE", size)
    source = MemoryStore()
    fill(source, ALICE, [turn(text) for text in "abcdefg"], pins=[2], erased=[1, 3, 4, 7])
    source.put(ALICE, CACHE)
    lines = exported(source)
    for kept in range(len(lines)):
        target.erase(ALICE)
        with pytest.raises(ValueError, match=f"line {kept}.* cut"):
            import_session(target, lines[:kept])
        held = target.read(ALICE)
        assert held == source.read(ALICE)[: len(held)]  # no placeholder of an erased turn stays
        with pytest.raises(ValueError, match=f"line {kept + 1} "):
            import_session(target, [*lines[:kept], lines[kept][:-5]])
        report = import_session(target, lines)
        assert (report.turns, report.known) == (3 - len(held), len(held))
        assert state(target, ALICE) == state(source, ALICE)


def test_an_import_that_was_killed_before_it_could_erase_is_taken_up_again(target: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MemoryStore()
    fill(source, ALICE, [turn(text) for text in "abcd"], erased=[2, 4])

    def fail(session: SessionId, numbers: Sequence[int] | None = None) -> list[int]:
        raise ConnectionAbortedError

    with monkeypatch.context() as patched, pytest.raises(ConnectionAbortedError):
        patched.setattr(target, "erase", fail)
        copy_session(source, target, ALICE)
    assert [item.number for item in target.read(ALICE)] == [1, 2, 3, 4]
    copy_session(source, target, ALICE)
    assert state(target, ALICE) == state(source, ALICE)


def damaged(place: int, change: Callable[[str], str]) -> Callable[[list[str]], list[str]]:
    return lambda lines: [change(line) if at == place else line for at, line in enumerate(lines, 1)]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damaged(1, lambda line: '{"role": "user", "content": "a chat"}'), "line 1 "),
        (damaged(1, lambda line: line.replace("alice", "mallory")), "line 1 "),
        (damaged(1, lambda line: line.replace('"kind":"session"', '"kind":"store"')), "line 1 "),
        (lambda lines: lines[1:], "line 1 "),
        (damaged(4, lambda line: "garbage"), "line 4 "),
        (damaged(4, lambda line: ""), "line 5 "),
        (damaged(3, lambda line: line.replace("said two", "said ten")), "line 3 "),
        (damaged(3, lambda line: line.replace('"pinned":false', '"pinned":true')), "line 3 "),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "line 3 "),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], "line 4 "),
        (lambda lines: [*lines[:-2], lines[-1]], "line 7 "),
        (lambda lines: [*lines, *lines], "line 9 comes after the end"),
    ],
)
def test_a_file_that_was_changed_is_refused_at_its_line(damage: Callable[[list[str]], list[str]], said: str) -> None:
    source, target = MemoryStore(), MemoryStore()
    fill(source, ALICE, [turn(f"said {text}") for text in ("one", "two", "three", "four", "five")], erased=[4])
    source.put(ALICE, {"plan": b"{}"})
    lines = exported(source)
    with pytest.raises(ValueError, match=said):
        import_session(target, damage(lines))
    if said == "line 1 ":
        assert target.sessions() == []
    import_session(target, lines)
    assert state(target, ALICE) == state(source, ALICE)


def forged(*entries: dict[str, Any], **changes: Any) -> list[str]:
    header = {"optical_memory": 1, "kind": "session", "session": "alice", "tenant": "", "length": 2}
    return list(transfer_module._sealed([header | changes, *entries]))


ONE = {"number": 1, "pinned": False, "turn": {"v": 1, "id": "a", "role": "user"}}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (forged(optical_memory=2), "line 1: an export of format 2.*Upgrade"),
        (forged(kind="everything"), "line 1 does not begin"),
        (forged(length=0), "line 1 does not begin"),
        (forged(ONE, ONE), "line 3 has turns #1 to #1; expected is #2"),
        (forged(ONE, {"erased": [2, 3]}), "line 3 has turns #2 to #3"),
        (forged(ONE, {"erased": [2, 1]}), "line 3 has turns #2 to #1"),
        (forged(ONE), "turns #2 to #2 are not in the file"),
        (forged(ONE, {"cache": "plan", "data": ""}), "line 3 is not what"),
        (forged(ONE, {"number": 2, "pinned": False, "turn": {"v": 7, "id": "b", "role": "user"}}), "line 3: turn #2 cannot be read"),
        (forged(ONE, {"number": 2, "pinned": False, "turn": {}}), "line 3: turn #2 cannot be read"),
        (forged(ONE, {"reaction": "+1"}), "line 3 is not what"),
        (forged(ONE, {"number": 2, "pinned": False, "turn": {"v": 1, "id": "a", "role": "user"}}), "line 2 and on"),
        (forged(ONE | {"turn": {"v": 1, "id": "optical-memory/erased/2", "role": "user"}}, {"erased": [2, 2]}), "line 2 and on"),
        (forged({"erased": [1, 10**9]}, length=10**9), "line 2 makes it 1,000,000,000 erased turns; an import takes 1,000,000"),
        (forged({"erased": [1, 5]}, {"erased": [6, 2 * 10**6]}, length=2 * 10**6), "line 3 makes it 2,000,000"),
        (forged(ONE, session="", length=1), "line 1 names its session ''"),
        *(
            (forged(ONE, {"cache": name, "data": ""}, length=1), "line 3: .* is not a name")
            for name in (
                "run/x",
                "run/a/1-2",
                "run/a/b/1-2-3-4-5",
                "picture/k",
                "verified/k/v/tall/passed",
                "verified/k/v/640/maybe",
                "plan/",
            )
        ),
        ([], "the file ends after line 0"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(lines: list[str], said: str) -> None:
    target = MemoryStore()
    with pytest.raises(ValueError, match=said):
        import_session(target, lines)
    assert len(target.read(ALICE)) == ("and on" in said)


@pytest.mark.parametrize(
    ("held", "erased", "differs"),
    [
        ([turn("another")], [], 1),
        ([turn("a"), turn("another")], [], 2),
        ([turn("a"), turn("other words", "b")], [], 2),
        ([turn("a"), turn("b", role="assistant")], [], 2),
        ([turn("a"), turn("b")], [1], 1),
        ([turn("a"), turn("b"), turn("c")], [], 3),
        ([turn("a"), turn("b"), turn("x"), turn("d"), turn("e")], [3, 5], 5),
        ([turn("a"), turn("b"), turn("", "optical-memory/erased/3"), turn("x")], [], 4),
    ],
)
def test_another_session_in_the_target_is_left_alone(target: Store, held: list[Turn], erased: list[int], differs: int) -> None:
    source = MemoryStore()
    fill(source, ALICE, [turn(text) for text in "abcd"], erased=[3])
    fill(target, ALICE, held, erased=erased)
    target.put(ALICE, {"plan": b"own"})
    before = state(target, ALICE)
    with pytest.raises(ValueError, match=f"turn #{differs} of session 'alice'"):
        copy_session(source, target, ALICE, pages=True)
    assert state(target, ALICE) == before


def test_turns_that_are_there_keep_their_pins(target: Store) -> None:
    source = MemoryStore()
    fill(source, ALICE, [turn("a"), turn("b")], pins=[1])
    copy_session(source, target, ALICE)
    target.pin(ALICE, 1, False)
    target.pin(ALICE, 2, True)
    copy_session(source, target, ALICE)
    assert target.pinned(ALICE) == [2]


def test_ids_of_erased_turns_are_not_carried_over(target: Store) -> None:
    source = MemoryStore()
    fill(source, ALICE, [turn("a"), turn("b")], erased=[1])
    copy_session(source, target, ALICE)
    assert [source.append(ALICE, [turn("a")])[0].number, target.append(ALICE, [turn("a")])[0].number] == [1, 3]


def test_a_session_that_is_not_there(source: Store) -> None:
    source.put(ALICE, CACHE)
    with pytest.raises(LookupError, match=r"no session 'alice' in (memory|sqlite|redis)://"):
        export_session(source, ALICE, pages=True)


def test_a_session_that_is_erased_meanwhile_is_no_session_of_erased_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "READ_AT_ONCE", 1)
    source = MemoryStore()
    fill(source, ALICE, [turn("a"), turn("b")])
    lines = export_session(source, ALICE)
    next(lines), next(lines)
    source.erase(ALICE)
    with pytest.raises(LookupError, match="erased while"):
        list(lines)


def test_what_is_appended_meanwhile_is_left_out() -> None:
    source, target = MemoryStore(), MemoryStore()
    fill(source, ALICE, [turn("a")])
    lines = export_session(source, ALICE, pages=True)
    source.append(ALICE, [turn("b")])
    source.put(ALICE, {"page of both": b"x"})
    assert import_session(target, lines) == ImportReport(ALICE, 1, 0, 0)


def test_another_writer_in_the_target_is_noticed(target: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "STORED_AT_ONCE", 1)
    source = MemoryStore()
    fill(source, ALICE, [turn("a"), turn("b"), turn("c")])

    def lines() -> Iterator[str]:
        for line in export_session(source, ALICE):
            if '"number":3' in line:
                target.append(ALICE, [turn("mine")])
            yield line

    with pytest.raises(LengthConflict):
        import_session(target, lines())
    assert [item.content for item in target.read(ALICE)] == ["a", "mine"]


def test_long_sessions_are_never_held_whole(target: Store) -> None:
    source = MemoryStore()
    fill(source, ALICE, [turn(f"t{place}") for place in range(2_600)], erased=[*range(900, 1_200), 2_000])
    with patch.object(source, "read", wraps=source.read) as read:
        lines = export_session(source, ALICE)
        assert read.call_count == 0
        next(lines), next(lines)
        assert read.call_args.args == (ALICE, 1, 1_001)
        copy_session(source, target, ALICE)
    assert max(call.args[2] - call.args[1] for call in read.call_args_list) == 1_000
    assert target.read(ALICE) == source.read(ALICE)


def test_large_turns_go_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_module, "LONGEST_BATCH", 5_000)
    source, target = MemoryStore(), MemoryStore()
    fill(source, ALICE, [turn("x" * 2_000, str(place)) for place in range(7)])
    with patch.object(target, "append", wraps=target.append) as append:
        copy_session(source, target, ALICE)
    assert [len(call.args[1]) for call in append.call_args_list] == [2, 2, 2, 1]

"""Bits that flipped in a SQLite file are told, and never read as a turn's words; another program's file is not touched."""

from __future__ import annotations

import lzma
import random
import sqlite3
import traceback
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optical_memory.errors import SessionCorrupted, StoreError, StoreUnavailable
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.turns.turn import ToolCall, Turn
from tests.sampling import examples

ALICE, BOB = SessionId("alice"), SessionId("bob", "acme")
TURNS = [
    Turn(
        id=f"m{number}",
        role="assistant",
        content=f"words of turn {number} " + "and more " * (number * 7 % 60),
        pinned=number % 5 == 0,
        tool_calls=(ToolCall(id=f"c{number}", name="f", arguments='{"a": 1}'),),
    )
    for number in range(1, 25)
]
PICTURES = {"picture/a": bytes(range(256)) * 12, "plan/x": b'{"plan": 1}'}
OLD_FILE = Path(__file__).parents[1] / "data" / "session-0.1.0.sqlite.xz"


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement, values)
        db.commit()


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def filled(path: Path) -> Store:
    store = open_store(f"sqlite:///{path}?timeout=1")
    for session in (ALICE, BOB):
        store.append(session, [turn.model_copy(update={"content": f"{turn.content} of {session.name}"}) for turn in TURNS])
        store.put(session, PICTURES)
    store.erase(ALICE, [4])
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def store(path: Path) -> Store:
    return filled(path)


# -- flipped bits ------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(1, 24).filter(lambda number: number != 4), at=st.integers(0, 10**9))
def test_a_flipped_bit_of_a_record_is_damage(store: Store, path: Path, number: int, at: int) -> None:
    row = f"rowid IN (SELECT key FROM turn WHERE key & 4294967295 = {number} ORDER BY key LIMIT 1)"
    with closing(sqlite3.connect(path)) as db:
        ((held,),) = db.execute(f"SELECT record FROM turn WHERE {row}").fetchall()
    change(path, f"UPDATE turn SET record = ? WHERE {row}", flipped(held, at % (len(held) * 8)))
    try:
        with pytest.raises(SessionCorrupted, match=f"turn #{number} ") as told:
            store.read(ALICE)
        assert told.value.missing == (number,) and told.value.session == "alice"
        assert "words of turn" not in "".join(traceback.format_exception(told.value))
        with pytest.raises(SessionCorrupted):
            store.append(ALICE, [TURNS[number - 1]])  # known: the stored one would come back
    finally:
        change(path, f"UPDATE turn SET record = ? WHERE {row}", held)
    assert len(store.read(ALICE)) == 23, "as it was written, it is read"


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(PICTURES)), at=st.integers(0, 10**9))
def test_a_flipped_bit_of_a_cached_entry_is_damage(store: Store, path: Path, name: str, at: int) -> None:
    row = "session = 1 AND name = ?"
    change(path, f"UPDATE cache SET data = ? WHERE {row}", PICTURES[name], name.encode())
    store.put(ALICE, PICTURES)
    with closing(sqlite3.connect(path)) as db:
        kept = db.execute("SELECT * FROM cache_sum").fetchall()
        db.execute(f"UPDATE cache SET data = ? WHERE {row}", (flipped(PICTURES[name], at % (len(PICTURES[name]) * 8)), name.encode()))
        db.executemany("INSERT OR REPLACE INTO cache_sum VALUES(?, ?)", kept)  # the flip changed the data alone
        db.commit()
    with pytest.raises(SessionCorrupted, match=name):
        store.get(ALICE, [name])
    assert store.get(BOB, [name]) == {name: PICTURES[name]}
    claims = store.claims  # type: ignore[attr-defined]
    assert not claims.swap(ALICE, name, PICTURES[name], b"next") and claims.swap(ALICE, name, None, b"next"), "it counts as absent"
    assert store.get(ALICE, [name]) == {name: b"next"}


SIXTH = "WHERE key = (1 << 32) + 6"
MOVED = {
    "another turn's record": f"UPDATE turn SET record = (SELECT record FROM turn WHERE key = (1 << 32) + 7) {SIXTH}",
    "another session's record": f"UPDATE turn SET record = (SELECT record FROM turn WHERE key = (2 << 32) + 6) {SIXTH}",
    "a cached entry's data": f"UPDATE turn SET record = (SELECT data FROM cache LIMIT 1) {SIXTH}",
    "text instead of bytes": "UPDATE turn SET record = CAST(record AS TEXT) WHERE key = (1 << 32) + 6",
    "a number instead of bytes": "UPDATE turn SET record = 5 WHERE key = (1 << 32) + 6",
    "a checksum of nothing": "UPDATE turn_sum SET sum = x'' WHERE key = (1 << 32) + 6",
    "a session under another name": "UPDATE session SET name = CAST('alice' AS BLOB), tenant = x'01' WHERE name = CAST('alice' AS BLOB)",
}


@pytest.mark.parametrize("moved", MOVED)
def test_a_record_that_belongs_elsewhere_is_damage(store: Store, path: Path, moved: str) -> None:
    change(path, MOVED[moved])
    session = SessionId("alice", "\x01") if "another name" in moved else ALICE
    with pytest.raises(SessionCorrupted):
        store.read(session)
    with pytest.raises(SessionCorrupted):
        store.read(session, 6, 7)


def test_turns_beyond_the_noted_length_are_damage(store: Store, path: Path) -> None:
    change(path, "UPDATE session SET length = 8 WHERE name = CAST('alice' AS BLOB)")
    with pytest.raises(SessionCorrupted, match="alice"):
        store.read(ALICE)


def test_bits_anywhere_in_the_file_never_give_other_words(path: Path, tmp_path: Path) -> None:
    """Any one bit of the whole file: tables, indexes, schema, header. Every answer is right, or an error; damage is never an outage."""
    store = filled(path)
    right = {session: (store.read(session), store.get(session, list(PICTURES))) for session in (ALICE, BOB)}
    store.close()
    data, dice = path.read_bytes(), random.Random(12)
    told = 0
    for _ in range(120):
        path.write_bytes(flipped(data, dice.randrange(len(data) * 8)))
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        try:
            store = open_store(f"sqlite:///{path}?timeout=1")
        except StoreError as exc:
            assert not isinstance(exc, StoreUnavailable), exc
            told += 1
            continue
        for session, (turns, cached) in right.items():
            try:
                assert store.read(session) == turns
                found = store.get(session, list(PICTURES))
                assert found == {name: cached[name] for name in found}
                store.erase(session, [5, 7])
            except StoreError as exc:
                assert not isinstance(exc, StoreUnavailable), exc
                told += 1
        store.close()
    assert told, "some are met"


def damaged_at(path: Path, root: str, word: bytes, change: int) -> None:
    """Change the first byte of a word on the page where a table or an index begins."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = db.execute("PRAGMA page_size").fetchone()[0]
        page = 1 if root == "sqlite_master" else db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (root,)).fetchone()[0]
    data = bytearray(path.read_bytes())
    at = data.index(word, (page - 1) * size, page * size)
    data[at] ^= change
    path.write_bytes(data)


def test_a_session_that_the_index_does_not_find_is_damage_and_not_empty(store: Store, path: Path) -> None:
    store.close()
    damaged_at(path, "sqlite_autoindex_session_1", b"alice", 1)
    store = open_store(f"sqlite:///{path}")
    calls = [store.length, store.read, store.names, store.pinned, store.erase, lambda session: store.append(session, TURNS[:1])]
    for call in calls:
        with pytest.raises(SessionCorrupted, match="alice"):
            call(ALICE)
    assert len(store.read(BOB)) == 24 and store.length(SessionId("nobody")) == 0


def test_a_schema_whose_error_is_no_text_is_damage(store: Store, path: Path) -> None:
    """Python's sqlite3 raises UnicodeDecodeError where SQLite quotes such a schema."""
    store.close()
    damaged_at(path, "sqlite_master", b"N DELETE FROM cache_sum", 0x80)
    with pytest.raises(SessionCorrupted, match="cannot be read"):
        open_store(f"sqlite:///{path}").read(ALICE)


def test_names_that_are_no_text_stop_nothing_and_go_with_the_next_erasure(store: Store, path: Path) -> None:
    change(path, "UPDATE cache SET name = x'706cff' WHERE name = CAST('picture/a' AS BLOB)")
    assert store.names(ALICE) == ["plan/x"]
    assert store.erase(ALICE, [7]) == [7]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM cache WHERE name = x'706cff'").fetchone() == (1,), "that of the other session"
    change(path, "UPDATE session SET name = x'ff' WHERE name = CAST('alice' AS BLOB)")
    with pytest.raises(SessionCorrupted, match="name of a session"):
        store.sessions()
    assert len(store.sessions("acme")) == 1


def test_a_pin_on_no_turn_is_damage(store: Store, path: Path) -> None:
    change(path, "UPDATE session SET length = 8 WHERE name = CAST('alice' AS BLOB)")
    with pytest.raises(SessionCorrupted, match="#20 is pinned"):
        store.pinned(ALICE)


# -- files of the last release -------------------------------------------------------------------------------------------------------


def test_a_file_of_the_last_release_is_read_and_gets_checksums_for_what_is_new(path: Path) -> None:
    path.write_bytes(lzma.decompress(OLD_FILE.read_bytes()))
    store = open_store(f"sqlite:///{path}")
    trip = SessionId("trip")
    old = store.read(trip)
    assert len(old) == 24 and all(store.get(trip, [name]) for name in store.names(trip))
    store.append(trip, [Turn(id="new", role="user", content="new")])
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT key & 4294967295 FROM turn_sum").fetchall() == [(25,)]
    assert store.read(trip)[:-1] == old


def test_rows_that_the_last_release_changes_are_read(store: Store, path: Path) -> None:
    """Its statements, on a file that this release made."""
    change(path, "INSERT INTO turn VALUES(?, ?, ?)", (1 << 32) + 25, 0, b'{"v":1,"id":"old","role":"user","content":"old"}')
    change(path, "UPDATE session SET length = 25 WHERE key = 1")
    change(path, "UPDATE cache SET data = ? WHERE session = 1 AND name = CAST('plan/x' AS BLOB)", b"old plan")
    change(path, "DELETE FROM turn WHERE key = (1 << 32) + 3")
    change(path, "INSERT INTO erased VALUES((1 << 32) + 3)")
    assert store.read(ALICE)[-1].content == "old" and store.get(ALICE, ["plan/x"]) == {"plan/x": b"old plan"}
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute("SELECT * FROM turn_sum WHERE key = (1 << 32) + 3").fetchall(), "no digest of an erased turn is left"


# -- another program's database --------------------------------------------------------------------------------------------------------


def foreign(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


FOREIGN = {
    "tables": ("CREATE TABLE theirs(a)", "INSERT INTO theirs VALUES(1)"),
    "tables of our names": ("CREATE TABLE turn(a)", "CREATE TABLE session(b)"),
    "its application id": ("PRAGMA application_id = 77", "CREATE TABLE theirs(a)"),
    "its application id and no table": ("PRAGMA application_id = 77",),
    "its version and no table": ("PRAGMA user_version = 3",),
    "a view": ("CREATE VIEW theirs AS SELECT 1",),
    "a write-ahead log": ("PRAGMA journal_mode = WAL", "CREATE TABLE theirs(a)", "INSERT INTO theirs VALUES(1)"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_program_s_database_is_refused_untouched(path: Path, kind: str) -> None:
    foreign(path, *FOREIGN[kind])
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreError, match="another program's database"):
            open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name], "no file beside it"


def test_a_database_that_another_program_has_open_is_refused_untouched(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE theirs(a)")  # in its write-ahead log alone
        log = path.with_name(path.name + "-wal")
        before = path.read_bytes(), log.read_bytes()
        with pytest.raises(StoreError, match="another program's database"):
            open_store(f"sqlite:///{path}")
        assert (path.read_bytes(), log.read_bytes()) == before
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


@pytest.mark.parametrize("content", [b"x", b"not a database at all" * 100, b"SQLite format 3\0" + b"\0" * 84], ids=["x", "text", "header"])
def test_what_is_no_database_is_refused_untouched(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_an_empty_file_and_a_database_without_tables_are_taken_over(path: Path) -> None:
    path.touch()
    filled(path).close()
    other = path.with_name("other.db")
    foreign(other, "CREATE TABLE gone(a)", "DROP TABLE gone")
    assert len(filled(other).read(ALICE)) == 23


def test_a_file_that_is_only_in_its_write_ahead_log_is_ours(path: Path) -> None:
    """Killed before the first checkpoint, the main file does not name its application yet."""
    import subprocess
    import sys

    script = (
        "import os, sys; from optical_memory.stores import open_store, SessionId; from optical_memory.turns.turn import Turn\n"
        "open_store(sys.argv[1]).append(SessionId('alice'), [Turn(id='a', role='user', content='kept')]); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, f"sqlite:///{path}"], check=False, cwd=Path(__file__).parents[2])
    assert open_store(f"sqlite:///{path}").read(ALICE)[0].content == "kept"


# -- erasing -----------------------------------------------------------------------------------------------------------------------------

UNREADABLE = {
    "newer": b'{"v":2,"id":"m6","role":"user","content":"words of turn 6"}',
    "newer, of another shape": b'{"v":9,"said":["words of turn 6"]}',
    "damaged": b'{"v":1,"id":"m6","role":"user","content":"words of turn 6" and more',
    "no record": b"\xff\xfe",
    "text": "words of turn 6 \N{SNOWMAN}",
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("erased", [[6], [5, 6, 7], [5, 7], None])
def test_what_cannot_be_read_is_erased(store: Store, path: Path, kind: str, erased: list[int] | None) -> None:
    change(path, "UPDATE turn SET record = ? WHERE key = (1 << 32) + 6", UNREADABLE[kind])
    held = [number for number in range(1, 25) if number != 4]
    assert store.erase(ALICE, erased) == (held if erased is None else erased)
    if erased is None or 6 in erased:
        assert len(store.read(ALICE)) == len(held) - len(erased or held)
        assert store.search(ALICE, "words", 50) == ([] if erased is None else store.search(ALICE, "turn", 50))
        left = b"".join(part.read_bytes() for part in path.parent.iterdir())
        assert left.count(b"words of turn 6 ") == 1, "the other session's"
    else:
        with pytest.raises(StoreError):
            store.read(ALICE)
    assert len(store.read(BOB)) == 24


def test_a_damaged_index_is_made_again_when_turns_are_erased(store: Store, path: Path) -> None:
    change(path, "UPDATE turn_index_data SET block = zeroblob(length(block)) WHERE id > 1000")
    fresh = open_store(f"sqlite:///{path}")
    assert fresh.erase(ALICE, [6]) == [6]
    assert 7 in fresh.search(ALICE, "words", 50) and 6 not in fresh.search(ALICE, "words", 50)


def test_damage_that_is_in_the_way_is_told_as_damage_and_the_rest_is_erased(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.append(ALICE, [Turn(id=f"m{number}", role="user", content=f"turn {number} " * 2_000) for number in range(1, 9)])
    store.close()
    data = path.read_bytes()
    full = [page for page in range(0, len(data), 4096) if data.count(b"turn 5 ", page, page + 4096) > 580]
    assert full
    for page in full:  # of its record alone: the first bytes of each name the next
        data = data[:page] + b"\xff\xff\xff\xff" + data[page + 4 :]
    path.write_bytes(data)
    with suppress(SessionCorrupted):
        store = open_store(f"sqlite:///{path}")
    with pytest.raises(SessionCorrupted) as told:
        store.erase(ALICE, [1, 5])
    assert "optical-memory copy" in str(told.value) or "backup" in str(told.value)
    with closing(sqlite3.connect(path)) as db:
        assert not db.execute("SELECT 1 FROM turn WHERE key = (1 << 32) + 1").fetchall(), "what can be erased is"

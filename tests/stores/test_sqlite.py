"""The SQLite file: durability, several processes, erasure down to the bytes, and files that are not as expected."""

from __future__ import annotations

import base64
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory.errors import SessionCorrupted, StoreError, StoreUnavailable, UnknownName
from optical_memory.stores import SessionId, Store, default_url, open_store
from optical_memory.stores.sqlite import SqliteStore
from optical_memory.text.search_terms import terms
from optical_memory.turns.turn import ImageContent, ToolCall, Turn
from tests.stores.writers import write_at_once

ALICE = SessionId("alice")
ROOT = Path(__file__).parents[2]


def turn(text: str, id: str = "") -> Turn:
    return Turn(id=id or text[:40], role="user", content=text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(f"sqlite:///{path}")
    yield opened
    opened.close()


def bytes_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()) if file.name.startswith(path.name))


# Durability and processes


def test_what_append_returned_survives_kill_9(path: Path) -> None:
    script = (
        "import sys; from optical_memory.stores import SessionId, open_store; from optical_memory.turns.turn import Turn\n"
        "store = open_store(sys.argv[1])\n"
        "for n in range(1, 1_000_000):\n"
        "    store.append(SessionId('alice'), [Turn(id=str(n), role='user', content=f'turn {n} ' * 20)])\n"
        "    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, f"sqlite:///{path}"], stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        acknowledged = [next(child.stdout) for _ in range(300)]
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += [line for line in child.stdout if line.endswith("\n")]
    last = int(acknowledged[-1])
    store = open_store(f"sqlite:///{path}")
    kept = store.read(ALICE)
    assert [item.id for item in kept] == [str(n) for n in range(1, len(kept) + 1)]
    assert last <= len(kept) <= last + 1  # one may have been stored and not yet said
    assert store.search(ALICE, str(last), 1) == [last]
    assert store.append(ALICE, [turn("next")])[0].number == len(kept) + 1


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_append_to_one_session(path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform cannot {method}")
    url = f"sqlite:///{path}"
    stored = write_at_once(url, 4, method)
    assert set(open_store(url).search(ALICE, "writer3", 100)) == {
        item.number for item in stored if str(item.content).startswith("writer3 ")
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_store_goes_on_working_on_both_sides_of_a_fork(store: SqliteStore) -> None:
    store.append(ALICE, [turn("before")])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for number in range(50):
                store.append(ALICE, [turn(f"child {number}")])
            status = 0
        finally:
            os._exit(status)
    for number in range(50):
        store.append(ALICE, [turn(f"parent {number}")])
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [item.number for item in store.read(ALICE)] == list(range(1, 102))


def test_a_writer_that_does_not_finish_is_reported(path: Path, store: SqliteStore) -> None:
    impatient = open_store(f"sqlite:///{path}?timeout=0.1")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        impatient.append(ALICE, [turn("waits")])
    blocker.execute("ROLLBACK")
    assert impatient.append(ALICE, [turn("waits")])[0].number == 1
    blocker.close()


# Erasure

SECRETS = {
    "word": "Xylographomancy",
    "code": "ZQX-90125-KW",
    "escaped": 'quoted "Grünwaldstraße" \n and \x01\t',
    "chinese": "绝密的订单号码是甲乙丙丁",
    "surrogate": "half \ud83d pair Wobbegonging",
    "long": " ".join(f"longsecret{n}" for n in range(4_000)),
}


def traces(secret: str) -> list[bytes]:
    """Byte strings that would give a secret away: as it is, as JSON writes it, and each of its longer terms as the index holds it."""
    words = [word for word in secret.split() if len(word) > 3]
    single = [term for term in terms(secret) if len(term) > (3 if term.isascii() else 1)]
    every = dict.fromkeys([secret, secret.encode("unicode_escape").decode(), *words[::40], *single[::40], *words[-5:], *single[-20:]])
    return [item.encode("utf-8", "surrogatepass") for item in every]


@pytest.mark.parametrize("whole_session", [False, True])
@pytest.mark.parametrize("name", SECRETS)
def test_no_byte_of_an_erased_turn_stays_in_the_files(path: Path, store: SqliteStore, name: str, whole_session: bool) -> None:
    secret = SECRETS[name]
    bob = SessionId("bob")
    for number in range(60):
        store.append(ALICE, [turn(f"harmless {number} " * (number % 7 + 1), f"before {number}")])
        store.append(bob, [turn(f"bystander {number}", f"bob {number}")])
    call = ToolCall(id=f"call {secret[:20]}", name="f", arguments=secret)
    given = Turn(id=f"id {secret[:20]}", role="assistant", content=secret, tool_calls=(call,), metadata={"m": secret})
    number = store.append(ALICE, [given])[0].number
    for later in range(60):
        store.append(ALICE, [turn(f"after {later}", f"after {later}")])
    before = bytes_of(path)
    assert sum(trace in before for trace in traces(secret)) >= 2  # what is looked for below can be seen before
    assert store.erase(ALICE, None if whole_session else [number])[-1] == (121 if whole_session else number)
    after = bytes_of(path)
    assert [trace for trace in traces(secret) if trace in after] == []
    assert len(store.read(bob)) == 60 and len(store.search(bob, "bystander", 99)) == 60
    assert len(store.search(ALICE, "harmless", 99)) == (0 if whole_session else 60)
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_erased_picture_and_discarded_names_leave_no_byte(path: Path, store: SqliteStore) -> None:
    noise = os.urandom(90_000)
    picture = ImageContent(media_type="image/png", data=base64.b64encode(noise).decode())
    store.append(ALICE, [Turn(id="p", role="user", content=(picture,)), turn("other")])
    store.put(ALICE, {"page": noise, "secret name": b"short secret", "kept": b"kept bytes"})
    pieces = [noise[start : start + 24] for start in range(0, len(noise) - 24, 1_000)]
    pieces += [base64.b64encode(noise[start : start + 24]) for start in range(0, len(noise) - 24, 999)]
    pieces += [b"secret name", b"short secret"]
    before = bytes_of(path)
    assert sum(piece in before for piece in pieces) > 150
    store.erase(ALICE, [1])
    store.discard(ALICE, ["page", "secret name"])
    after = bytes_of(path)
    assert [piece for piece in pieces if piece in after] == []
    assert b"kept bytes" in after


def test_rows_that_moved_between_pages_leave_no_copy(path: Path, store: SqliteStore) -> None:
    """SQLite's secure deletion alone leaves a few of these behind, where pages were split."""
    chance = random.Random(1)
    store.append(ALICE, [turn(f"secret{n:04} " * chance.randint(1, 9), f"s{n}") for n in range(600)])
    names = {n: f"name{n:04}-{chance.randbytes(chance.randint(4, 16)).hex()}" for n in range(3_000)}
    for length in (800, 3_000):  # the second time as replacements of another length
        for _ in range(60):
            some = chance.sample(sorted(names), 100)
            store.put(ALICE, {names[n]: b"cached%04d" % n + b"." * chance.randint(0, length) for n in some})
    odd = [n for n in names if n % 2]
    store.erase(ALICE, [n + 1 for n in odd if n < 600])
    store.discard(ALICE, [names[n] for n in odd])
    seen = {(kind, int(digits)) for kind, digits in re.findall(rb"(secret|name|cached)(\d{4})", bytes_of(path))}
    assert not [n for _, n in seen if n % 2]
    assert seen >= {(b"secret", n) for n in range(0, 600, 2)}
    assert len([n for kind, n in seen if kind == b"cached"]) > 500


def test_a_reader_in_the_way_is_reported_and_the_erasure_finished_later(path: Path, store: SqliteStore) -> None:
    store.append(ALICE, [turn("Xylographomancy"), turn("kept")])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM turn").fetchone()
    impatient = open_store(f"sqlite:///{path}?timeout=0.1")
    with pytest.raises(StoreUnavailable, match="still in the file"):
        impatient.erase(ALICE, [1])
    assert [item.number for item in impatient.read(ALICE)] == [2]
    assert b"Xylographomancy" in bytes_of(path)
    with pytest.warns(UserWarning, match="not finished"):
        open_store(f"sqlite:///{path}?timeout=0.1")
    reader.execute("COMMIT")
    assert impatient.erase(ALICE, [1]) == []
    assert b"ylographomancy" not in bytes_of(path)


def test_an_erasure_waits_for_a_reader_that_finishes(path: Path, store: SqliteStore) -> None:
    store.append(ALICE, [turn("Xylographomancy")])
    script = (
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN')\n"
        "db.execute('SELECT count(*) FROM turn').fetchone(); print('reading', flush=True); time.sleep(0.5); db.execute('COMMIT')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "reading\n"
        started = time.monotonic()
        assert store.erase(ALICE, [1]) == [1]
        assert time.monotonic() - started > 0.2
    assert b"ylographomancy" not in bytes_of(path)


def test_terms_of_another_python_are_erased_too(path: Path, store: SqliteStore) -> None:
    store.append(ALICE, [turn("Xylographomancy"), turn("kept")])
    with sqlite3.connect(path) as db:  # as if a Python with other Unicode tables had cut the turn into other terms
        (session,) = db.execute("SELECT key FROM session").fetchone()
        db.execute("INSERT INTO turn_index(rowid, terms) VALUES(?, ?)", (session << 32 | 1, f"{session}:otherterm"))
        db.execute("INSERT INTO index_terms VALUES('1/0.0')")
    db.close()
    store.erase(ALICE, [1])
    assert store.search(ALICE, "otherterm", 5) == []
    assert b"otherterm" not in bytes_of(path) and b"ylographomancy" not in bytes_of(path)
    assert store.search(ALICE, "kept", 5) == [2]


# Damage, foreign files, URLs


def test_missing_turns_are_never_passed_over(path: Path, store: SqliteStore) -> None:
    store.append(ALICE, [turn("a"), turn("b"), turn("c")])
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM turn WHERE key & 4294967295 = 2")
    db.close()
    with pytest.raises(SessionCorrupted, match="#1 to #3"):
        store.read(ALICE)
    assert [item.number for item in store.read(ALICE, 3)] == [3]


@pytest.mark.parametrize("record", [b"", b"{", b'{"v":1,"id":"a"}', b"\xff" * 40, b"[1]", b"null"])
def test_an_unreadable_record_is_reported_and_can_be_erased(path: Path, store: SqliteStore, record: bytes) -> None:
    store.append(ALICE, [turn("first word"), turn("second word")])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE turn SET record = ? WHERE key & 4294967295 = 1", (record,))
    db.close()
    with pytest.raises(SessionCorrupted, match="#1"):
        store.read(ALICE)
    assert store.erase(ALICE, [1]) == [1]
    assert [item.number for item in store.read(ALICE)] == [2]
    assert store.search(ALICE, "word first", 5) == [2]


def test_a_record_of_a_newer_version_says_so(path: Path, store: SqliteStore) -> None:
    store.append(ALICE, [turn("a")])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE turn SET record = ?", (b'{"v":2,"id":"a","role":"user"}',))
    db.close()
    with pytest.raises(StoreError, match="Upgrade"):
        store.read(ALICE)


def test_a_newer_schema_says_so(path: Path, store: SqliteStore) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(StoreError, match="schema 7; this version knows 1"):
        open_store(f"sqlite:///{path}")


def test_another_programs_file_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs(a)")
    db.close()
    with pytest.raises(StoreError, match="another program"):
        open_store(f"sqlite:///{path}")
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="cannot be read"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"not a database")


def test_files_are_private_and_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ü ?#.db"
    store = open_store(f"sqlite:///{str(path).replace('?', '%3F').replace('#', '%23')}")
    store.append(ALICE, [turn("a")])
    if os.name == "posix":
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert path.exists()
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreUnavailable, match="cannot open"):
        open_store(f"sqlite:///{blocked}/log.db")


def test_a_relative_path_has_three_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///sub/log.db").close()
    assert (tmp_path / "sub" / "log.db").exists()


def test_the_default_store_lives_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("the folder can be moved by XDG_DATA_HOME on Linux only")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "données"))
    for url in (None, "sqlite://", default_url()):
        open_store(url).append(ALICE, [turn("a")])
    assert len(open_store().read(ALICE)) == 1
    assert (tmp_path / "données" / "optical-memory" / "memory.sqlite3").exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://log.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?synchronous=off",
        "sqlite:///x.db?sync=full",
        "sqlite:///x.db?timeout=-1",
        "sqlite:///x.db?index=maybe",
        "memory://x?y=1",
    ],
)
def test_urls_that_make_no_sense(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"write|unknown|number"):
        open_store(url)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    for url, name in (("mysql://user:hidden@host/db", "mysql://"), ("user:hidden@host", "user"), ("", "")):
        with pytest.raises(UnknownName) as caught:
            open_store(url)
        assert str(caught.value) == (
            f"unknown store {name!r}; known: memory://, redis+cluster://, redis+sentinel://, redis://, rediss+cluster://, "
            "rediss+sentinel://, rediss://, sqlite://, unix://"
        )


def test_full_synchronisation_is_an_option(tmp_path: Path) -> None:
    store = SqliteStore(f"sqlite:///{tmp_path / 'full.db'}?synchronous=full")
    with store._file.read() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    protocol: Store = store
    assert protocol.append(ALICE, [turn("a")])[0].number == 1

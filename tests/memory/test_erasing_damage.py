"""What is damaged, sealed with a lost key or of a newer release can be erased, with its pages; damage is never called an outage."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.errors import SessionCorrupted, StoreError, StoreUnavailable
from optical_memory.stores.redis.key_names import PARTS, Layout
from tests.commands import run_command

NEWER = b'{"v":9,"said":"what a newer release writes"}'
SAID = [{"role": "user" if place % 2 == 0 else "assistant", "content": f"{place} says " + "something long " * 40} for place in range(30)]


def on_sqlite(path: Path) -> OpticalMemory:
    return OpticalMemory("a", store=f"sqlite:///{path}", renderer="pillow")


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement, values)
        db.commit()


@pytest.mark.parametrize("record", [NEWER, b"\xffdamaged", b'{"v":1,"id":'])
def test_a_turn_that_cannot_be_read_is_erased_with_its_pages(tmp_path: Path, record: bytes) -> None:
    path = tmp_path / "a.db"
    memory = on_sqlite(path)
    memory.extend(SAID)
    assert memory.context(1500).pages
    change(path, "UPDATE turn SET record = ? WHERE key & 4294967295 = 3", record)
    memory = on_sqlite(path)
    with pytest.raises(StoreError):
        memory.turns()
    report = memory.erase([3])
    assert report.turns == (3,) and report.pages > 0
    assert len(memory.turns()) == 29 and memory.prove_erased([3]).is_complete
    assert memory.context(1500).pages


@pytest.mark.parametrize("damage", ["UPDATE cache SET data = zeroblob(length(data)) WHERE name LIKE 'run/%'", None])
def test_pages_whose_record_is_damaged_leave_no_picture(tmp_path: Path, damage: str | None) -> None:
    path = tmp_path / "a.db"
    memory = on_sqlite(path)
    memory.extend(SAID)
    memory.context(1500)
    with closing(sqlite3.connect(path)) as db:
        sums = db.execute("SELECT * FROM cache_sum").fetchall()
        runs = [name for (name,) in db.execute("SELECT name FROM cache") if name.startswith(b"run/")]
        assert runs
        for name in runs:  # with and without a checksum that tells it
            db.execute("UPDATE cache SET data = ? WHERE name = ?", (b'{"v":99}', name))
        if damage:
            db.executemany("INSERT OR REPLACE INTO cache_sum VALUES(?, ?)", sums)
        db.commit()
    memory = on_sqlite(path)
    assert memory.erase(list(range(1, 31))).pages > 0
    assert memory._store.names(memory.session, "picture/") == memory._store.names(memory.session, "run/") == []


def test_other_pages_keep_their_pictures(tmp_path: Path) -> None:
    memory = on_sqlite(tmp_path / "a.db")
    memory.extend(SAID)
    memory.context(1500)
    first, *others = sorted(memory._store.names(memory.session, "run/"))
    before = set(memory._store.names(memory.session, "picture/"))
    memory._store.put(memory.session, {first: b'{"v":99}'})
    memory = on_sqlite(tmp_path / "a.db")
    memory.erase([1])
    after = set(memory._store.names(memory.session, "picture/"))
    assert memory._store.names(memory.session, "run/") == others
    assert after < before and bool(after) == bool(others)


def test_the_command_erases_a_turn_of_a_newer_release(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    memory = on_sqlite(path)
    memory.extend(SAID[:4])
    memory.close()
    change(path, "UPDATE turn SET record = ? WHERE key & 4294967295 = 2", NEWER)
    done = run_command("erase", "--turns", "2", "--yes", "-s", "a", "--store", f"sqlite:///{path}", "--proof", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [turn.number for turn in on_sqlite(path).turns()] == [1, 3, 4]


# -- Redis -------------------------------------------------------------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[Any, bytes, bytes, bytes], object]] = {
    "the log is a text": lambda client, meta, log, cache: client.set(log, "x"),  # SET takes the place of any kind
    "meta is a text": lambda client, meta, log, cache: client.set(meta, "x"),
    "the cache is a text": lambda client, meta, log, cache: client.set(cache, "x"),
    "the length is no number": lambda client, meta, log, cache: client.hset(meta, "length", "many"),
    "the pins are none": lambda client, meta, log, cache: client.hset(meta, "pins", " x"),
    "a turn is gone": lambda client, meta, log, cache: client.lpop(log),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_on_a_server_is_no_outage_and_the_session_can_be_erased(clean_redis: str, damage: str) -> None:
    redis = pytest.importorskip("redis", reason="needs the redis extra")
    memory = OpticalMemory("a", store=clean_redis, renderer="pillow")
    memory.extend(SAID)
    memory.context(1500)
    keys = [Layout().keys(memory.session)[PARTS.index(part)] for part in ("meta", "log", "cache")]
    with redis.Redis.from_url(clean_redis) as client:
        DAMAGE[damage](client, *keys)
        fresh = OpticalMemory("a", store=clean_redis, renderer="pillow")
        for call in (fresh.turns, lambda: fresh.context(1500), lambda: fresh.erase([3]), lambda: fresh._store.pinned(fresh.session)):
            try:
                call()
            except StoreUnavailable as exc:
                pytest.fail(f"{damage}: {exc}")
            except SessionCorrupted as exc:
                assert "erase" in str(exc)
        if damage == "the cache is a text":
            assert fresh._store.length(fresh.session) == 30 and len(fresh.turns()) == 29, "what can be erased is"
        fresh.erase()
        assert [key for key in keys if client.exists(key)] == []
    fresh.extend(SAID[:2])
    assert len(fresh.turns()) == 2


def test_a_newer_turn_on_a_server_is_erased(clean_redis: str) -> None:
    redis = pytest.importorskip("redis", reason="needs the redis extra")
    memory = OpticalMemory("a", store=clean_redis, renderer="pillow")
    memory.extend(SAID)
    memory.context(1500)
    with redis.Redis.from_url(clean_redis) as client:
        client.lset(Layout().keys(memory.session)[1], 2, NEWER)
    memory = OpticalMemory("a", store=clean_redis, renderer="pillow")
    assert memory.erase([3]).turns == (3,)
    assert len(memory.turns()) == 29


def test_an_entry_on_a_server_whose_name_is_no_text_goes_with_the_next_erasure(clean_redis: str) -> None:
    redis = pytest.importorskip("redis", reason="needs the redis extra")
    memory = OpticalMemory("s", store=clean_redis, renderer="pillow")
    memory.extend([("user", f"said {number}") for number in range(1, 9)])
    memory.context()
    with redis.Redis.from_url(clean_redis) as client:
        (cache,) = [key for key in client.keys("*") if key.endswith(b":cache")] or [client.keys(b"*:meta")[0].replace(b":meta", b":cache")]
        client.hset(cache, b"picture/\xff/1", "pixels")
        assert memory.context(2_000) and memory.erase(3).turns == (3,)
        assert b"picture/\xff/1" not in client.hkeys(cache) and memory.prove_erased(3).is_complete

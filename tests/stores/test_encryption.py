"""Encryption at rest: nothing readable on the server, keys that change, and what happens without them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.errors import SessionCorrupted, StoreError, WrongKey
from optical_memory.stores import SessionId, open_store
from optical_memory.stores.encryption import KEYS_VARIABLE, PLAIN, SEALED, cipher_of
from optical_memory.stores.redis import RedisStore
from optical_memory.stores.redis.health_check import check, rotate
from optical_memory.turns.turn import ToolCall, Turn

redis = pytest.importorskip("redis", reason="needs the redis extra")
fernet = pytest.importorskip("cryptography.fernet", reason="needs the encryption extra")

ALICE = SessionId("alice")
OLD, NEW = (fernet.Fernet.generate_key().decode() for _ in range(2))
SECRET = Turn(
    id="secret id", role="assistant", name="secret name", content="the secret", tool_calls=(ToolCall(id="secret call", name="secret"),)
)


@pytest.fixture
def client(clean_redis: str) -> Any:
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


def everything(client: Any) -> bytes:
    """Every key and value on the server, dumped."""
    return b"".join(key + (client.dump(key) or b"") for key in client.scan_iter())


def raw(client: Any, store: RedisStore) -> list[bytes]:
    return list(client.lrange(store.layout.keys(ALICE)[1], 0, -1))


def test_nothing_readable_is_on_the_server(clean_redis: str, client: Any) -> None:
    client.config_set("rdbcompression", "no")
    store = RedisStore(clean_redis, keys=[NEW])
    stored = store.append(ALICE, [SECRET, SECRET])
    store.put(ALICE, {"plan/x": b"secret plan", "picture/y": b"secret pixels"})
    assert b"secret" not in everything(client)
    assert store.read(ALICE) == [stored[0]] and stored[0].content == "the secret" and stored[1] == stored[0]
    assert store.get(ALICE, ["plan/x", "picture/y"]) == {"plan/x": b"secret plan", "picture/y": b"secret pixels"}
    assert store.search(ALICE, "secret", 5) == [1]
    assert store.swap(ALICE, "plan/x", b"secret plan", b"next") and not store.swap(ALICE, "plan/x", b"secret plan", b"late")
    assert store.get(ALICE, ["plan/x"]) == {"plan/x": b"next"}
    plain = RedisStore(clean_redis, keys=[])
    plain.append(SessionId("plain"), [SECRET])
    assert b"the secret" in everything(client)  # the test would see it


def test_keys_come_from_the_environment(clean_redis: str, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, f" {NEW}, {OLD} ")
    store = open_store(clean_redis)
    store.append(ALICE, [SECRET])
    monkeypatch.delenv(KEYS_VARIABLE)
    with pytest.raises(WrongKey, match=KEYS_VARIABLE):
        open_store(clean_redis).read(ALICE)
    monkeypatch.setenv(KEYS_VARIABLE, OLD)
    with pytest.raises(WrongKey, match="none of the 1 keys"):
        open_store(clean_redis).read(ALICE)


def test_a_key_is_taken_over_from_another(clean_redis: str, client: Any) -> None:
    RedisStore(clean_redis, keys=[]).append(ALICE, [Turn(id="plain", role="user", content="before there were keys")])
    old = RedisStore(clean_redis, keys=[OLD])
    old.append(ALICE, [SECRET, Turn(id="erased", role="user", content="x")])
    old.put(ALICE, {"page": b"pixels"})
    old.erase(ALICE, [3])
    both = RedisStore(clean_redis, keys=[NEW, OLD])
    before = both.read(ALICE)
    assert check(both).unsealed == 2
    assert rotate(both) == (2, 1)
    assert rotate(both) == (0, 0)
    assert check(both).unsealed == 0
    new = RedisStore(clean_redis, keys=[NEW])
    assert new.read(ALICE) == before and new.get(ALICE, ["page"]) == {"page": b"pixels"}
    with pytest.raises(WrongKey):
        old.read(ALICE)
    assert old.get(ALICE, ["page"]) == {}  # what can be made again is made again
    assert old.swap(ALICE, "page", None, b"made again") is True


def test_what_was_changed_does_not_open(clean_redis: str, client: Any) -> None:
    store = RedisStore(clean_redis, keys=[NEW])
    store.append(ALICE, [SECRET])
    (record,) = raw(client, store)
    client.lset(store.layout.keys(ALICE)[1], 0, record[:-1] + bytes([record[-1] ^ 1]))
    with pytest.raises(StoreError, match="changed"):
        store.read(ALICE)
    other = Turn(id="other", role="user", content="other")
    store.append(ALICE, [other])
    assert store.erase(ALICE, [1]) == [1] and [item.content for item in store.read(ALICE)] == ["other"]
    store.erase(ALICE)
    store.append(ALICE, [SECRET])
    client.lset(store.layout.keys(ALICE)[1], 0, b"rubbish")
    with pytest.raises(SessionCorrupted):
        store.read(ALICE)
    report = check(store)
    assert report.has_errors
    assert store.erase(ALICE, [1]) == [1]


@given(st.binary() | st.binary().map(lambda tail: SEALED + tail) | st.binary().map(lambda tail: PLAIN + tail))
def test_whatever_is_kept_comes_back_with_and_without_keys(data: bytes) -> None:
    for cipher in (cipher_of([]), cipher_of([NEW])):
        sealed = cipher.seal(data)
        assert cipher.open(sealed) == data and cipher.is_current(sealed)
        assert cipher_of([NEW, OLD]).open(sealed) == data


def test_a_key_that_is_none_is_not_shown() -> None:
    with pytest.raises(ValueError, match=r"key 2 of 2 is no Fernet key") as wrong:
        cipher_of([NEW, "hunter2"])
    assert "hunter2" not in str(wrong.value)

"""The Redis store: what its server holds, and what happens when it is not there or has lost something."""

from __future__ import annotations

import socket
import subprocess
import traceback
from typing import Any

import pytest

from optical_memory.errors import SessionCorrupted, StoreUnavailable
from optical_memory.stores import SessionId, open_store
from optical_memory.stores.redis.store import RedisStore
from optical_memory.turns.turn import ToolCall, Turn
from tests.stores.writers import write_at_once

redis = pytest.importorskip("redis", reason="needs the redis extra")

ALICE = SessionId("alice")


def turn(text: str, id: str = "") -> Turn:
    return Turn(id=id or text, role="user", content=text)


@pytest.fixture
def client(clean_redis: str) -> Any:
    with redis.Redis.from_url(clean_redis) as opened:
        yield opened


def contents_of(client: Any) -> bytes:
    """Every key and value on the server, as one string of bytes."""
    found = b""
    for key in client.scan_iter():
        kind = client.type(key)
        read = {b"hash": client.hgetall, b"list": lambda name: client.lrange(name, 0, -1), b"set": client.smembers}
        found += key + repr(read[kind](key) if kind in read else client.zrange(key, 0, -1, withscores=True)).encode()
    return found


def test_processes_append_to_one_session(clean_redis: str) -> None:
    write_at_once(clean_redis, 3, "spawn")


def test_all_keys_of_a_session_share_one_slot(clean_redis: str, client: Any) -> None:
    store = open_store(clean_redis)
    store.append(ALICE, [Turn(id="a", role="assistant", content="x", pinned=True, tool_calls=(ToolCall(id="c", name="f"),))])
    store.put(ALICE, {"plan": b"x"})
    keys = [key.decode() for key in client.scan_iter() if not key.startswith(b"om:index:")]
    assert len(keys) == 3
    assert len({key[key.index("{") : key.index("}")] for key in keys}) == 1


def test_an_erased_turn_is_nowhere_on_the_server(clean_redis: str, client: Any) -> None:
    store = open_store(clean_redis)
    secret = Turn(id="id-secret", role="assistant", content="the secret", tool_calls=(ToolCall(id="call-secret", name="secret"),))
    store.append(ALICE, [turn("kept"), secret])
    assert b"the secret" in contents_of(client)
    store.erase(ALICE, [2])
    assert b"secret" not in contents_of(client)
    store.erase(ALICE)
    assert client.keys() == []


@pytest.mark.parametrize("damage", [lambda client, key: client.lpop(key + b"log"), lambda client, key: client.delete(key + b"log")])
def test_a_half_lost_session_raises(clean_redis: str, client: Any, damage: Any) -> None:
    store = open_store(clean_redis)
    store.append(ALICE, [turn("a"), turn("b")])
    (log,) = client.keys("*:log")
    damage(client, log.removesuffix(b"log"))
    for call in (
        lambda: store.read(ALICE),
        lambda: store.read(ALICE, 2),
        lambda: store.append(ALICE, [turn("c")]),
        lambda: store.search(ALICE, "a", 5),
        lambda: store.pin(ALICE, 1, True),
    ):
        with pytest.raises(SessionCorrupted, match=r"'alice'.* of 2 turns"):
            call()
    store.erase(ALICE)
    assert store.append(ALICE, [turn("c")])[0].number == 1


def test_a_lost_length_raises(clean_redis: str, client: Any) -> None:
    store = open_store(clean_redis)
    store.append(ALICE, [turn("a")])
    client.delete(*client.keys("*:meta"))
    with pytest.raises(SessionCorrupted):
        store.read(ALICE)


def test_an_outage_is_no_empty_answer(mortal_redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    url, server = mortal_redis
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        port = silent.getsockname()[1]
        with pytest.raises(StoreUnavailable, match=f"127.0.0.1:{port}"):
            open_store(f"redis://127.0.0.1:{port}?socket_timeout=0.1")
    with pytest.raises(StoreUnavailable) as refused:
        open_store(f"redis://:hunter2@127.0.0.1:{port}")
    assert "hunter2" not in str(refused.value)
    store = open_store(f"{url}?retry_for=0.2")
    store.append(ALICE, [turn("a")])
    assert store.search(ALICE, "a", 5) == [1]
    server.kill()
    server.wait()
    for call in (
        lambda: store.read(ALICE),
        lambda: store.length(ALICE),
        lambda: store.append(ALICE, [turn("b")]),
        lambda: store.search(ALICE, "a", 5),
        lambda: store.sessions(),
        lambda: store.names(ALICE),
        lambda: store.get(ALICE, ["a"]),
        lambda: store.known_calls(ALICE, ["a"]),
        lambda: store.pinned(ALICE),
        lambda: store.erase(ALICE, [1]),
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_passwords_are_masked(clean_redis: str, client: Any, redis_url: str) -> None:
    client.acl_setuser("ann", enabled=True, passwords=["+p:w%/?#@"], commands=["+@all"], keys=["*"])
    host = redis_url.partition("//")[2]
    store = open_store(f"redis://ann:p%3Aw%25%2F%3F%23%40@{host}?db=1")
    assert store.url == f"redis://ann:***@{host}?db=1"
    assert "p%3Aw" not in repr(store) and "p:w" not in repr(store)
    with pytest.raises(StoreUnavailable) as wrong:
        open_store(f"redis://ann:wrong-password@{host}")
    assert "wrong-password" not in str(wrong.value)
    path = client.config_get("unixsocket")["unixsocket"]
    assert open_store(f"unix://{path}?username=ann&password=p%3Aw%25%2F%3F%23%40").url == f"unix://{path}?username=ann&password=***"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hun/ter@host",
        "redis://:hun#ter@host",
        "redis://:hun?ter@host",
        "redis://x:hunter@host:port",
        "redis://u:hunter@host?decode_responses=1",
        "redis://u:hunter@[host",
        "redis://host/name",
    ],
)
def test_urls_that_make_no_sense_do_not_show_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"cannot read|unknown option") as caught:
        open_store(url)
    assert "hun" not in str(caught.value)


def test_a_server_that_quotes_what_it_was_sent(clean_redis: str, client: Any) -> None:
    """One that forbids a command, as managed services do, says with which arguments it was called."""
    store, words = RedisStore(clean_redis), "".join(["what ", "was ", "said"])
    with pytest.raises(Exception, match=words):  # of the server's client, which quotes it
        client.execute_command("NOSUCH", "key", words)
    with pytest.raises(StoreUnavailable, match="NOSUCH") as told:
        store.wire.command("NOSUCH", "key", words)
    assert words not in "".join(traceback.format_exception(told.value))

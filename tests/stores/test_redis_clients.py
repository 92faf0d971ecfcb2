"""Clients of every kind, the user's own among them: same promises, and an event loop that is never blocked."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.errors import SessionCorrupted, StoreUnavailable
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.stores.redis import Options, RedisStore
from optical_memory.turns.turn import ToolCall, Turn
from tests.stores.redis_servers import Cluster, Server, free_port, redis_cluster, redis_server, watched_servers
from tests.support import RuledRenderer

redis = pytest.importorskip("redis", reason="needs the redis extra")

ALICE = SessionId("alice ü{}:", "tenant")


def turn(text: str, **fields: Any) -> Turn:
    return Turn(**{"id": text, "role": "user", "content": text} | fields)


def exercise(store: Store) -> None:
    """One use of everything."""
    call = turn("call", role="assistant", tool_calls=(ToolCall(id="c", name="f"),), pinned=True)
    assert [item.number for item in store.append(ALICE, [turn("one"), call, turn("one")])] == [1, 2, 1]
    assert [item.content for item in store.read(ALICE)] == ["one", "call"]
    assert (store.length(ALICE), store.pinned(ALICE), store.known_calls(ALICE, ["c", "d"])) == (2, [2], {"c"})
    store.pin(ALICE, 1, True)
    assert store.search(ALICE, "call", 5) == [2]
    store.put(ALICE, {"page": b"\x89PNG\0\xff", "odd \udcff": b""})
    assert store.get(ALICE, ["page", "odd \udcff", "x"]) == {"page": b"\x89PNG\0\xff", "odd \udcff": b""}
    assert store.names(ALICE) == ["odd \udcff", "page"]
    store.discard(ALICE, ["page"])
    assert [info.id for info in store.sessions("tenant")] == [ALICE]
    assert store.erase(ALICE, [1]) == [1]
    assert store.append(ALICE, [turn("two")])[0].number == 3
    assert store.erase(ALICE) == [2, 3]
    assert store.sessions("tenant") == []


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as formed:
        yield formed


@pytest.mark.parametrize("decode", [False, True])
def test_a_client_of_ones_own(clean_redis: str, decode: bool) -> None:
    with redis.Redis.from_url(clean_redis, decode_responses=decode, socket_timeout=5) as client:
        store = RedisStore(client)
        exercise(store)
        store.close()
        assert client.ping()  # a client that was lent stays open


def test_a_client_without_a_time_limit_is_warned_of(clean_redis: str) -> None:
    with redis.Redis.from_url(clean_redis, socket_timeout=None) as client, pytest.warns(RuntimeWarning, match="socket_timeout"):
        RedisStore(client)


def test_a_cluster(cluster: Cluster) -> None:
    store = open_store(cluster.url("namespace=sync&replicas=1"))
    exercise(store)
    for number in range(20):  # sessions of every node
        store.append(SessionId(f"s{number}"), [turn("x")])
    assert len(store.sessions()) == 20
    assert isinstance(store, RedisStore) and store.count_sessions() == 20
    assert len(store.wire.scan("{sync:*:meta")) == 20
    store.close()


def test_a_cluster_client_of_ones_own(cluster: Cluster) -> None:
    host, port = "127.0.0.1", cluster.servers[0].port
    client = redis.RedisCluster(host, port, socket_timeout=5)
    exercise(RedisStore(client, options=Options(namespace="own")))
    client.close()


def test_sentinels(tmp_path: Path) -> None:
    with watched_servers(tmp_path, replicas=1, sentinels=1) as watched:
        exercise(open_store(watched.url("replicas=1")))


@pytest.mark.parametrize("decode", [False, True])
def test_an_asyncio_client_is_used_on_its_own_loop(clean_redis: str, decode: bool) -> None:
    async def run() -> None:
        client = redis.asyncio.Redis.from_url(clean_redis, decode_responses=decode, client_name="lent", socket_timeout=5)
        others = {info["id"] for info in await client.client_list()}  # of other tests
        store = RedisStore(client)
        await asyncio.to_thread(exercise, store)
        with pytest.raises(RuntimeError, match="async twins"):
            store.length(ALICE)  # on the loop itself it would wait for itself
        memory = OpticalMemory("bob", store=store, renderer=RuledRenderer())
        await asyncio.gather(*(memory.aappend(("user", f"turn {number}")) for number in range(50)))
        assert [item.number for item in await memory.aturns()] == list(range(1, 51))
        assert (await memory.acontext()).usage.prompt_tokens > 0
        names = [info["name"] for info in await client.client_list() if info["id"] not in others]
        assert set(map(str, names)) == {"lent"}  # nothing else was opened
        store.close()
        assert await client.ping()
        await client.aclose()

    asyncio.run(run())


def test_an_asyncio_cluster_client(cluster: Cluster) -> None:
    async def run() -> None:
        client = redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.servers[0].port, socket_timeout=5)
        await asyncio.to_thread(exercise, RedisStore(client, options=Options(namespace="aio")))
        with pytest.raises(ValueError, match="replicas"):
            RedisStore(client, options=Options(replicas=1))
        await client.aclose()

    asyncio.run(run())


def test_an_asyncio_client_whose_loop_is_gone(clean_redis: str) -> None:
    async def make() -> RedisStore:
        return RedisStore(redis.asyncio.Redis.from_url(clean_redis))

    store = asyncio.run(make())
    with pytest.raises(StoreUnavailable, match="event loop"):
        store.length(ALICE)
    with pytest.raises(TypeError, match="in a coroutine"):
        RedisStore(redis.asyncio.Redis.from_url(clean_redis))


@pytest.mark.endurance
@pytest.mark.parametrize("kind", ["url", "asyncio"])
def test_a_hung_server_does_not_hold_the_event_loop_up(tmp_path: Path, kind: str) -> None:
    """While the server hangs, from before the store is opened, another task goes on ticking, and each call ends in an error."""
    import signal

    async def run(server: Server) -> None:
        query = "socket_timeout=0.4&retry_for=0.5"
        client = None if kind == "url" else redis.asyncio.Redis.from_url(server.url(), socket_timeout=0.4)
        server.signal(signal.SIGSTOP)
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                ticks.append(time.monotonic())
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        store = RedisStore(client, options=Options(retry_for=0.5)) if client else open_store(server.url(query))
        memory = OpticalMemory("alice", store=store, renderer=RuledRenderer())
        for call in (memory.aappend(("user", "x")), memory.acontext(), memory.aturns(), memory.arecall("x")):
            with pytest.raises(StoreUnavailable):
                await call
        ticking.cancel()
        gaps = [after - before for before, after in itertools.pairwise(ticks)]
        assert max(gaps) < 0.35  # one blocking call would have made a gap of 0.4 s or more
        server.signal(signal.SIGCONT)
        if client:
            await client.aclose()

    with redis_server(tmp_path) as server:
        asyncio.run(run(server))


def test_more_threads_than_connections_wait(clean_redis: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    store = open_store(f"{clean_redis}?max_connections=2&client_name=counted")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: store.append(ALICE, [turn(f"t{number}")]), range(200)))
    assert store.length(ALICE) == 200
    with redis.Redis.from_url(clean_redis) as client:
        assert 0 < sum(info["name"] == "counted" for info in client.client_list()) <= 2


def test_tls_and_a_user_with_few_rights(tmp_path: Path) -> None:
    """A password over TLS, and a user who may do no more than docs/redis.md says that the store needs."""
    certificate, key = _certificate(tmp_path)
    port = free_port()
    secured = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with redis_server(tmp_path / "server", *secured, "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no") as server:
        with server.client() as admin:
            admin.execute_command("ACL", "SETUSER", "agent", "on", ">hunter2", *_rights())
        store = open_store(f"rediss://agent:hunter2@localhost:{port}?ssl_ca_certs={certificate}")
        exercise(store)
        store.append(ALICE, [turn("lost"), turn("kept")])
        with server.client() as admin:
            admin.lpop("{om:dGVuYW50:YWxpY2Ugw7x7fTo}:log")
        with pytest.raises(SessionCorrupted, match="turn #1"):
            store.read(ALICE)
        with pytest.raises(StoreUnavailable) as refused:
            open_store(f"rediss://agent:wrong@localhost:{port}?ssl_ca_certs={certificate}")
        assert "wrong" not in str(refused.value)
        with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
            open_store(f"rediss://agent:hunter2@localhost:{port}")


def _rights() -> list[str]:
    """The rights that docs/redis.md gives its user."""
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text("utf-8")
    rule = page.partition("ACL SETUSER agent on >password ")[2].partition("```")[0]
    return rule.split()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    pytest.importorskip("cryptography", reason="needs the encryption extra")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("redis://a:1,b:2", "several hosts"),
        ("redis+sentinel://a:1", "service"),
        ("redis+cluster://a:1/3", "database"),
        ("redis://a?ttl=soon", "'soon' is no time"),
        ("redis://a?expiry=whenever", "whenever"),
        ("redis://a?namespace={x}", "namespace"),
        ("redis://a?retry_for=-1", "negative"),
        ("redis://a?max_connections=0", "leaves none"),
        ("redis://a?sentinel_password=x", "unknown option 'sentinel_password'"),
    ],
)
def test_urls_that_make_no_sense(url: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        open_store(url)

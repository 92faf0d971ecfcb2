"""Real Redis servers that tests may kill, alone and in groups, a proxy that cuts connections, and writers that go on meanwhile."""

from __future__ import annotations

import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from optical_memory.errors import StoreUnavailable
from optical_memory.stores import SessionId, Store, open_store
from optical_memory.turns.turn import Turn

HOST = "127.0.0.1"
SLOTS = 16_384
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")  # what was acknowledged outlives a kill
MASTER_NAME = "mymaster"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(true: Callable[[], Any], what: str, seconds: float = 30) -> None:
    """Return once something holds; a server that does not answer yet is asked again."""
    import redis

    deadline = time.monotonic() + seconds
    while True:
        with suppress(redis.RedisError, OSError):
            if true():
                return
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


class Server:
    """One redis-server on a port of its own. What it keeps is in its folder, so that it can be started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("needs redis-server")
        self.binary, self.folder, self.options = binary, folder, options
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def arguments(self) -> list[str]:
        """After the program's name."""
        own = ["--port", str(self.port), "--bind", HOST, "--dir", str(self.folder), "--save", "", "--repl-diskless-sync-delay", "0"]
        return [*own, *self.options]

    def start(self) -> None:
        self.process = subprocess.Popen([self.binary, *self.arguments], stdout=subprocess.DEVNULL)
        with self.client() as client:
            wait_until(client.ping, f"redis-server on port {self.port}")

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing, also if it is stopped."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def url(self, query: str = "") -> str:
        return f"redis://{HOST}:{self.port}/0{query and '?' + query}"

    def client(self) -> Any:
        """A client that tries everything once."""
        import redis

        return redis.Redis(host=HOST, port=self.port, socket_timeout=5, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))

    def info(self, name: str) -> Any:
        with self.client() as client:
            return client.info().get(name)

    def replicas(self) -> int:
        """How many it counts as in sync; a replica itself believes that up to a second earlier."""
        with self.client() as client:
            told = client.info("replication")
        return sum(told[f"slave{place}"]["state"] == "online" for place in range(told["connected_slaves"]))


class SentinelServer(Server):
    """A redis-server that watches over others. It writes what it learns into its own configuration."""

    @property
    def arguments(self) -> list[str]:
        return [str(self.folder / "sentinel.conf"), "--sentinel"]

    def watch(self, master: Server, quorum: int) -> None:
        """Start, to watch over `master` and its replicas."""
        rules = [f"monitor {MASTER_NAME} {HOST} {master.port} {quorum}", f"down-after-milliseconds {MASTER_NAME} 500"]
        rules += [f"failover-timeout {MASTER_NAME} 3000", f"parallel-syncs {MASTER_NAME} 2"]
        lines = [f"port {self.port}", f"bind {HOST}", f"dir {self.folder}", *(f"sentinel {rule}" for rule in rules)]
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
        self.start()

    def status(self) -> dict[str, Any]:
        """What it knows of the master."""
        with self.client() as client:
            return dict(client.sentinel_master(MASTER_NAME))


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[Server]:
    """One server with options."""
    with started([Server(folder, *options)]) as (server,):
        yield server


@contextmanager
def started(servers: Sequence[Server]) -> Iterator[Sequence[Server]]:
    """Servers that run, and are ended whatever happens."""
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
            server.start()
        yield servers


# -- groups --------------------------------------------------------------------------------------------------------------------------


class Cluster:
    """Three masters with a replica each.

    Args:
        folder: for their files.
        coverage: `yes` if all refuse while one slot is not served, `no` if the others go on.
    """

    def __init__(self, folder: Path, coverage: str) -> None:
        common = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", coverage, *DURABLE)
        self.servers = [Server(folder / str(place), *common, "--cluster-port", str(free_port())) for place in range(6)]

    def form(self) -> None:
        """Make one cluster of servers that run."""
        ids = [self._ask(server, "CLUSTER", "MYID").decode() for server in self.servers]
        for server in self.servers[1:]:
            bus = server.options[server.options.index("--cluster-port") + 1]
            self._ask(self.servers[0], "CLUSTER", "MEET", HOST, server.port, bus)
        bounds = [SLOTS * place // 3 for place in range(4)]
        for server, first, after in zip(self.servers[:3], bounds, bounds[1:], strict=False):
            self._ask(server, "CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        wait_until(lambda: all(self._nodes(server) == 6 for server in self.servers), "all nodes know each other")
        for replica, master in zip(self.servers[3:], ids[:3], strict=True):
            wait_until(partial(self._ask, replica, "CLUSTER", "REPLICATE", master), "a replica")
        wait_until(self.whole, "the cluster is whole, its replicas in sync")

    def whole(self) -> bool:
        """Whether all slots are served and all replicas are in sync."""
        states = [b"cluster_state:ok" in self._ask(server, "CLUSTER", "INFO", NEVER_DECODE=True) for server in self.servers]
        return all(states) and all(server.replicas() == 1 for server in self.servers[:3])

    def owner(self, key: str | bytes) -> Server | None:
        """The master that serves a key now; None while there is none."""
        running = (server for server in self.servers if server.process and server.process.poll() is None)
        return next((server for server in running if server.info("role") == "master" and self._serves(server, key)), None)

    def url(self, query: str) -> str:
        return f"redis+cluster://{','.join(f'{HOST}:{server.port}' for server in self.servers)}?{query}"

    def _serves(self, server: Server, key: str | bytes) -> bool:
        import redis

        try:
            self._ask(server, "EXISTS", key)
        except redis.exceptions.MovedError:
            return False
        return True

    def _nodes(self, server: Server) -> int:
        lines = self._ask(server, "CLUSTER", "NODES", NEVER_DECODE=True).splitlines()
        return sum(b"handshake" not in line for line in lines)

    def _ask(self, server: Server, *command: Any, **options: Any) -> Any:
        with server.client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*command, **options)


@contextmanager
def redis_cluster(folder: Path, coverage: str = "yes") -> Iterator[Cluster]:
    """A cluster that is whole."""
    cluster = Cluster(folder, coverage)
    with started(cluster.servers):
        cluster.form()
        yield cluster


class Watched:
    """A master with replicas, and sentinels that promote one of them when the master dies."""

    def __init__(self, folder: Path, replicas: int, sentinels: int) -> None:
        self.servers = [Server(folder / f"server{place}", *DURABLE) for place in range(replicas + 1)]
        self.sentinels = [SentinelServer(folder / f"sentinel{place}") for place in range(sentinels)]

    def form(self) -> None:
        """Make one group of servers that run, and start the sentinels."""
        for replica in self.servers[1:]:
            with replica.client() as client:
                client.replicaof(HOST, self.servers[0].port)
        wait_until(lambda: self.servers[0].replicas() == len(self.servers) - 1, "replicas are in sync")
        for sentinel in self.sentinels:
            sentinel.watch(self.servers[0], quorum=len(self.sentinels) // 2 + 1)
        wait_until(self._known, "sentinels know all others")

    def master(self) -> Server:
        """The one that the first sentinel names."""
        port = int(self.sentinels[0].status()["port"])
        (found,) = (server for server in self.servers if server.port == port)
        return found

    def url(self, query: str) -> str:
        return f"redis+sentinel://{','.join(f'{HOST}:{each.port}' for each in self.sentinels)}/{MASTER_NAME}?{query}"

    def _known(self) -> bool:
        told = [sentinel.status() for sentinel in self.sentinels]
        want = (len(self.servers) - 1, len(self.sentinels) - 1)
        return all((int(each["num-slaves"]), int(each["num-other-sentinels"])) == want for each in told)


@contextmanager
def watched_servers(folder: Path, *, replicas: int, sentinels: int) -> Iterator[Watched]:
    """A group whose sentinels are ready to act."""
    group = Watched(folder, replicas, sentinels)
    with started(group.servers), ExitStack() as stack:
        for sentinel in group.sentinels:
            stack.callback(sentinel.kill)
        group.form()
        yield group


# -- faults and load -----------------------------------------------------------------------------------------------------------------


class CuttingProxy:
    """Passes bytes to a server and back, and cuts a connection in the course of about one of `every` requests.

    Attributes:
        lost_requests: how many requests it kept from the server.
        lost_answers: how many it let through, and then kept the answer: the server has done what the client knows nothing of.
    """

    def __init__(self, port: int, *, every: int, seed: int) -> None:
        self.lost_requests = self.lost_answers = 0
        self._target, self._every, self._chance = port, every, random.Random(seed)
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection((HOST, self._target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            withhold = False
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data or (ready is server and withhold):
                        return  # `withhold`: an answer shows that the request was carried out
                    if ready is client:
                        cut = self._cut()
                        if cut == "request":
                            return
                        withhold = cut == "answer"
                    (server if ready is client else client).sendall(data)

    def _cut(self) -> str:
        with self._lock:
            if self._chance.randrange(self._every):
                return ""
            kind = self._chance.choice(("request", "answer"))
            self.lost_requests += kind == "request"
            self.lost_answers += kind == "answer"
            return kind


def opened(url: str, seconds: float = 20) -> Store:
    """A store, however often its opening is disturbed: that is tried once only."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return open_store(url)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class Load:
    """Threads that append one turn at a time until they are told to stop, each with a store of its own.

    Attributes:
        acknowledged: for each writer, what `append` returned: session, id, number.
        failures: what it raised; its writer then stops.
    """

    def __init__(self, url: str, sessions: Sequence[SessionId], writers: int) -> None:
        self.acknowledged: list[list[tuple[SessionId, str, int]]] = [[] for _ in range(writers)]
        self.failures: list[Exception] = []
        self._url, self._sessions, self._ended = url, sessions, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(writer,)) for writer in range(writers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        return sum(map(len, self.acknowledged))

    def wait_for(self, more: int, seconds: float = 40) -> None:
        """Return once every writer has appended so many turns more."""
        goals = [len(own) + more for own in self.acknowledged]
        wait_until(
            lambda: self.failures or all(len(own) >= goal for own, goal in zip(self.acknowledged, goals, strict=True)),
            f"{more} more appends by each writer",
            seconds,
        )

    def _write(self, writer: int) -> None:
        session, own = self._sessions[writer % len(self._sessions)], self.acknowledged[writer]
        try:
            store = opened(self._url)
            while not self._ended.is_set():
                id = f"{writer} {len(own)}"
                (stored,) = store.append(session, [Turn(id=id, role="user", content=f"what {id} says")])
                own.append((session, id, stored.number))
            store.close()
        except Exception as exc:  # shown by the test
            self.failures.append(exc)


def check_load(load: Load, url: str, *, unanswered: int = 0) -> None:
    """Every append that was acknowledged is there, under the number that was told; no number is missing, no id there twice.

    Args:
        load: what was written.
        url: where it is read from.
        unanswered: how many more turns may be there, of appends that raised.
    """
    store = opened(url)
    told = {(session, number): id for own in load.acknowledged for session, id, number in own}
    assert len(told) == load.total  # no number was told twice
    found = 0
    for session in {session for session, _ in told}:
        turns = store.read(session)
        assert [turn.number for turn in turns] == list(range(1, len(turns) + 1))
        assert len({turn.id for turn in turns}) == len(turns)
        stored = {(session, turn.number): turn.id for turn in turns}
        assert {place: id for place, id in told.items() if place[0] == session}.items() <= stored.items()
        found += len(turns)
    assert load.total <= found <= load.total + unanswered
    for own in load.acknowledged:
        numbers = [number for _, _, number in own]
        assert numbers == sorted(numbers)
    store.close()

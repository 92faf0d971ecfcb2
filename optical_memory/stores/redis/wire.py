"""Commands to a Redis server, and answers or `StoreUnavailable`: never an empty answer for a lost one.

Everything that the store sends can be sent twice without harm. So what fails for a passing reason is sent again, with growing pauses, until
`retry_for` seconds are over. Clients of asyncio are used on their own loop, from other threads.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ...errors import SessionCorrupted, StoreError, StoreUnavailable
from ...text.excerpts import said
from .scripts import WORDS, Script

__all__ = ["Said", "Wire", "is_full"]

T = TypeVar("T")
Command = tuple[Any, ...]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0  # seconds between two attempts, doubled each time
ARGUMENTS = ", with args beginning with: "  # in the error of a server that does not know a command
LATE = 0.5  # seconds past the client's own time limit before a coroutine is given up

# The same as `_passing`, where redis-py has no class for it, or an older server tells it in the error of a script.
_PASSING = ("-READONLY", "-MASTERDOWN", "-LOADING", "NOREPLICAS", "BUSY ")


class Said(Exception):
    """An error raised by one of our scripts: a word and its details."""

    def __init__(self, word: str, details: str) -> None:
        super().__init__(f"{word} {details}".strip())
        self.word, self.details = word, details


class Wire:
    """One client of redis-py, whichever kind it is.

    Args:
        connect: makes the client when it is first needed.
        loop: the loop of a client of asyncio; None for the others.
        name: what errors call the server; no password in it.
        retry_for: seconds during which a command that failed is sent again.
        connections: most concurrent commands; further ones wait up to `patience` seconds.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        name: str,
        retry_for: float,
        connections: int,
        patience: float,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        import redis

        self.name, self.loop = name, loop
        self._connect, self._retry_for, self._patience = connect, retry_for, patience
        self._client: Any = None
        self._connecting = threading.Lock()
        self._slots = threading.BoundedSemaphore(connections)
        self._connections = connections
        # `RedisClusterException` is no `RedisError`; a coroutine that is given up raises `TimeoutError`.
        self._failures = (redis.RedisError, redis.exceptions.RedisClusterException, OSError, TimeoutError)
        # What passes: a connection that broke, and a server that starts, or that another is just taking over from.
        says = redis.exceptions
        self._passing: tuple[type[Exception], ...] = (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, OSError, TimeoutError)
        # `MovedError` and `MasterDownError` are among these.
        self._passing += (says.RedisClusterException, says.AskError, says.ClusterDownError, says.TryAgainError)
        self._lasting = (redis.AuthenticationError, redis.exceptions.AuthorizationError)
        self._no_script = redis.exceptions.NoScriptError

    @property
    def client(self) -> Any:
        """The client. Raises what making it raises."""
        client = self._client
        if client is None:
            with self._connecting:
                client = self._client = self._client or self._connect()
        return client

    def run(self, script: Script, keys: Sequence[Any], arguments: Sequence[Any] = ()) -> Any:
        """What a script answers. A server that does not know it learns it. Raises `Said`, `StoreUnavailable`."""
        return self._persistently(self._run, script, keys, arguments)

    def _run(self, script: Script, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        try:
            return self._send("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except self._no_script:
            return self._send("EVAL", script.text, len(keys), *keys, *arguments)

    def command(self, *command: Any) -> Any:
        """What one command answers."""
        return self._persistently(self._send, *command)

    def each(self, commands: Sequence[Command]) -> list[Any]:
        """What commands answer, sent in one go and not as one step."""
        return self._persistently(self._pipelined, commands) if commands else []

    def scan(self, pattern: str) -> list[bytes]:
        """All keys that match, of all servers. Looked for with `SCAN`, a thousand at a time."""

        async def gathered() -> list[Any]:
            return [key async for key in self.client.scan_iter(match=pattern, count=1_000)]

        found = self._persistently(
            lambda: self.outcome(gathered()) if self.loop else list(self.client.scan_iter(match=pattern, count=1_000))
        )
        return [key.encode() if isinstance(key, str) else key for key in found]

    def once(self, *command: Any) -> Any:
        """What a command that names no key answers, without another attempt. A cluster's client may ask all of its servers."""
        with self._answering():
            return self.outcome(self.client.execute_command(*command))

    def at(self, key: str, *command: Any) -> Any:
        """What the server that holds `key` answers to a command that names no key."""
        return self._persistently(lambda: self.outcome(self._node_of(key).execute_command(*command)))

    def confirmed(self, scratch: str, replicas: int, seconds: float, *probe: Any) -> tuple[int, Any]:
        """How many replicas have all that was written at the server of the key `scratch`, and what that server answers to `probe`.

        It waits for so many replicas, and so long. `WAIT` counts what its own connection wrote last, so something is written with it, which
        ends by itself. The probe is asked first on that connection: after a failover it is another server that is waited at, and the probe
        tells whether it has what is to be confirmed.
        """
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            reached, answer = self._persistently(self._waited, scratch, replicas, min(left, 0.8 * self._patience), probe)
            if reached >= replicas or time.monotonic() >= deadline:
                return reached, answer

    def _waited(self, scratch: str, replicas: int, seconds: float, probe: Command) -> tuple[int, Any]:
        try:
            node = self._node_of(scratch)
            if not hasattr(node, "pipeline"):
                raise StoreUnavailable("an asyncio cluster client cannot wait for replicas: open the store by its URL, redis+cluster://")
            pipe = node.pipeline(transaction=False)
            pipe.execute_command(*(probe or ("PING",)), NEVER_DECODE=True)
            pipe.execute_command("SET", scratch, "", "PX", 1_000)
            pipe.execute_command("WAIT", replicas, max(1, int(seconds * 1_000)))
            answer, _, reached = self.outcome(pipe.execute())
        except self._failures:
            if self.loop is None and hasattr(self.client, "nodes_manager"):
                self.client.nodes_manager.initialize()  # a command to one node does not make the client search for the new primary
            raise
        return int(reached), answer

    def _node_of(self, key: str) -> Any:
        """A client of the one server that holds a key."""
        if not hasattr(self.client, "get_node_from_key"):
            return self.client
        node = self.client.get_node_from_key(key)
        return node if self.loop is not None else self.client.get_redis_connection(node)

    def close(self) -> None:
        """Close the connections that this object opened."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            with self._answering():
                client.close()

    def _send(self, *command: Any) -> Any:
        return self.outcome(self.client.execute_command(*command, NEVER_DECODE=True))

    def _pipelined(self, commands: Sequence[Command]) -> list[Any]:
        pipe = self.client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command, NEVER_DECODE=True)
        answers: list[Any] = self.outcome(pipe.execute())
        return answers

    def outcome(self, answer: Any) -> Any:
        """An answer, or that of a coroutine, awaited on the client's own loop."""
        if self.loop is None:
            return answer
        try:
            current = asyncio.get_running_loop()
        except RuntimeError:
            current = None
        if current is self.loop or not self.loop.is_running():
            answer.close()
            if current is self.loop:
                raise RuntimeError(
                    "this store's client belongs to the running event loop, which would wait for itself. "
                    "Use the async twins (await memory.acontext(), ...), or asyncio.to_thread"
                )
            raise StoreUnavailable(f"the event loop of the client of {self.name} is not running any more")
        future = asyncio.run_coroutine_threadsafe(answer, self.loop)
        try:
            return future.result(self._patience + LATE + self._retry_for)
        except TimeoutError:
            future.cancel()
            raise

    def _persistently(self, attempt: Callable[..., T], *arguments: Any) -> T:
        deadline, pause = time.monotonic() + self._retry_for, FIRST_PAUSE
        while True:
            if not self._slots.acquire(blocking=False) and not self._slots.acquire(timeout=self._patience):
                raise StoreUnavailable(
                    f"all {self._connections} connections to {self.name} are in use, for {self._patience:g} s. Raise max_connections"
                )
            try:
                return attempt(*arguments)
            except self._failures as exc:
                wait = pause * random.uniform(0.5, 1)
                if not self._passes(exc) or time.monotonic() + wait > deadline:
                    raise self._explained(exc) from exc
            finally:
                self._slots.release()
            time.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _passes(self, exc: Exception) -> bool:
        if isinstance(exc, self._lasting):
            return False
        return isinstance(exc, self._passing) or any(word in str(exc) for word in _PASSING)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except self._failures as exc:
            raise self._explained(exc) from exc

    def _explained(self, exc: Exception) -> Said | StoreError:
        if ARGUMENTS in str(exc):  # values, as they were sent
            exc.args = (str(exc).partition(ARGUMENTS)[0],)
        word, _, details = str(exc).partition(" ")
        if word in WORDS:
            return Said(word, details)
        if "WRONGTYPE" in str(exc) or ("user_script" in str(exc) and "attempt to" in str(exc)):
            return SessionCorrupted(
                f"a key at {self.name} does not hold what this library puts there. Restore the server from a backup, or erase the session"
            )
        advice = "Raise maxmemory, or give pages a shorter life" if is_full(exc) else "Is it running, and reachable?"
        reason = said(exc).rstrip(".")
        return StoreUnavailable(f"the Redis server at {self.name} does not answer as it should: {reason}. {advice}")


def is_full(exc: BaseException) -> bool:
    """Whether a server refused to write because its memory is full."""
    text = str(exc)  # redis-py takes the code off, except where an older server tells it in the error of a script
    return "OOM " in text or "command not allowed when used memory" in text

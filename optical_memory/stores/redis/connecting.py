"""A connection (`Wire`) from a URL or an existing client.

    redis://[user:password@]host[:port][/db]         rediss:// for TLS, unix:///path/to/socket
    redis+sentinel://host:port,host:port/service[/db]
    redis+cluster://host:port,host:port              rediss+sentinel://, rediss+cluster:// for TLS

Options stand in the query: those of redis-py that concern the connection, and the store's own (`Options`).
"""

from __future__ import annotations

import asyncio
import importlib
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from ...errors import MissingExtra
from ...text.excerpts import excerpt
from .wire import Wire

__all__ = ["Address", "Options", "connect", "seconds_of", "wire_of"]

PORTS = {"redis": 6379, "sentinel": 26379, "cluster": 6379}
TIMEOUT = 5.0  # seconds for one answer, unless the URL or the client says otherwise
UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MODES = {"sliding": "append", "sliding-read": "read", "fixed": "fixed"}


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(f"{excerpt(text)} is neither true nor false")
    return text.lower() in ("true", "1", "yes")


def seconds_of(text: str) -> float | None:
    """Seconds of `90`, `90s`, `15m`, `12h`, `30d`, `2w`; None for `never`."""
    if text == "never":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if not match or float(match[1]) <= 0:
        raise ValueError(f"{excerpt(text)} is no time: write 90s, 15m, 12h, 30d, 2w or never")
    return float(match[1]) * UNITS[match[2]]


# Names and types of what redis-py's connections take.
CONNECTION: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("db", "protocol"), int),
    **dict.fromkeys(("username", "password", "client_name"), str),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout", "health_check_interval"), float),
    **dict.fromkeys(("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"), str),
    **dict.fromkeys(("ssl_check_hostname", "socket_keepalive"), _flag),
}
SENTINEL: dict[str, Callable[[str], Any]] = {"sentinel_username": str, "sentinel_password": str}
SECRET = ("password", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Options:
    """The store's own options in the query.

    Attributes:
        namespace: the first part of every key; namespaces never meet.
        ttl: expiry of a new session in seconds, log included; None for ever.
        expiry: counted from the last append (`sliding`), from the last append or reading (`sliding-read`), or from the first (`fixed`).
        pages_ttl: expiry of pages and plans in seconds after the last append or drawing; they can be made again. None for ever.
        retry_for: seconds during which a command that failed for a passing reason is sent again.
        replicas: how many replicas must have an append before it is acknowledged (`WAIT`).
        max_connections: to one server; further callers wait.
        unbound: with a key, whether a record that is sealed for no place (no key was there, or an earlier release sealed it) is taken from
            sessions that may hold such: `read`, or `refuse` it anywhere.
    """

    namespace: str = "om"
    ttl: float | None = None
    expiry: str = "sliding"
    pages_ttl: float | None = 7 * 86_400
    retry_for: float = 5.0
    replicas: int = 0
    max_connections: int = 50
    unbound: str = "read"

    def __post_init__(self) -> None:
        if self.expiry not in MODES:
            raise ValueError(f"expiry={excerpt(self.expiry)} is unknown; known: {', '.join(MODES)}")
        if self.unbound not in ("read", "refuse"):
            raise ValueError(f"unbound={excerpt(self.unbound)} is unknown; known: read, refuse")
        for name in ("retry_for", "replicas"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} is negative")
        if self.max_connections < 1:
            raise ValueError(f"max_connections={self.max_connections} leaves none")

    @property
    def mode(self) -> str:
        """The expiry as scripts call it."""
        return MODES[self.expiry]


OWN: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("namespace", "expiry", "unbound"), str),
    **dict.fromkeys(("ttl", "pages_ttl"), seconds_of),
    "retry_for": float,
    **dict.fromkeys(("replicas", "max_connections"), int),
}
assert set(OWN) == {each.name for each in fields(Options)}


@dataclass(frozen=True, slots=True)
class Address:
    """A URL in its parts. Its `repr` and `masked` hold no password."""

    kind: str
    hosts: tuple[tuple[str, int], ...]
    masked: str
    service: str
    connection: dict[str, Any] = field(repr=False)
    options: Options

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises `ValueError`; it does not quote the URL, since its password may be what was misread."""
        scheme, _, _ = url.partition("://")
        kind = scheme.partition("+")[2] or ("unix" if scheme == "unix" else "redis")
        parts = _split(url, scheme)
        query = _query(parts, kind)
        connection = {name: value for name, value in query.items() if name not in OWN}
        options = Options(**{name: value for name, value in query.items() if name in OWN})
        _, _, server = parts.netloc.rpartition("@")
        hosts = tuple(_host(each, kind, scheme) for each in server.split(",")) if kind != "unix" else ()
        if kind == "redis" and len(hosts) > 1:
            raise ValueError(f"cannot read the {scheme}:// URL: it names several hosts. Write redis+cluster:// or redis+sentinel://")
        service, database = _path(parts, kind, scheme)
        if database is not None:
            connection.setdefault("db", database)
        if kind == "cluster" and connection.get("db"):
            raise ValueError(f"cannot read the {scheme}:// URL: a cluster has database 0 only")
        username, password = _credentials(parts)
        connection |= {name: value for name, value in (("username", username), ("password", password)) if value}
        if kind == "unix":
            connection["path"] = unquote(parts.path)
        if scheme.startswith("rediss"):
            connection["ssl"] = True
        return cls(
            kind, hosts, _masked(parts), service, {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT} | connection, options
        )


def connect(address: Address) -> Any:
    """A client of our own for an address. `Wire` does the retries and waits for free connections."""
    redis: Any = importlib.import_module("redis")  # mypy: its constructors are untyped

    common = dict(address.connection)
    common |= {"retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0)} if address.kind != "cluster" else {}
    size = address.options.max_connections
    if address.kind == "cluster":
        nodes = [redis.cluster.ClusterNode(host, port) for host, port in address.hosts]
        return redis.RedisCluster(startup_nodes=nodes, max_connections=size, **common)
    if address.kind == "sentinel":
        own = {name.removeprefix("sentinel_"): common.pop(name) for name in SENTINEL if name in common}
        kept = {name: value for name, value in common.items() if name.startswith(("ssl", "socket"))}
        return redis.Sentinel(address.hosts, sentinel_kwargs=kept | own, **common).master_for(address.service, max_connections=size)
    secure = common.pop("ssl", False)
    kind = redis.UnixDomainSocketConnection if address.kind == "unix" else redis.SSLConnection if secure else redis.Connection
    if address.hosts:
        common["host"], common["port"] = address.hosts[0]
    return redis.Redis.from_pool(redis.ConnectionPool(max_connections=size, connection_class=kind, **common))


def wire_of(source: Any, options: Options | None = None) -> tuple[Wire, Options, bool]:
    """The wire to a URL or a client, what the store is to do, and whether the client is the store's own.

    Raises `MissingExtra` without redis-py, `ValueError` for a URL that makes no sense, `TypeError` for what is no client.
    """
    try:
        import redis
    except ImportError as exc:
        raise MissingExtra("a store in Redis", "redis") from exc
    if isinstance(source, str):
        if options is not None:
            raise TypeError("options of a URL stand in its query; pass them apart only beside a client")
        address = Address.parse(source)
        patience = address.connection["socket_timeout"]
        return _wire(partial(connect, address), repr(address.masked), address.options, patience), address.options, True
    options = options or Options()
    loop = _loop_of(source, redis)
    wire = _wire(lambda: source, f"the given {type(source).__name__}", options, _timeout(source) or TIMEOUT, loop)
    if loop is not None and options.replicas and isinstance(source, redis.asyncio.RedisCluster):
        raise ValueError("replicas= does not work with an asyncio cluster client; open the store by its URL redis+cluster://")
    return wire, options, False


def _wire(connect: Callable[[], Any], name: str, options: Options, patience: float, loop: asyncio.AbstractEventLoop | None = None) -> Wire:
    return Wire(connect, name=name, retry_for=options.retry_for, connections=options.max_connections, patience=patience, loop=loop)


def _loop_of(client: Any, redis: Any) -> asyncio.AbstractEventLoop | None:
    if isinstance(client, (redis.Redis, redis.RedisCluster)):
        if _timeout(client) is None:
            warnings.warn(
                "the Redis client has no socket_timeout: a server that hangs would block for ever. Make it with socket_timeout=5",
                RuntimeWarning,
                stacklevel=4,
            )
        return None
    import redis.asyncio

    if not isinstance(client, (redis.asyncio.Redis, redis.asyncio.RedisCluster)):
        raise TypeError(f"a Redis store takes a URL or a client of redis-py, sync or asyncio; got {type(client).__name__}")
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise TypeError("a store on an asyncio client belongs to its event loop: make it in a coroutine that runs there") from None


def _timeout(client: Any) -> float | None:
    """Seconds that a client waits for an answer."""
    pool = getattr(client, "connection_pool", None)
    kwargs = pool.connection_kwargs if pool is not None else getattr(getattr(client, "nodes_manager", client), "connection_kwargs", {})
    seconds: float | None = kwargs.get("socket_timeout")
    return seconds


def _split(url: str, scheme: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"cannot read the {scheme}:// URL: write {scheme}://host:6379, a password percent-encoded") from None
    if "@" in parts.path + parts.query or parts.fragment:
        raise ValueError(f"cannot read the {scheme}:// URL: a '/', '?', '#' or '@' in a password must be percent-encoded")
    return parts


def _query(parts: SplitResult, kind: str) -> dict[str, Any]:
    known = CONNECTION | OWN | (SENTINEL if kind == "sentinel" else {})
    found: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in known:
            raise ValueError(f"unknown option {name!r} in {_masked(parts)!r}; known: {', '.join(sorted(known))}")
        try:
            found[name] = known[name](text)
        except ValueError as exc:
            shown = "it" if name in SECRET else repr(text)
            raise ValueError(f"cannot read option {name!r} of {_masked(parts)!r}: {shown} does not fit ({exc})") from None
    return found


def _host(text: str, kind: str, scheme: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]*)(?::(\d+))?", text)
    if not match:
        raise ValueError(f"cannot read the {scheme}:// URL: its host or port makes no sense. Write {scheme}://host:{PORTS[kind]}")
    return match[1].strip("[]") or "localhost", int(match[2] or PORTS[kind])


def _path(parts: SplitResult, kind: str, scheme: str) -> tuple[str, int | None]:
    """Service and database of a path."""
    if kind == "unix":
        return "", None
    steps = [unquote(step) for step in parts.path.strip("/").split("/") if step]
    service = ""
    if kind == "sentinel":
        if not steps:
            raise ValueError(f"cannot read the {scheme}:// URL: write the service's name after the hosts, {scheme}://host:26379/mymaster")
        service = steps.pop(0)
    if len(steps) > 1 or (steps and not steps[0].isdecimal()):
        raise ValueError(f"cannot read the {scheme}:// URL: {'/'.join(steps)!r} is no database number. Write {scheme}://host:6379/0")
    return service, int(steps[0]) if steps else None


def _credentials(parts: SplitResult) -> tuple[str, str]:
    user, _, _ = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return unquote(name), unquote(password)


def _masked(parts: SplitResult) -> str:
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}:***@{host}" if colon else f"{user}{at}{host}"
    query = [(key, "***" if key in SECRET else value) for key, value in parse_qsl(parts.query, keep_blank_values=True)]
    return f"{parts.scheme}://{netloc}{parts.path}" + (f"?{urlencode(query, safe='*', quote_via=quote)}" if query else "")

"""`optical-memory redis`: look after the sessions on a Redis server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..text.plurals import counted
from .options import FAILED, NOT_FOUND, AsJson, Session, Tenant, stop

if TYPE_CHECKING:
    from ..stores.redis import RedisStore

__all__ = ["app"]

app = typer.Typer(name="redis", help="Sessions on a Redis server: check them, let them end, seal them anew.", no_args_is_help=True)

StoreUrl = Annotated[
    str | None, typer.Option("--store", envvar="OPTICAL_MEMORY_STORE", help="redis://, rediss://, redis+cluster://, redis+sentinel://...")
]


@app.command()
def check(
    store: StoreUrl = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend the lists of sessions. Nothing that was said is changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look at every turn of every session, and at the server's settings. Exit code 1 if something is lost."""
    from ..stores.redis.health_check import check as check_store
    from .tables import problems_table

    with _opened(store) as opened:
        report = check_store(opened, repair=repair)
        sealed = opened.cipher.seals
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        counts = f"{counted(report.sessions, 'session')} of {counted(report.tenants, 'tenant')}, {counted(report.turns, 'turn')}"
        counts += f", {report.erased} erased"
        print(f"{counts}; {counted(report.caches, 'cache')} without a session")
        if sealed:
            print(
                f"not sealed with the newest key: {counted(report.unsealed, 'turn')}"
                if report.unsealed
                else "all turns are sealed with the newest key"
            )
        problems_table(report.problems)
    if report.has_errors:
        raise typer.Exit(FAILED)


@app.command()
def count(store: StoreUrl = None, tenant: Tenant = "") -> None:
    """Print how many sessions a tenant has."""
    with _opened(store) as opened:
        print(opened.count_sessions(tenant))


@app.command()
def expire(
    after: Annotated[str, typer.Option(help="90s, 15m, 12h, 30d, 2w, or never.")],
    expiry: Annotated[str, typer.Option(help="sliding (after the last append), sliding-read, fixed (from now).")] = "sliding",
    session: Session = "default",
    store: StoreUrl = None,
    tenant: Tenant = "",
) -> None:
    """Let a session end by itself, its log included."""
    from ..stores.base import SessionId
    from ..stores.redis.connecting import seconds_of

    with _opened(store) as opened:
        try:
            opened.expire(SessionId(session, tenant), seconds_of(after), expiry)
        except LookupError as exc:
            stop(str(exc), NOT_FOUND)
    print(f"session {session!r} " + ("never ends" if after == "never" else f"ends after {after}, {expiry}"))


@app.command()
def rotate(store: StoreUrl = None) -> None:
    """Seal every turn and page with the newest of the keys in OPTICAL_MEMORY_ENCRYPTION_KEYS."""
    from ..stores.encryption import KEYS_VARIABLE
    from ..stores.redis.health_check import rotate as seal_anew

    with _opened(store) as opened:
        if not opened.cipher.seals:
            raise ValueError(f"there is no key to seal with. Set {KEYS_VARIABLE}")
        turns, entries = seal_anew(opened)
    print(f"{counted(turns, 'turn')} and {counted(entries, 'cached entry')} sealed anew")


@contextmanager
def _opened(url: str | None) -> Iterator[RedisStore]:
    from ..stores.redis import RedisStore

    if url is None or ("redis" not in url.partition("://")[0] and not url.startswith("unix://")):
        raise ValueError("name the Redis server: --store redis://host:6379, or OPTICAL_MEMORY_STORE")
    store = RedisStore(url)
    try:
        yield store
    finally:
        store.close()

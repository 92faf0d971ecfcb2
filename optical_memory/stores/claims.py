"""Work that several processes could do and one is to do: whoever holds the claim works, the others wait and take what it made.

A claim is a courtesy, not a lock: what is made is named by its content, so two that make it make the same. So a claim ends by itself soon
after its holder fell silent, and nobody waits for ever.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..errors import StoreError
from .base import SessionId

__all__ = ["Claims", "claimed", "claimed_if_free", "claims_of"]

LEASE = 3.0  # seconds that a claim outlives its holder's last sign of life
PATIENCE = 60.0  # seconds after which one works beside the holder
POLL = 0.02  # seconds between two looks at first; doubled up to a fifth of a second
LONGEST_POLL = 0.2


class Claims(Protocol):
    """Claims on the work of a session, shared by all processes that use its store."""

    def claim(self, session: SessionId, name: str, holder: str, seconds: float) -> bool:
        """Take a claim, or renew one's own; false if someone else holds it."""
        ...

    def release(self, session: SessionId, name: str, holder: str) -> None:
        """Give a claim back; one that is not held any more is fine."""
        ...

    def swap(self, session: SessionId, name: str, old: bytes | None, new: bytes) -> bool:
        """Put `new` into the cache in place of `old`; false, and nothing changes, if it is not `old` that is there."""
        ...


def claims_of(store: Any) -> Claims | None:
    """The claims of a store; None for one that no other process shares."""
    claims: Claims | None = getattr(store, "claims", None)
    return claims


@contextmanager
def claimed(store: Any, session: SessionId, name: str) -> Iterator[bool]:
    """Work under a claim; the value says whether others may have worked meanwhile, so that one looks again at what is left to do.

    The claim is renewed by a thread while the block runs. Raises `StoreUnavailable` if it cannot be asked for.
    """
    claims = claims_of(store)
    if claims is None:
        yield False
        return
    holder = secrets.token_hex(8)
    _wait_for(claims, session, name, holder)
    with _held(claims, session, name, holder):
        yield True


@contextmanager
def claimed_if_free(store: Any, session: SessionId, name: str, *, lasts: Callable[[], bool] = lambda: True) -> Iterator[bool]:
    """Work under a claim; the value says whether it was free, so that nobody waits for work that can be left undone.

    Args:
        lasts: whether the store may still be used; if not, the claim ends by itself.
    """
    claims, holder = claims_of(store), secrets.token_hex(8)
    if claims is None:
        yield True
    elif not claims.claim(session, name, holder, LEASE):
        yield False
    else:
        with _held(claims, session, name, holder, lasts):
            yield True


@contextmanager
def _held(claims: Claims, session: SessionId, name: str, holder: str, lasts: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Renew a claim while the block runs, then give it back."""
    done = threading.Event()
    keeper = threading.Thread(target=_renew, args=(claims, session, name, holder, done, lasts), name=f"claim {name}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        if lasts():
            with contextlib.suppress(StoreError):  # it ends by itself
                claims.release(session, name, holder)


def _wait_for(claims: Claims, session: SessionId, name: str, holder: str) -> None:
    deadline, pause = time.monotonic() + PATIENCE, POLL
    while not claims.claim(session, name, holder, LEASE) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_POLL)


def _renew(claims: Claims, session: SessionId, name: str, holder: str, done: threading.Event, lasts: Callable[[], bool]) -> None:
    while not done.wait(LEASE / 3) and lasts():
        with contextlib.suppress(StoreError):
            claims.claim(session, name, holder, LEASE)

"""Work that several processes could do and one is to do: whoever holds the claim works, the others wait and take what it made.

A claim is a courtesy, not a lock: what is made is named by its content, so two that make it make the same. So a claim ends by itself soon
after its holder fell silent, and nobody waits for ever.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ..errors import StoreError
from .base import SessionId

__all__ = ["Claims", "claimed", "claims_of"]

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
    done = threading.Event()
    keeper = threading.Thread(target=_renew, args=(claims, session, name, holder, done), name=f"claim {name}", daemon=True)
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        with contextlib.suppress(StoreError):  # it ends by itself
            claims.release(session, name, holder)


def _wait_for(claims: Claims, session: SessionId, name: str, holder: str) -> None:
    deadline, pause = time.monotonic() + PATIENCE, POLL
    while not claims.claim(session, name, holder, LEASE) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_POLL)


def _renew(claims: Claims, session: SessionId, name: str, holder: str, done: threading.Event) -> None:
    while not done.wait(LEASE / 3):
        with contextlib.suppress(StoreError):
            claims.claim(session, name, holder, LEASE)

"""The cache of derived data of each session, and claims on the work of deriving it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ...errors import SessionCorrupted, StoreUnavailable, WrongKey
from ...text.excerpts import excerpt
from ..base import SessionId
from ..codec import texts, to_bytes
from ..encryption import KEYS_VARIABLE, Cipher
from . import scripts
from .connecting import Options
from .key_names import Layout
from .seals import Seals
from .wire import Said, Wire, is_full

__all__ = ["RedisCache", "milliseconds"]

_log = logging.getLogger(__name__)


class RedisCache:
    """The caches of all sessions, each a hash that expires as a whole. Implements `DerivedCache` and `claims.Claims`."""

    def __init__(self, wire: Wire, options: Options, cipher: Cipher) -> None:
        self.wire, self.options, self.cipher = wire, options, cipher
        self.layout = Layout(options.namespace)
        self.seals = Seals(wire, options, cipher)

    @property
    def claims(self) -> RedisCache:
        """Processes share the work on a session."""
        return self

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """The entries of `names` that exist and can be decrypted.

        Raises `SessionCorrupted` for one that was sealed for another name or session, or is not sealed where it has to be.
        """
        if not names:
            return {}
        found = self.wire.command("HMGET", self.layout.keys(session)[2], *map(to_bytes, names))
        opened: dict[str, bytes] = {}
        for name, data in zip(names, found, strict=True):
            try:
                if data is not None:
                    opened[name] = self.seals.entry(session, name, data)
            except WrongKey as exc:
                _log.warning("cached %s of session %s will be made again: %s", excerpt(name), excerpt(session.name), exc)
        return opened

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace. If the server's memory is full, nothing is kept and a warning is logged."""
        if not items:
            return
        pairs = [part for name, data in items.items() for part in (to_bytes(name), self.seals.sealed_entry(session, name, data))]
        self._write(session, scripts.CACHE_PUT, pairs)

    def swap(self, session: SessionId, name: str, old: bytes | None, new: bytes) -> bool:
        """See `claims.Claims`. Sealing the same bytes twice gives different bytes, so the stored ones are opened and compared first."""
        cache = self.layout.keys(session)[2]
        held = self.wire.command("HGET", cache, to_bytes(name))
        if held is not None:
            try:
                if self.seals.entry(session, name, held) != old:
                    return False
            except (WrongKey, SessionCorrupted):
                if old is not None:
                    return False  # unreadable with our keys, or not this session's: it counts as absent
        elif old is not None:
            return False
        arguments = [to_bytes(name), int(held is None), held or b"", self.seals.sealed_entry(session, name, new)]
        return self._write(session, scripts.SWAP, arguments)

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Names that start with `prefix`, sorted."""
        names = self.wire.command("HKEYS", self.layout.keys(session)[2])
        return sorted(name for name in texts(names).values() if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove; absent names are fine."""
        if names:
            self.wire.command("HDEL", self.layout.keys(session)[2], *map(to_bytes, names))

    def discard_nameless(self, session: SessionId) -> None:
        """Remove entries whose names are no text: nobody can ask for them, and they may hold what turns said."""
        cache = self.layout.keys(session)[2]
        names = self.wire.command("HKEYS", cache)
        if nameless := set(names) - set(texts(names)):
            self.wire.command("HDEL", cache, *nameless)

    def claim(self, session: SessionId, name: str, holder: str, seconds: float) -> bool:
        """See `claims.Claims`."""
        return self._unless_full(session, scripts.CLAIM, [self.layout.claim(session, name)], [holder, int(seconds * 1_000)])

    def release(self, session: SessionId, name: str, holder: str) -> None:
        """See `claims.Claims`."""
        self.wire.run(scripts.RELEASE, [self.layout.claim(session, name)], [holder])

    def _write(self, session: SessionId, script: scripts.Script, arguments: Sequence[Any]) -> bool:
        keys = self.layout.keys(session)
        leading = [milliseconds(self.options.pages_ttl), b"1" if self.cipher.seals else b""]
        try:
            return self._unless_full(session, script, [keys[2], keys[0]], [*leading, *arguments])
        except Said as said:
            raise self.needs_key(session, said) from said

    def needs_key(self, session: SessionId, said: Said) -> Exception:
        """The error of a script that was to write plain text into a sealed session; any other answer as it is."""
        if said.word != "SEALED":
            return said
        return WrongKey(f"session {excerpt(session.name)} is encrypted, and no key is given; nothing was stored. Set {KEYS_VARIABLE}")

    def _unless_full(self, session: SessionId, script: scripts.Script, keys: Sequence[str | bytes], arguments: Sequence[Any]) -> bool:
        """The answer of a script. If the server's memory is full, log and go on: caches can be made again."""
        try:
            return bool(self.wire.run(script, keys, arguments))
        except StoreUnavailable as exc:
            if exc.__cause__ is None or not is_full(exc.__cause__):
                raise
            _log.warning("nothing is kept of the pages of session %s: %s", excerpt(session.name), exc)
            return True


def milliseconds(seconds: float | None) -> bytes:
    """As scripts take it; empty means for ever."""
    return b"" if seconds is None else b"%d" % max(1, int(seconds * 1_000))

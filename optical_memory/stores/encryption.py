"""Encryption at rest: what a store keeps is sealed with Fernet keys before it leaves the process, and sealed for one place.

Keys come from the environment, never from a URL: `OPTICAL_MEMORY_ENCRYPTION_KEYS`, separated by commas. The first seals, all of them open:
a new key is put in front, everything is sealed anew, and the old one is taken off. A Fernet token is AES-128 in CBC mode with an HMAC
(https://github.com/fernet/spec), so what was tampered with does not open. Fernet takes no associated data, so the digest of a record's
place (tenant, session, kind, number or name) is encrypted with it, and compared when it is opened: a record that was copied or moved is
found out. Tokens are kept as bytes; in base64 they are a third longer.

Records of earlier releases are sealed for no place. Every bound record of a log says from which turn on its session holds bound records
alone (`Opened.since`); whoever reads an unbound one compares. Not covered: that a record is missing, or an older one of the same place.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..errors import MissingExtra, SessionCorrupted, WrongKey
from .places import DIGEST_BYTES, Place

__all__ = ["KEYS_VARIABLE", "Cipher", "Opened", "cipher_of", "is_bound"]

KEYS_VARIABLE = "OPTICAL_MEMORY_ENCRYPTION_KEYS"
SEALED, PLAIN = b"\0sealed\1", b"\0plain.\1"  # how stored bytes begin; PLAIN stands only before what begins like one of the three
BOUND = b"\0sealed\2"
SINCE = 8  # bytes after the place's digest in a bound record: the number from which on all are bound


class Opened(NamedTuple):
    """What a record holds, and from which number on its session's turns are all bound; 0 if the record does not say."""

    data: bytes
    since: int = 0


class Cipher(Protocol):
    """Seals bytes for a place, and opens what it or an older key sealed."""

    @property
    def seals(self) -> bool:
        """Whether it changes anything."""
        ...

    def seal(self, data: bytes, place: Place | None = None, since: int = 0) -> bytes: ...

    def open(self, data: bytes, place: Place | None = None) -> bytes:
        """What a record holds; see `unpack`."""
        ...

    def unpack(self, data: bytes, place: Place | None = None) -> Opened:
        """Raises `WrongKey`, and `SessionCorrupted` for what was sealed for another place than `place`; None stands for any.

        What was never sealed comes back as it is, and what is sealed for no place is opened: see `is_bound`.
        """
        ...

    def is_current(self, data: bytes) -> bool:
        """Whether `data` is as this cipher would seal it now."""
        ...


def is_bound(data: bytes) -> bool:
    """Whether a stored record is sealed for its place; whether for the right one shows when it is opened."""
    return data.startswith(BOUND)


def cipher_of(keys: Sequence[str] | None = None) -> Cipher:
    """The cipher of some keys, newest first; those of the environment if None. Without any, nothing is sealed.

    Raises `ValueError` for what is no key (it is not quoted), `MissingExtra` without the package `cryptography`.
    """
    if keys is None:
        keys = [key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key.strip()]
    return _Fernet(keys) if keys else _Open()


class _Open:
    """No keys: nothing is sealed, and what is sealed cannot be read."""

    seals = False

    def seal(self, data: bytes, place: Place | None = None, since: int = 0) -> bytes:
        return PLAIN + data if data.startswith((SEALED, PLAIN, BOUND)) else data

    def open(self, data: bytes, place: Place | None = None) -> bytes:
        return self.unpack(data, place).data

    def unpack(self, data: bytes, place: Place | None = None) -> Opened:
        if data.startswith((SEALED, BOUND)):
            raise WrongKey(f"the store holds encrypted data and no key is given. Set {KEYS_VARIABLE}")
        return Opened(data.removeprefix(PLAIN))

    def is_current(self, data: bytes) -> bool:
        return not data.startswith((SEALED, BOUND))


class _Fernet:
    seals = True

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken
        except ImportError as exc:
            raise MissingExtra("encryption at rest", "encryption") from exc
        self._keys = []
        for place, key in enumerate(keys, 1):
            try:
                self._keys.append(Fernet(key))
            except ValueError:
                raise ValueError(
                    f"key {place} of {len(keys)} is no Fernet key: 32 bytes in URL-safe base64. Make one with: "
                    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
                ) from None
        self._invalid = InvalidToken

    def seal(self, data: bytes, place: Place | None = None, since: int = 0) -> bytes:
        return BOUND + urlsafe_b64decode(
            self._keys[0].encrypt((place.digest() if place else bytes(DIGEST_BYTES)) + since.to_bytes(SINCE) + data)
        )

    def open(self, data: bytes, place: Place | None = None) -> bytes:
        return self.unpack(data, place).data

    def unpack(self, data: bytes, place: Place | None = None) -> Opened:
        if data.startswith(SEALED):
            return Opened(self._decrypted(data))
        if not data.startswith(BOUND):
            return Opened(data.removeprefix(PLAIN))
        content = self._decrypted(data)
        if place is not None and content[:DIGEST_BYTES] != place.digest():
            raise SessionCorrupted(
                f"what stands for {place} was sealed for another place: it was copied or moved there. "
                "Restore the server from a backup, or erase it",
                session=place.session.name,
                missing=place.numbers,
            )
        return Opened(content[DIGEST_BYTES + SINCE :], int.from_bytes(content[DIGEST_BYTES : DIGEST_BYTES + SINCE]))

    def is_current(self, data: bytes) -> bool:
        if not data.startswith(BOUND):
            return False
        try:
            self._keys[0].decrypt(_token(data))
        except self._invalid:
            return False
        return True

    def _decrypted(self, data: bytes) -> bytes:
        token = _token(data)
        for key in self._keys:
            try:
                return key.decrypt(token)
            except self._invalid:
                continue
        raise WrongKey(f"none of the {len(self._keys)} keys opens this, or it was changed. Put the key that sealed it into {KEYS_VARIABLE}")


def _token(data: bytes) -> bytes:
    return urlsafe_b64encode(data[len(SEALED) :])

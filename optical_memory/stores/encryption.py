"""Encryption at rest: what a store keeps is sealed with Fernet keys before it leaves the process.

Keys come from the environment, never from a URL: `OPTICAL_MEMORY_ENCRYPTION_KEYS`, separated by commas. The first seals, all of them open:
a new key is put in front, everything is sealed anew, and the old one is taken off. A Fernet token is AES-128 in CBC mode with an HMAC
(https://github.com/fernet/spec), so what was tampered with does not open. Tokens are kept as bytes; in base64 they are a third longer.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Protocol

from ..errors import MissingExtra, WrongKey

__all__ = ["KEYS_VARIABLE", "Cipher", "cipher_of"]

KEYS_VARIABLE = "OPTICAL_MEMORY_ENCRYPTION_KEYS"
SEALED, PLAIN = b"\0sealed\1", b"\0plain.\1"  # how stored bytes begin; PLAIN stands only before what begins like one of the two


class Cipher(Protocol):
    """Seals bytes, and opens what it or an older key sealed."""

    @property
    def seals(self) -> bool:
        """Whether it changes anything."""
        ...

    def seal(self, data: bytes) -> bytes: ...

    def open(self, data: bytes) -> bytes:
        """Raises `WrongKey`. What was never sealed comes back as it is."""
        ...

    def is_current(self, data: bytes) -> bool:
        """Whether `data` is as this cipher would seal it now."""
        ...


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

    def seal(self, data: bytes) -> bytes:
        return PLAIN + data if data.startswith((SEALED, PLAIN)) else data

    def open(self, data: bytes) -> bytes:
        if data.startswith(SEALED):
            raise WrongKey(f"the store holds encrypted data and no key is given. Set {KEYS_VARIABLE}")
        return data.removeprefix(PLAIN)

    def is_current(self, data: bytes) -> bool:
        return not data.startswith(SEALED)


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

    def seal(self, data: bytes) -> bytes:
        return SEALED + urlsafe_b64decode(self._keys[0].encrypt(data))

    def open(self, data: bytes) -> bytes:
        if not data.startswith(SEALED):
            return data.removeprefix(PLAIN)
        token = urlsafe_b64encode(data[len(SEALED) :])
        for key in self._keys:
            try:
                return key.decrypt(token)
            except self._invalid:
                continue
        raise WrongKey(f"none of the {len(self._keys)} keys opens this, or it was changed. Put the key that sealed it into {KEYS_VARIABLE}")

    def is_current(self, data: bytes) -> bool:
        if not data.startswith(SEALED):
            return False
        try:
            self._keys[0].decrypt(urlsafe_b64encode(data[len(SEALED) :]))
        except self._invalid:
            return False
        return True

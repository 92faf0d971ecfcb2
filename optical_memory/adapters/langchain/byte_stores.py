"""LangChain's byte stores: store pages in any of them, or use our stores as one.

OpticalMemoryMiddleware(cache=ByteStorePages(LocalFileStore("pages")))
CacheBackedEmbeddings.from_bytes_store(embeddings, OpticalByteStore("redis://localhost"))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...errors import MissingExtra
from ...stores.base import DerivedCache, SessionId, open_store
from ...text.excerpts import excerpt

try:
    from langchain_core.stores import BaseStore
except ImportError as exc:
    raise MissingExtra("the adapter for LangChain's byte stores", "langchain") from exc

__all__ = ["ByteStorePages", "OpticalByteStore"]

ENDING = ".bin"  # names of folders have no dot, so that in a store of files no file has the name of a folder
ESCAPED = re.compile(r"_([0-9a-f]+)_")


class ByteStorePages:
    """Stores pages in any of LangChain's byte stores: `AdapterSettings(cache=ByteStorePages(byte_store))`.

    Args:
        byte_store: the store. Keys consist of letters, digits and `-_/.`, which every store accepts, also one of files.
        prefix: prefix of all keys, for a store that holds other data too: letters, digits and `-`.

    Raises `ValueError` for another prefix.
    """

    def __init__(self, byte_store: BaseStore[str, bytes], prefix: str = "optical-memory") -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]+", prefix):
            raise ValueError(f"a prefix has letters, digits and '-' only; got {excerpt(prefix)}")
        self._store, self._prefix = byte_store, prefix

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """Return the items of `names` that exist."""
        found = self._store.mget([self._key(session, name) for name in names]) if names else []
        return {name: data for name, data in zip(names, found, strict=True) if data is not None}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace."""
        if items:
            self._store.mset([(self._key(session, name), data) for name, data in items.items()])

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Return names that start with `prefix`, sorted."""
        home = self._home(session)
        folder, slash, _ = prefix.rpartition("/")
        # Stores of files can list whole folders only.
        keys = self._store.yield_keys(prefix=home + (f"{_escaped(folder)}/" if slash else ""))
        names = (_plain(str(key).replace("\\", "/").removeprefix(home).removesuffix(ENDING)) for key in keys)
        return sorted(name for name in names if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove; absent names are ignored."""
        if names:
            self._store.mdelete([self._key(session, name) for name in names])

    def _home(self, session: SessionId) -> str:
        return f"{self._prefix}/{_segment(session.tenant)}/{_segment(session.name)}/"

    def _key(self, session: SessionId, name: str) -> str:
        return f"{self._home(session)}{_escaped(name)}{ENDING}"


class OpticalByteStore(BaseStore[str, bytes]):
    """One of our stores, `memory://`, `sqlite:///...` or `redis://...`, as LangChain's `ByteStore`. Its async methods use worker threads.

    Args:
        store: a store, or its URL.
        namespace: separates keys from those of other namespaces and of sessions.
    """

    def __init__(self, store: str | DerivedCache, namespace: str = "default") -> None:
        self._cache: DerivedCache = open_store(store) if isinstance(store, str) else store
        self._home = SessionId(namespace, "byte-store")

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of `keys`; None for an absent key."""
        found = self._cache.get(self._home, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store or replace."""
        self._cache.put(self._home, dict(key_value_pairs))

    def mdelete(self, keys: Sequence[str]) -> None:
        """Remove; absent keys are ignored."""
        self._cache.discard(self._home, list(keys))

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Yield keys that start with `prefix`, sorted."""
        yield from self._cache.names(self._home, prefix or "")


def _escaped(name: str) -> str:
    """Escape a name, injectively, to characters that every store accepts."""
    return "/".join(map(_segment, name.split("/")))


def _segment(text: str) -> str:
    escaped = "".join(char if char.isascii() and (char.isalnum() or char == "-") else f"_{ord(char):x}_" for char in text)
    return escaped or "_"  # a file's name cannot be empty


def _plain(escaped: str) -> str:
    """Invert `_escaped`."""
    parts = ("" if part == "_" else ESCAPED.sub(lambda match: chr(int(match[1], 16)), part) for part in escaped.split("/"))
    return "/".join(parts)

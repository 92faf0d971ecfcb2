"""LangChain's byte stores: pages kept in any of them, and our stores as one of them.

OpticalMemoryMiddleware(cache=ByteStorePages(LocalFileStore("pages")))
CacheBackedEmbeddings.from_bytes_store(embeddings, OpticalByteStore("redis://localhost"))
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...errors import MissingExtra
from ...stores.base import DerivedCache, SessionId, open_store

try:
    from langchain_core.stores import BaseStore
except ImportError as exc:
    raise MissingExtra("the adapter for LangChain's byte stores", "langchain") from exc

__all__ = ["ByteStorePages", "OpticalByteStore"]

ENDING = ".bin"  # no folder's name has a dot, so that in a store of files no name stands in the way of another
ESCAPED = re.compile(r"_([0-9a-f]+)_")


class ByteStorePages:
    """A place for pages, `AdapterSettings(cache=ByteStorePages(byte_store))`, in any of LangChain's byte stores.

    Args:
        byte_store: its keys get letters, digits and `-_/.` only, which every store takes, files among them.
        prefix: what all keys start with, so that the store may hold other things as well: letters, digits and `-`.
    """

    def __init__(self, byte_store: BaseStore[str, bytes], prefix: str = "optical-memory") -> None:
        if not re.fullmatch(r"[A-Za-z0-9-]+", prefix):
            raise ValueError(f"a prefix has letters, digits and '-' only; got {prefix!r}")
        self._store, self._prefix = byte_store, prefix

    def get(self, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
        """Those of `names` that are there."""
        found = self._store.mget([self._key(session, name) for name in names]) if names else []
        return {name: data for name, data in zip(names, found, strict=True) if data is not None}

    def put(self, session: SessionId, items: dict[str, bytes]) -> None:
        """Store or replace."""
        if items:
            self._store.mset([(self._key(session, name), data) for name, data in items.items()])

    def names(self, session: SessionId, prefix: str = "") -> list[str]:
        """Names that start with `prefix`, sorted."""
        home = self._home(session)
        folder, slash, _ = prefix.rpartition("/")
        # Stores of files look into whole folders, so that is what they are asked for.
        keys = self._store.yield_keys(prefix=home + (f"{_escaped(folder)}/" if slash else ""))
        names = (_plain(str(key).replace("\\", "/").removeprefix(home).removesuffix(ENDING)) for key in keys)
        return sorted(name for name in names if name.startswith(prefix))

    def discard(self, session: SessionId, names: Sequence[str]) -> None:
        """Remove; absent names are fine."""
        if names:
            self._store.mdelete([self._key(session, name) for name in names])

    def _home(self, session: SessionId) -> str:
        return f"{self._prefix}/{_segment(session.tenant)}/{_segment(session.name)}/"

    def _key(self, session: SessionId, name: str) -> str:
        return f"{self._home(session)}{_escaped(name)}{ENDING}"


class OpticalByteStore(BaseStore[str, bytes]):
    """A store of ours, `memory://`, `sqlite:///...` or `redis://...`, as LangChain's `ByteStore`. Its async methods use worker threads.

    Args:
        store: a store, or its URL.
        namespace: keys of different namespaces never meet, nor do they meet sessions.
    """

    def __init__(self, store: str | DerivedCache, namespace: str = "default") -> None:
        self._cache: DerivedCache = open_store(store) if isinstance(store, str) else store
        self._home = SessionId(namespace, "byte-store")

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of `keys`, None for one that is not there."""
        found = self._cache.get(self._home, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store or replace."""
        self._cache.put(self._home, dict(key_value_pairs))

    def mdelete(self, keys: Sequence[str]) -> None:
        """Remove; absent keys are fine."""
        self._cache.discard(self._home, list(keys))

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Keys that start with `prefix`, sorted."""
        yield from self._cache.names(self._home, prefix or "")


def _escaped(name: str) -> str:
    """A name in characters that every store takes. Different names stay different."""
    return "/".join(map(_segment, name.split("/")))


def _segment(text: str) -> str:
    escaped = "".join(char if char.isascii() and (char.isalnum() or char == "-") else f"_{ord(char):x}_" for char in text)
    return escaped or "_"  # an empty name is no file's


def _plain(escaped: str) -> str:
    """The inverse of `_escaped`."""
    parts = ("" if part == "_" else ESCAPED.sub(lambda match: chr(int(match[1], 16)), part) for part in escaped.split("/"))
    return "/".join(parts)

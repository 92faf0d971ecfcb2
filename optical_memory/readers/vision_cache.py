"""A cache of vision tokens: the encoder's output for a page at a tier, in memory and on a shelf that outlives the process.

Entries are opaque: named tensors that only the reader that made them understands. A shelf stores them as safetensors, with key and checksum
in the metadata; an entry that does not match both is encoded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..errors import MissingExtra
from ..stores.base import DerivedCache, SessionId
from ..stores.claims import claimed
from ..stores.intact import intact

if TYPE_CHECKING:
    import torch

__all__ = ["FolderShelf", "PageKey", "Payload", "Shelf", "StoreShelf", "VisionCache", "VisionCounts", "default_folder"]

Payload = Mapping[str, "torch.Tensor"]

MEMORY_LIMIT = 256 * 2**20  # bytes: some 900 pages at Small in 16 bits
FOLDER_LIMIT = 10 * 2**30  # bytes
SUFFIX = ".safetensors"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageKey:
    """Cache key of a page's vision tokens.

    Attributes:
        content: the hash of the picture.
        tier: its label.
        encoder: the model, its weights, their type, and the version of the preprocessing.
    """

    content: str
    tier: str
    encoder: str

    @property
    def name(self) -> str:
        """A file name: 40 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:40]


@dataclass(slots=True)
class VisionCounts:
    """Pages by source (memory, shelf, encoder), and damaged shelf entries."""

    memory: int = 0
    shelf: int = 0
    encoded: int = 0
    damaged: int = 0


class Shelf(Protocol):
    """Named bytes that outlive a process. May lose them."""

    def get(self, name: str) -> bytes | None:
        """The bytes of a name, or None."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Store them completely or not at all."""
        ...

    def locked(self, name: str) -> contextlib.AbstractContextManager[None]:
        """A lock for one holder, so that a page is not encoded twice at once. Released if the holder dies."""
        ...


class FolderShelf:
    """Files in a folder, the least lately used removed beyond `limit` bytes. Safe for several processes."""

    def __init__(self, folder: Path, *, limit: int = FOLDER_LIMIT) -> None:
        self._folder, self._limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)
        self._bytes = sum(size for _, size, _ in self._files())

    def get(self, name: str) -> bytes | None:
        path = self._folder / f"{name}{SUFFIX}"
        try:
            data = path.read_bytes()
            os.utime(path)  # used now
        except OSError:
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        path = self._folder / f"{name}{SUFFIX}"
        draft = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.draft")
        try:
            draft.write_bytes(data)
            draft.replace(path)  # readers see the old file or the new one
        except OSError as exc:  # a full disk costs time, not the answer
            _log.warning("vision tokens could not be kept in %r: %s", str(self._folder), exc)
            draft.unlink(missing_ok=True)
            return
        self._bytes += len(data)
        if self._bytes > self._limit:
            self._make_room()

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        from filelock import FileLock  # an operating system lock: released when the process ends

        with FileLock(self._folder / f"{name}.lock"):
            yield

    def _files(self) -> list[tuple[float, int, Path]]:
        """Last use, size and path of each, the oldest first."""
        found = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):  # another process may have removed it
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _make_room(self) -> None:
        files = self._files()
        self._bytes = sum(size for _, size, _ in files)
        for _, size, path in files:
            if self._bytes <= self._limit * 0.9:
                break
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
            self._bytes -= size


class StoreShelf:
    """The cache of a session in a store, next to its page images; erased with the session.

    Locks hold within this process, and among all that share a store which has claims, as Redis has.
    """

    def __init__(self, store: DerivedCache, session: SessionId) -> None:
        self._store, self._session = store, session
        self._lock = threading.RLock()  # several pages are locked at once

    def get(self, name: str) -> bytes | None:
        return intact(self._store, self._session, [f"vision/{name}"]).get(f"vision/{name}")

    def put(self, name: str, data: bytes) -> None:
        self._store.put(self._session, {f"vision/{name}": data})

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        with self._lock, claimed(self._store, self._session, f"vision/{name}"):
            yield


class VisionCache:
    """Vision tokens by page, tier and encoder.

    Args:
        memory_bytes: kept in the process at most.
        shelf: where they outlive it; None keeps them in memory alone.

    Safe for threads: a page that several of them ask for is encoded once.
    """

    def __init__(self, memory_bytes: int = MEMORY_LIMIT, shelf: Shelf | None = None) -> None:
        if memory_bytes < 0:
            raise ValueError(f"memory_bytes={memory_bytes} is negative; 0 keeps nothing in memory")
        self._limit, self._shelf = memory_bytes, shelf
        self._held: OrderedDict[PageKey, tuple[Payload, int]] = OrderedDict()
        self._bytes = 0
        self._memory, self._encoding = threading.Lock(), threading.RLock()
        self.counts = VisionCounts()

    @property
    def nbytes(self) -> int:
        """Bytes held in memory."""
        return self._bytes

    def get_or_encode(self, keys: Sequence[PageKey], encode: Callable[[Sequence[int]], Sequence[Payload]]) -> list[Payload]:
        """The vision tokens of pages.

        Args:
            encode: receives the indices in `keys` of uncached pages and returns their payloads; called at most once.
        """
        found = {key: payload for key in keys if (payload := self._remembered(key)) is not None}
        if missing := [key for key in dict.fromkeys(keys) if key not in found]:
            with self._encoding:
                found.update(self._fetch(missing, keys, encode))
        return [found[key] for key in keys]

    def clear(self) -> None:
        """Drop what is held in memory."""
        with self._memory:
            self._held.clear()
            self._bytes = 0

    def _fetch(
        self, missing: Sequence[PageKey], keys: Sequence[PageKey], encode: Callable[[Sequence[int]], Sequence[Payload]]
    ) -> dict[PageKey, Payload]:
        with ExitStack() as locks:
            found: dict[PageKey, Payload] = {}
            for key in sorted(missing, key=lambda key: key.name):  # one lock order for all, so that no deadlock is possible
                payload = self._remembered(key) or self._shelved(key)  # another thread may have been here
                if payload is None and self._shelf is not None:
                    locks.enter_context(self._shelf.locked(key.name))
                    payload = self._shelved(key)
                if payload is not None:
                    found[key] = payload
            absent = [key for key in missing if key not in found]
            made = encode([keys.index(key) for key in absent]) if absent else []
            for key, payload in zip(absent, made, strict=True):
                self.counts.encoded += 1
                self._remember(key, payload)
                if self._shelf is not None:
                    self._shelf.put(key.name, _packed(key, payload))
                found[key] = payload
        return found

    def _remembered(self, key: PageKey) -> Payload | None:
        with self._memory:
            if key not in self._held:
                return None
            self._held.move_to_end(key)
            self.counts.memory += 1
            return self._held[key][0]

    def _remember(self, key: PageKey, payload: Payload) -> None:
        size = sum(tensor.nbytes for tensor in payload.values())
        with self._memory:
            if size > self._limit or key in self._held:
                return
            while self._bytes + size > self._limit:
                _, (_, dropped) = self._held.popitem(last=False)
                self._bytes -= dropped
            self._held[key] = (payload, size)
            self._bytes += size

    def _shelved(self, key: PageKey) -> Payload | None:
        data = self._shelf.get(key.name) if self._shelf is not None else None
        if data is None:
            return None
        payload = _unpacked(key, data)
        if payload is None:
            self.counts.damaged += 1
            _log.warning("vision tokens %s on the shelf are damaged; encoding the page again", key.name)
            return None
        self.counts.shelf += 1
        self._remember(key, payload)
        return payload


def default_folder() -> Path:
    """The folder `vision` in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("optical-memory") / "vision"


def _packed(key: PageKey, payload: Payload) -> bytes:
    try:
        from safetensors.torch import save
    except ImportError as exc:
        raise MissingExtra("keeping vision tokens", "deepseek") from exc
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in payload.items()}
    bare = save(tensors, {"key": json.dumps(asdict(key), sort_keys=True)})
    return save(tensors, {"key": json.dumps(asdict(key), sort_keys=True), "sha256": _checksum(*_taken_apart(bare))})


def _unpacked(key: PageKey, data: bytes) -> Payload | None:
    """The tensors of a shelf entry; None if it is damaged or of another key."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        header, body = _taken_apart(data)
        noted = header["__metadata__"]
        if noted["key"] != json.dumps(asdict(key), sort_keys=True) or noted["sha256"] != _checksum(header, body):
            return None
        return dict(load(data))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _taken_apart(data: bytes) -> tuple[dict[str, dict[str, str]], memoryview]:
    """Header and body of a safetensors file. Raises `ValueError`."""
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= len(data) - 8:
        raise ValueError(f"a header of {size} bytes in a file of {len(data)}")
    return json.loads(data[8 : 8 + size]), memoryview(data)[8 + size :]


def _checksum(header: dict[str, dict[str, str]], body: memoryview) -> str:
    """Of the names, types, shapes and places of the tensors, of the key, and of every byte."""
    described = {**header, "__metadata__": {"key": header["__metadata__"]["key"]}}
    whole = hashlib.sha256(json.dumps(described, sort_keys=True).encode("utf-8", "surrogatepass"))
    whole.update(body)
    return whole.hexdigest()

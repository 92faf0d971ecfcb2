"""Keys and values of every decoder layer for one sequence, shared between branches with a common prefix.

A cache is a length and a storage. It writes in place only where no other live cache has written; if its next position is taken by another
branch of the prefix, it first copies to its own storage. So a fork is free, branches never see each other's positions, and the space of a
deleted branch is reused. Not thread-safe: its reader has one lock.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch
from torch import Tensor

from .configuration import DecoderConfig

__all__ = ["KVCache", "storage_bytes"]

GROWTH = 1.25  # a storage grows by at least a quarter, so that appending single tokens stays cheap
LEAST = 256  # positions of a new storage


class _Storage:
    """Keys and values: (layers, 2, heads, capacity, head size)."""

    def __init__(self, config: DecoderConfig, capacity: int, dtype: torch.dtype, device: torch.device) -> None:
        shape = (config.num_hidden_layers, 2, config.num_key_value_heads, capacity, config.head_dim)
        self.data = torch.empty(shape, dtype=dtype, device=device)
        self.users: weakref.WeakSet[KVCache] = weakref.WeakSet()

    @property
    def capacity(self) -> int:
        return self.data.shape[3]

    @property
    def nbytes(self) -> int:
        return self.data.nbytes


class KVCache:
    """The past of one sequence, batch size 1.

    `update` is called once a layer with the keys and values of the new positions, `advance` once after the last layer.
    """

    def __init__(self, config: DecoderConfig, dtype: torch.dtype, device: torch.device | str = "cpu", *, capacity: int = LEAST) -> None:
        self._config, self._dtype, self._device = config, dtype, torch.device(device)
        self._storage = _Storage(config, capacity, dtype, self._device)
        self._length = 0
        self._claimed = 0  # positions, with those being written
        self._storage.users.add(self)

    @property
    def length(self) -> int:
        """Positions held."""
        return self._length

    @property
    def nbytes(self) -> int:
        """Bytes of the whole storage, which other caches may share: see `storage_bytes`."""
        return self._storage.nbytes

    def update(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append to one layer. Both are (1, heads, T, head size); returns all positions so far."""
        end = self._length + keys.shape[2]
        if layer == 0:
            self._make_room(end)
        room = self._storage.data[layer]
        room[0, :, self._length : end] = keys[0]
        room[1, :, self._length : end] = values[0]
        return room[0, :, :end].unsqueeze(0), room[1, :, :end].unsqueeze(0)

    def advance(self, positions: int) -> None:
        """Add `positions`, now written in every layer, to the length."""
        self._length += positions
        self._claimed = self._length

    def reserve(self, positions: int) -> None:
        """Reserve room for this many more, so that they are copied at most once."""
        if self._length + positions > self._storage.capacity:
            self._move(self._length + positions)

    def fork(self) -> KVCache:
        """Return another cache with the same prefix, without a copy. Raises `ValueError` for a decoder with a sliding window."""
        if self._config.sliding_window is not None:
            raise ValueError(
                f"a decoder with a sliding window of {self._config.sliding_window} shares no past: what a position holds depends on where "
                "its prompt ended. Use DeepseekOcrConfig.full_attention()"
            )
        branch = object.__new__(KVCache)
        branch._config, branch._dtype, branch._device = self._config, self._dtype, self._device
        branch._storage, branch._length, branch._claimed = self._storage, self._length, self._length
        self._storage.users.add(branch)
        return branch

    def truncate(self, length: int) -> None:
        """Drop all positions from `length` on. Raises `ValueError` if there are fewer."""
        if not 0 <= length <= self._length:
            raise ValueError(f"cannot cut a cache of {self._length} positions to {length}")
        self._length = self._claimed = length

    def shares_storage(self, other: KVCache) -> bool:
        """Whether both use the same storage."""
        return self._storage is other._storage

    def _make_room(self, end: int) -> None:
        taken = any(user._claimed > self._length for user in self._storage.users if user is not self)
        if taken or end > self._storage.capacity:
            self._move(max(end, int(self._length * GROWTH), LEAST))
        self._claimed = end

    def _move(self, capacity: int) -> None:
        """Copy to an own storage of `capacity` positions."""
        grown = _Storage(self._config, capacity, self._dtype, self._device)
        grown.data[..., : self._length, :] = self._storage.data[..., : self._length, :]
        self._storage.users.discard(self)
        grown.users.add(self)
        self._storage = grown


def storage_bytes(caches: Iterable[KVCache]) -> int:
    """Return the bytes of a pool of caches, counting shared storages once."""
    return sum({id(cache._storage): cache._storage.nbytes for cache in caches}.values())

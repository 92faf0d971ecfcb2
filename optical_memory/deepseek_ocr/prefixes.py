"""Prefix cache: the decoder's keys and values of earlier prompts, found by common prefix.

A prompt is a chain of segments: the framing, a page's label and rows, a turn. Each link is the hash of the previous link and its segment,
so it identifies everything up to it. The longest known prefix of a chain is reused and only the rest is computed; a re-plan that changes a
page changes that link and all after it, but none before.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from .kv_cache import KVCache, storage_bytes

__all__ = ["PrefixCache", "PrefixCounts", "chain_of"]

MEMORY_LIMIT = 2 * 2**30  # bytes of keys and values: some 35,000 positions of the published model in 16 bits


def chain_of(root: str, segments: Sequence[str]) -> list[str]:
    """Return the links of a chain: one per segment, which identifies it and all before it.

    Args:
        root: identifies the model, its weights and their type.
        segments: a key for each segment.
    """
    links, link = [], root
    for segment in segments:
        link = hashlib.sha256(f"{link}\0{segment}".encode("utf-8", "surrogatepass")).hexdigest()
        links.append(link)
    return links


@dataclass(slots=True)
class PrefixCounts:
    """Counters: positions reused, positions computed, prefixes evicted."""

    reused: int = 0
    computed: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    cache: KVCache
    lengths: dict[str, int]  # link -> positions up to and with it


class PrefixCache:
    """Keys and values of whole chains, each found by any of its links; evicts the least recently used."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._held: OrderedDict[str, _Held] = OrderedDict()  # by last link
        self.counts = PrefixCounts()

    def longest(self, links: Sequence[str]) -> tuple[int, KVCache] | None:
        """Return how many of `links` are known, and their keys and values as a writable fork. None if not even the first is."""
        for count in range(len(links), 0, -1):
            for last in reversed(self._held):
                held = self._held[last]
                if (length := held.lengths.get(links[count - 1])) is not None:
                    self._held.move_to_end(last)
                    branch = held.cache.fork()
                    branch.truncate(length)
                    return count, branch
        return None

    def keep(self, links: Sequence[str], lengths: Sequence[int], cache: KVCache) -> None:
        """Store a computed chain; `cache` may be longer.

        Args:
            lengths: positions up to and with each link.
        """
        if not links:
            return
        known = dict(zip(links, lengths, strict=True))
        for last in [last for last in self._held if last in known]:
            del self._held[last]  # a prefix of this chain
        held = cache.fork()
        held.truncate(lengths[-1])
        self._held[links[-1]] = _Held(held, known)
        while self.nbytes > self._limit and self._held:
            self._held.popitem(last=False)
            self.counts.dropped += 1

    @property
    def nbytes(self) -> int:
        """Bytes in use, counting shared storages once."""
        return storage_bytes(held.cache for held in self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def clear(self) -> None:
        """Drop everything."""
        self._held.clear()

"""A prompt cache as providers document it, over the blocks of requests."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["AutomaticCache", "Bill", "Block", "MarkedCache"]

LOOKED_BACK = 20  # blocks before a marker in which Anthropic looks for what it has cached
MOST_MARKERS = 4
SECONDS = {"5m": 300.0, "1h": 3_600.0}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a request: its content, its tokens, and the lifetime of the marker on it, if it has one."""

    content: str
    tokens: int
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens by kind."""

    input: int
    write: int = 0
    write_long: int = 0
    read: int = 0

    @property
    def total(self) -> int:
        """All tokens of the request."""
        return self.input + self.write + self.write_long + self.read


class _Prefixes:
    """Hashes of beginnings, and until when they are cached."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, tuple[float, float]] = {}

    def keep(self, prefix: str, seconds: float) -> None:
        self._until[prefix] = (self._clock() + seconds, seconds)

    def read(self, prefix: str) -> bool:
        """Whether a beginning is cached; reading it renews its lifetime."""
        until, seconds = self._until.get(prefix, (float("-inf"), 0.0))
        if until < self._clock():
            return False
        self.keep(prefix, seconds)
        return True


def _chain(scope: str, blocks: Sequence[Block]) -> list[str]:
    """Return the hash of each beginning that ends with a block."""
    running = hashlib.sha256(scope.encode())
    hashes = []
    for block in blocks:
        running.update(f"{len(block.content)}:".encode() + block.content.encode("utf-8", "surrogatepass"))
        hashes.append(running.hexdigest())
    return hashes


class MarkedCache:
    """Anthropic's: written and read at markers.

    Args:
        minimum: tokens of the shortest beginning that is cached.
    """

    def __init__(self, minimum: int = 1_024, clock: Callable[[], float] = time.monotonic) -> None:
        self._prefixes, self._minimum = _Prefixes(clock), minimum

    def bill(self, scope: str, blocks: Sequence[Block]) -> Bill:
        """Bill a request, and cache its beginnings. Raises `ValueError` for markers that are not allowed."""
        marked = [at for at, block in enumerate(blocks) if block.marker]
        if len(marked) > MOST_MARKERS:
            raise ValueError(f"A maximum of {MOST_MARKERS} blocks with cache_control may be provided. Found {len(marked)}.")
        lifetimes = [blocks[at].marker for at in marked]
        if lifetimes != sorted(lifetimes):  # "1h" before "5m"
            raise ValueError("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")
        hashes = _chain(scope, blocks)
        upto = [sum(block.tokens for block in blocks[: at + 1]) for at in range(len(blocks))]
        known = self._known(hashes, marked, upto)
        read = upto[known] if known >= 0 else 0
        written = {"5m": 0, "1h": 0}
        at = read
        for place in marked:
            if place <= known or upto[place] < self._minimum:
                continue
            written[blocks[place].marker] += upto[place] - at
            at = upto[place]
            self._prefixes.keep(hashes[place], SECONDS[blocks[place].marker])
        total = upto[-1] if upto else 0
        return Bill(total - at, written["5m"], written["1h"], read)

    def _known(self, hashes: Sequence[str], marked: Sequence[int], upto: Sequence[int]) -> int:
        for place in reversed(marked):
            for at in range(place, max(-1, place - LOOKED_BACK), -1):
                if upto[at] >= self._minimum and self._prefixes.read(hashes[at]):
                    return at
        return -1


class AutomaticCache:
    """OpenAI's and Gemini's: every beginning is cached without being asked for.

    Args:
        step: tokens in which a beginning is counted.
    """

    def __init__(self, minimum: int = 1_024, step: int = 128, clock: Callable[[], float] = time.monotonic) -> None:
        self._prefixes, self._minimum, self._step = _Prefixes(clock), minimum, step

    def bill(self, scope: str, blocks: Sequence[Block]) -> Bill:
        """Bill a request, and cache its beginnings."""
        hashes = _chain(scope, blocks)
        total = known = 0
        for block, prefix in zip(blocks, hashes, strict=True):
            total += block.tokens
            if known == total - block.tokens and self._prefixes.read(prefix):
                known = total
            self._prefixes.keep(prefix, SECONDS["5m"])
        read = known // self._step * self._step if known >= self._minimum else 0
        return Bill(total - read, read=read)

"""Count text tokens: exactly if a vocabulary is on this machine, else by a calibrated estimate that errs high. Never downloads.

The estimate has the tokens of `o200k_base` as a Bloom filter of 400 kB (written by `tools/make_token_filter.py`), splits text as that
encoding does, and repeatedly takes the longest token. That is within 2 % of the true count in most scripts; a margin makes it err high.
Older encodings need more tokens outside ASCII, so something is added per such character (docs/experiments/text-tokens.md).
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module, util
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Protocol
from zlib import adler32, crc32

__all__ = ["Estimate", "TokenCounter", "bloom_bits", "cached_vocabulary", "open_counter"]

DEFAULT_ENCODING = "o200k_base"
MARGIN = 1.06  # the greedy count is at most 8 % low on any 500 tokens measured; see docs/experiments/text-tokens.md
FILTER_BITS = 3_200_000  # 16 bits per token: about one false positive in a thousand lookups
FILTER_PROBES = 6
# Characters encoded at once: tiktoken's regular expression can overflow its stack on very long texts, and bpe-openai refuses more than
# 200,000 tokens. No character is more than four.
CHUNK = 50_000

# URL and hash of each vocabulary in tiktoken's own table of encodings (tiktoken_ext.openai_public). The URL only determines the name of the
# cache file; it is never opened.
_VOCABULARIES = {
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
}
_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"

_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0970-\u0eff\u1000-\u109f"  # signs that continue a word
_LOWER = rf"(?:[^\W\d_A-Z]|[{_MARKS}])"
_PIECE = re.compile(
    rf"(?:[^\w\r\n]|_)?(?:[A-Z]*{_LOWER}+|[A-Z]+)(?:'(?:[stmd]|re|ve|ll)\b)?"
    r"|\d{1,3}| ?(?:[^\s\w]|_)+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+|."
)
_SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST_TOKEN = 32  # bytes; longer tokens are runs of one character
LONGEST_WORD = 15  # bytes of a token that is a word of ASCII letters, or part of one
LONGEST_IDEOGRAPHS = 13  # four characters of three bytes and a space
IDEOGRAPH_LEAD = 0xE3  # the first byte of kana, Han and Hangul characters is this or more
LONGEST_FRAGMENT = 4  # bytes of a token that ends inside a character: a space and three bytes of an emoji
# Extra tokens per character of vocabularies older than o200k; measured on cl100k_base (docs/experiments.md).
_OLDER_EXTRA = (
    (re.compile("[\u00c0-\u024f\u1e00-\u1eff]"), 0.9),
    (re.compile("[\u0370-\u03ff\u0530-\u05ff\u1f00-\u1fff]"), 0.65),
    (re.compile("[\u0400-\u052f]"), 0.25),
    (re.compile("[\u0600-\u08ff]"), 0.5),
    (re.compile("[\u0900-\u0dff\u0f00-\u1dff]"), 1.1),
    (re.compile("[\u0e00-\u0eff]"), 0.5),
    (re.compile("[\u2e80-\uffff]"), 0.5),
    (re.compile("[\u2000-\u2e7f\U00010000-\U0010ffff]"), 0.5),
)
_OLDER_WORDS = 0.06  # for words without accents, in texts that have words with accents
CACHED_PIECE = 64  # characters; longer pieces rarely repeat


class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    @property
    def name(self) -> str:
        """Name of the counter, for `Usage.counted_with`: `tiktoken/o200k_base`, `bpe-openai/o200k_base`, `estimate`."""
        ...

    def count(self, text: str) -> int:
        """Count the tokens of `text`; 0 only for the empty string."""
        ...


def open_counter(encoding: str | None = None) -> TokenCounter:
    """Open an exact counter for a tiktoken encoding if its vocabulary is on this machine, else the estimate. Never downloads.

    Args:
        encoding: tiktoken's name of it; `o200k_base` if None. Without its vocabulary the estimate is used.

    tiktoken is used if the encoding's file is in its cache (`TIKTOKEN_CACHE_DIR`, `DATA_GYM_CACHE_DIR`, the temporary folder). Else
    `bpe-openai`, which has the vocabularies in its wheel; it is loaded at the first count.
    """
    name = encoding or DEFAULT_ENCODING
    if util.find_spec("tiktoken") and cached_vocabulary(name):
        return _Exact("tiktoken", name, load=True)  # load before the file can be removed: without it tiktoken downloads it
    if name in _VOCABULARIES and util.find_spec("bpe_openai"):
        return _Exact("bpe-openai", name)
    return Estimate(older=not name.startswith("o200k"))


def cached_vocabulary(encoding: str) -> Path | None:
    """Return tiktoken's cache file of an encoding, if it exists and is intact: tiktoken would download a damaged one again."""
    expected = _VOCABULARIES.get(encoding)
    named = [os.environ[name] for name in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR") if name in os.environ]
    folder = named[0] if named else os.path.join(tempfile.gettempdir(), "data-gym-cache")
    if not expected or not folder:
        return None
    file = Path(folder, hashlib.sha1(_ADDRESS.format(encoding).encode()).hexdigest())
    return file if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == expected else None


def _encodable(text: str) -> str:
    """Replace lone surrogates by U+FFFD, as tokenizers do."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


@lru_cache
def _counting(library: str, encoding: str) -> Callable[[str], int]:
    """Return a tokenizer's count of a text in which special tokens are text."""
    if library == "bpe-openai" and (bindings := _bindings()):
        count: Callable[[str], int] = bindings.tokenizer_for_encoding(encoding).count
        return count
    encode: Callable[[str], list[int]] = import_module(library.replace("-", "_")).get_encoding(encoding).encode_ordinary
    return lambda text: len(encode(text))


def _bindings() -> Any:
    """Return bpe-openai's compiled module alone; None if this release of it has none.

    It holds all that counting needs. Importing the package builds dictionaries of three vocabularies beside it, half a second and 70 MB.
    """
    name = "bpe_openai._bindings"
    package = util.find_spec("bpe_openai")
    found = PathFinder.find_spec(name, package.submodule_search_locations) if package else None
    if name not in sys.modules and found and found.loader:
        module = util.module_from_spec(found)
        found.loader.exec_module(module)
        sys.modules[name] = module  # it is to be initialised once, also if the package is imported later
    module_there = sys.modules.get(name)
    return module_there if hasattr(module_there, "tokenizer_for_encoding") else None


class _Exact:
    """A real tokenizer. Special tokens in content, such as `<|endoftext|>`, are text."""

    def __init__(self, library: str, encoding: str, *, load: bool = False) -> None:
        self.name = f"{library}/{encoding}"
        self._library, self._encoding = library, encoding
        if load:
            _counting(library, encoding)

    def count(self, text: str) -> int:
        """Count the tokens of `text`; long texts are counted in chunks, so a token at each edge may count as two."""
        text, count = _encodable(text), _counting(self._library, self._encoding)
        return sum(count(text[start : start + CHUNK]) for start in range(0, len(text), CHUNK))


class Estimate:
    """Longest-token counting with the Bloom filter, and a margin. `older` adds the extra tokens of vocabularies before o200k."""

    name = "estimate"

    def __init__(self, *, older: bool = False) -> None:
        self._older = older

    def count(self, text: str) -> int:
        """Estimate the tokens of `text`; errs high."""
        text = _encodable(text)
        tokens = sum(map(_cached_piece_tokens, _PIECE.findall(text)))
        if self._older and not text.isascii():
            tokens += math.ceil(sum(rate * len(script.findall(text)) for script, rate in _OLDER_EXTRA) + _OLDER_WORDS * tokens)
        return math.ceil(tokens * MARGIN - 1e-9)


def _cached_piece_tokens(piece: str) -> int:
    return 1 if len(piece) == 1 and piece < "\x80" else _remembered(piece) if len(piece) <= CACHED_PIECE else _piece_tokens(piece)


def _piece_tokens(piece: str) -> int:
    """Count the tokens of one piece by taking the longest token at each position."""
    data = piece.encode()
    reach = LONGEST_WORD if piece.isascii() and piece[-1].isalnum() else LONGEST_TOKEN
    count = position = 0
    while position < len(data):
        far = LONGEST_IDEOGRAPHS if max(data[position : position + 2]) >= IDEOGRAPH_LEAD else reach
        position = _token_end(data, position, min(len(data), position + far))
        count += 1
    return count


_remembered = lru_cache(maxsize=1 << 14)(_piece_tokens)


def _token_end(data: bytes, start: int, end: int) -> int:
    """Return the end of the longest token that begins at `start`; only short ones end inside a character."""
    table = _filter()
    while end > start + 1:
        if end == len(data) or end - start <= LONGEST_FRAGMENT or data[end] & 0xC0 != 0x80:
            token = data[start:end]
            bit = crc32(token) % FILTER_BITS  # the first bit rejects most
            if table[bit >> 3] >> (bit & 7) & 1 and _is_token(token):
                return end
        end -= 1
    return end


def bloom_bits(token: bytes) -> list[int]:
    """Return the bits of `token` in the filter."""
    first, step = crc32(token), adler32(token) * 0x9E3779B1 & 0xFFFFFFFF | 1
    return [(first + probe * step) % FILTER_BITS for probe in range(FILTER_PROBES)]


@lru_cache(maxsize=1 << 14)
def _is_token(data: bytes) -> bool:
    table = _filter()
    return all(table[bit >> 3] >> (bit & 7) & 1 for bit in bloom_bits(data))


@lru_cache(maxsize=1)
def _filter() -> bytes:
    return Path(__file__).with_name("o200k_base.filter").read_bytes()

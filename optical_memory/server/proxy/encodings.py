"""Content encodings of answers, decoded as they arrive."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module

__all__ = ["UNREADABLE", "decoder_of"]

Decode = Callable[[bytes], bytes]
UNREADABLE = (ValueError, OSError, zlib.error, RuntimeError)  # what a decoder raises for damaged data; brotli's own error is a RuntimeError


def decoder_of(encoding: str) -> Decode | None:
    """Return what decodes a body chunk by chunk; None for an encoding that is not known, or whose package is not installed."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return bytes
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(31).decompress
    if encoding == "deflate":
        return _deflate()
    try:
        if encoding == "br":
            decompress: Decode = import_module("brotli").Decompressor().process
            return decompress
        if encoding == "zstd":
            return _zstd()
    except ImportError:
        pass
    return None


def _deflate() -> Decode:
    """Some servers leave out zlib's header."""
    inner: list[Decode] = []

    def decode(chunk: bytes) -> bytes:
        if not inner:
            inner.append(zlib.decompressobj(15 if chunk[:1] == b"\x78" else -15).decompress)
        return inner[0](chunk)

    return decode


def _zstd() -> Decode:
    module = import_module("zstandard")
    decompress: Decode = module.ZstdDecompressor().decompressobj().decompress

    def decode(chunk: bytes) -> bytes:
        try:
            return decompress(chunk)
        except module.ZstdError as exc:
            raise ValueError(str(exc)) from exc

    return decode

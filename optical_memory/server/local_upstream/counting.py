"""Tokens of blocks: text by a tokenizer, pictures by the provider's formula on their real size."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

from ...profiles.pricing import Pricing
from ...profiles.profile import ReaderProfile
from ...profiles.registry import profile_for_model, text_only
from .prompt_cache import Block

__all__ = ["Counter", "plain"]

MARKER = "cache_control"


class Counter:
    """Counts for models; equal text is counted once.

    Args:
        picture_price: by how much pictures cost more than the published formula says.
    """

    def __init__(self, picture_price: float = 1.0) -> None:
        self._picture_price = picture_price
        self._pricing: dict[str, Pricing] = {}
        self._known: dict[tuple[str, str], int] = {}

    def block(self, model: str, value: Any, *, around: str = "") -> Block:
        """Return a block of a request, with its marker taken off.

        Args:
            around: what else belongs to it, such as the role of its message.
        """
        content = around + json.dumps(plain(value), sort_keys=True, ensure_ascii=False)
        return Block(content, self._tokens(model, value, content), _lifetime(value))

    def _tokens(self, model: str, value: Any, content: str) -> int:
        key = (model, content)
        if key not in self._known:
            pricing = self._priced(model)
            pictures, text = _split(value)
            sizes = [_size(data) for data in pictures]
            pictured = sum(pricing.profile.picture_tokens(*size) for size in sizes)
            self._known[key] = pricing.count(text) + round(pictured * self._picture_price)
        return self._known[key]

    def _priced(self, model: str) -> Pricing:
        profile: ReaderProfile = profile_for_model(model) or text_only()
        return self._pricing.setdefault(profile.name, Pricing(profile))


def plain(value: Any) -> Any:
    """Return a value without markers."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items() if name != MARKER}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def _lifetime(value: Any) -> str:
    marker = value.get(MARKER) if isinstance(value, Mapping) else None
    return str(marker.get("ttl", "5m")) if isinstance(marker, Mapping) else ""


def _split(value: Any) -> tuple[list[str], str]:
    """Return the pictures of a value as base64, and the rest as text."""
    pictures: list[str] = []

    def without(inner: Any) -> Any:
        if isinstance(inner, Mapping):
            if inner.get("type") == "base64" or "mimeType" in inner or "mime_type" in inner:
                pictures.append(str(inner.get("data", "")))
                return ""
            return {name: without(each) for name, each in inner.items() if name not in (MARKER, "signature", "thoughtSignature")}
        if isinstance(inner, list):
            return [without(each) for each in inner]
        if isinstance(inner, str) and inner.startswith("data:image/"):
            pictures.append(inner.partition(",")[2])
            return ""
        return inner

    return pictures, json.dumps(without(value), ensure_ascii=False)


def _size(data: str) -> tuple[int, int]:
    """Return width and height of a PNG; a square of 512 px for what is none. Raises `ValueError` for broken base64."""
    head = base64.b64decode(data[:64])
    width, height = struct.unpack(">II", head[16:24]) if head[:8] == b"\x89PNG\r\n\x1a\n" else (512, 512)
    return int(width), int(height)

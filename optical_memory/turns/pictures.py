"""Recognise pictures in the content blocks of every provider and framework."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..errors import UnsupportedContent
from ..text.excerpts import excerpt, shape
from .block_words import media_type_of
from .turn import ImageContent

__all__ = ["picture_of"]


def picture_of(block: Mapping[str, Any]) -> ImageContent | None:
    """Return the picture of a block; None if it is none, or only the id of a file.

    Raises `UnsupportedContent` for a data URL that is no picture, pydantic's `ValidationError` for data that is not base64.
    """
    kind = block.get("type")
    if kind in ("image_url", "input_image") or (kind == "image" and "image_url" in block):
        return _openai(block)
    if kind == "image" and isinstance(block.get("source"), Mapping):
        return _anthropic(block)
    if kind == "image" and ("media_type" in block or block.keys() <= {"type", "data", "url", "detail", "cache_control"}):
        return ImageContent.model_validate({key: value for key, value in block.items() if key != "type"})
    return _other(block)


def _openai(block: Mapping[str, Any]) -> ImageContent | None:
    inner = block.get("image_url")
    if inner is None and block.get("file_id"):
        return None
    fields = dict(inner) if isinstance(inner, Mapping) else {"url": inner}
    detail = fields.pop("detail", None) or block.get("detail") or ""
    rest = {key: value for key, value in block.items() if key not in ("type", "image_url", "detail")}
    return ImageContent.model_validate({**rest, **_source(fields.pop("url", None)), "detail": detail})


def _anthropic(block: Mapping[str, Any]) -> ImageContent | None:
    source = block["source"]
    if source.get("type") not in ("base64", "url"):
        return None
    rest = {key: value for key, value in block.items() if key not in ("type", "source")}
    if source["type"] == "url":
        return ImageContent.model_validate({**rest, **_source(source.get("url"))})
    return ImageContent.model_validate({**rest, "media_type": source.get("media_type", ""), "data": source.get("data", "")})


def _other(block: Mapping[str, Any]) -> ImageContent | None:
    """Read the shapes of LangChain, MCP, the AI SDK, Gemini and Bedrock; data that is no picture gives None."""
    kind = block.get("type")
    inner = next(
        (block[key] for key in ("inline_data", "inlineData", "file_data", "fileData") if isinstance(block.get(key), Mapping)), None
    )
    if inner is None and kind is None and isinstance(block.get("image"), Mapping):  # Bedrock
        source = block["image"].get("source")
        form = str(block["image"].get("format") or "png")
        inner = {"mime_type": f"image/{form}", "data": source.get("bytes")} if isinstance(source, Mapping) else None
    found: Mapping[str, Any] = block if inner is None else inner
    media = media_type_of(found) or ("image/png" if kind == "image" else "")
    if not media.startswith("image/"):
        return None
    given = next((found[key] for key in PLACES if isinstance(found.get(key), str | bytes) and found[key]), None)
    if given is None:
        return None
    kept = {key: block[key] for key in ("cache_control",) if key in block}
    if isinstance(given, bytes):
        return ImageContent.model_validate({**kept, "media_type": media, "data": base64.b64encode(given).decode()})
    try:
        if given.startswith("data:") or "://" in given[:32]:
            return ImageContent.model_validate({**kept, "media_type": media, **_source(given)})
        return ImageContent.model_validate({**kept, "media_type": media, "data": _standard(given)})
    except (UnsupportedContent, ValidationError):
        return None


PLACES = ("base64", "data", "image", "url", "file_uri", "fileUri")


def _standard(data: str) -> str:
    """Return base64 in the standard alphabet: Google's clients write the one for URLs."""
    if "-" not in data and "_" not in data:
        return data
    try:
        return base64.b64encode(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))).decode()
    except (binascii.Error, ValueError):
        return data


def _source(url: object) -> dict[str, str]:
    if not isinstance(url, str) or not url:
        raise UnsupportedContent(f"a picture needs a URL; got {shape(url)}")
    if not url.startswith("data:"):
        return {"url": url}
    head, comma, data = url[5:].partition(",")
    media_type, *flags = head.split(";")
    if not comma or "base64" not in flags or not media_type.startswith("image/"):
        raise UnsupportedContent(f"data URL {excerpt(url.partition(',')[0], 48)} is no base64 picture")
    return {"media_type": media_type, "data": data}

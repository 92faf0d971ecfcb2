"""Content in the shapes of several APIs and frameworks, as blocks: used where an export holds whatever was sent to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .messages import as_text, call, file_block, text_block, url_block

__all__ = ["block_of", "blocks_of"]

_TEXTS = ("text", "input_text", "output_text", "summary_text")
_MEDIA = ("file", "audio", "video", "media", "document", "input_file", "input_audio", "blob", "binary", "file_data", "uri")


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """Content of a message: text, a list of blocks, or one block."""
    if content in (None, "", []):
        return []
    if isinstance(content, list):
        return [block_of(block) for block in content if block not in (None, "")]
    return [block_of(content)]


def block_of(block: Any) -> dict[str, Any]:
    """One block, as a turn takes it: pictures by their bytes or URL, other media by their name, unknown blocks as they are."""
    if not isinstance(block, Mapping):
        return text_block(as_text(block))
    kind = as_text(block.get("type"))
    if kind in _TEXTS or (not kind and "text" in block):
        return text_block(as_text(block.get("text") or block.get("content")))
    if kind in ("image_url", "input_image"):
        given = block.get("image_url")
        url = given.get("url") if isinstance(given, Mapping) else given
        return url_block(url, "image") if url else file_block(as_text(block.get("file_id")), "image")
    if kind == "image-url":
        return url_block(block.get("url"), "image")
    if kind == "image" or (kind in _MEDIA and _media_type(block).startswith("image/")):
        return _image(block)
    if kind in _MEDIA:
        return _named(block)
    if kind == "tool_call":
        return call(as_text(block.get("id")), as_text(block.get("name")), block.get("args", block.get("arguments")))
    return dict(block)


def _media_type(block: Mapping[str, Any]) -> str:
    source = block.get("source")
    held = source if isinstance(source, Mapping) else block
    return next((as_text(held[key]) for key in ("mime_type", "media_type", "mediaType", "mimeType") if held.get(key)), "")


def _image(block: Mapping[str, Any]) -> dict[str, Any]:
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") in ("base64", "url"):
        return dict(block)
    data = next((block[key] for key in ("base64", "data", "content") if isinstance(block.get(key), str)), "")
    if isinstance(image := block.get("image"), str):  # Vercel
        data, url = ("", image) if image.startswith(("http:", "https:", "data:")) else (image, "")
        return url_block(url) if url else url_block(f"data:image/png;base64,{data}")
    if data.startswith(("http:", "https:", "data:")):
        return url_block(data, "image")
    if data:
        return url_block(f"data:{_media_type(block) or 'image/png'};base64,{data}")
    return url_block(block.get("url") or block.get("uri"), "image", as_text(block.get("file_id")))


def _named(block: Mapping[str, Any]) -> dict[str, Any]:
    inner = block.get("file")
    held = inner if isinstance(inner, Mapping) else block
    source = block.get("source")
    if isinstance(source, Mapping) and source.get("type") in ("text", "content"):  # a document of text: its words come along
        return dict(block)
    names = ("filename", "file_name", "name", "title", "file_id", "file_uri", "uri", "url")
    shown = next((as_text(held[key]) for key in names if held.get(key) and not as_text(held[key]).startswith("data:")), "")
    return file_block(shown or _media_type(block) or as_text(block.get("type")))

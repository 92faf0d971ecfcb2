"""The words of a provider's content block, and what in it is no words: files, sounds, encrypted data.

A block is plain JSON of any shape, also of one that no release knew. Its words are what a reader could read: texts, titles, addresses,
queries, names and arguments of tools. Ids and markers are left out.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Opaque", "beside_content", "call_words", "media_type_of", "opaque_in", "words_of"]

# Data that only its provider can read.
SEALED = {
    "signature", "thought_signature", "thoughtSignature", "encrypted_content", "encryptedContent", "encrypted_index", "encrypted_stdout",
    "encrypted_reasoning", "reasoningEncryptedContent", "redacted_content", "redactedContent", "redactedData",
}  # fmt: skip
# Markers and ids, which say nothing to a reader.
SILENT = {
    "type", "id", "uuid", "index", "cache_control", "cachePoint", "tool_use_id", "tool_call_id", "toolUseId", "toolCallId", "call_id",
    "approval_request_id", "sourceId", "role", "object", "logprobs", "start_index", "end_index", "start_char_index", "end_char_index",
    "startIndex", "endIndex", "document_index", "search_result_index", "providerMetadata", "callProviderMetadata", "providerOptions",
    "providerExecuted", "provider_name", "extras", "state", "status", "caller", "pending_safety_checks", "expires_at", "detail",
    "media_type", "mediaType", "mime_type", "mimeType", "contentType", "format", "source_type", "file_id", "fileId",
}  # fmt: skip
# Keys whose value speaks for itself; others are named before it.
PLAIN = {
    "text", "title", "content", "contents", "context", "data", "value", "url", "uri", "source", "href", "query", "queries", "transcript",
    "refusal", "thinking", "reasoning", "reasoning_content", "reasoningText", "summary", "description", "snippet", "answer", "document",
    "search_result", "output", "result", "results", "parts", "filename", "file_name", "quote", "cited_text", "image_url", "file_uri",
    "fileUri", "file_url", "input_audio", "audio", "file", "file_data", "fileData", "inline_data", "inlineData", "stdout", "stderr",
    "code", "search", "web", "citations", "annotations", "url_citation", "sources", "chunks", "container", "path", "message",
}  # fmt: skip
ARGUMENTS = ("input", "args", "arguments", "parameters", "action", "actions", "operation", "code")
CALL_NAMES = ("name", "tool_name", "toolName")
DATA = {"base64", "bytes", "b64_json"}  # always data, however short
MARKERS = {"step-start", "step-finish", "start-step", "finish-step", "cachePoint", "cache_point", "cache-point", "input_json_delta"}
MEDIA_KEYS = ("media_type", "mediaType", "mime_type", "mimeType", "contentType")
FILES = {
    "document", "file", "input_file", "media", "video", "video_url", "input_video", "audio", "audio_url", "input_audio", "image",
    "input_image", "image_url", "image_file", "file_data", "local_file",
}  # fmt: skip
WORDS = {
    "text",
    "title",
    "url",
    "query",
    "content",
    "transcript",
    "refusal",
    "thinking",
    "reasoning",
    "code",
}  # never data, however it looks
KINDS = {"audio": "audio", "input_audio": "audio", "video": "video", "input_video": "video"}  # media of blocks that state no type
LONG_DATA = 256  # characters of base64 without a name that are taken for data, not for words

_DATA_URL = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]+={0,2}\s*")


@dataclass(frozen=True, slots=True)
class Opaque:
    """Data without words.

    Attributes:
        media_type: such as `application/pdf`; empty for encrypted data and if unknown.
        data: base64 or another encoding; empty for a file that is only named, by its id or URL.
    """

    media_type: str
    data: str


def words_of(block: object) -> str:
    """Return the words of a block, line by line. A mapping without a `type` is a tool's own JSON, and is its words."""
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping) and not isinstance(block.get("type"), str) and not _is_wrapped(block):
        return json.dumps(_without_opaque(block), ensure_ascii=False)
    if not isinstance(block, Mapping):
        return json.dumps(block, ensure_ascii=False, default=str)
    kind = str(block.get("type") or next(iter(block), "content"))
    if kind in MARKERS:
        return ""
    said = list(dict.fromkeys(line for line in _lines(block, "") if line.strip()))
    if kind.startswith(("redacted", "encrypted")) or (not said and kind in ("thinking", "reasoning", "compaction", "compaction_summary")):
        return "\n".join(said)
    if not said or any(item.media_type or not item.data for item in opaque_in(block)):
        said.insert(0, f"[{(media_type_of(block) if kind == 'file' else '') or kind}]")
    return "\n".join(said)


def call_words(name: str, arguments: object) -> str:
    """Return a call of a tool as `name(arguments)`."""
    given = arguments if isinstance(arguments, str) else json.dumps(_without_opaque(arguments), ensure_ascii=False, default=str)
    return f"{name}({given})"


def opaque_in(block: object) -> list[Opaque]:
    """Return the data in a block that is no words, in order. A file that is only named counts too."""
    found = list(_opaque(block, "", ""))
    if not found and isinstance(block, Mapping) and _names_file(block):
        return [Opaque(media_type_of(block) or ("image/*" if _is_picture(block) else ""), "")]
    return [data for data in found if data is not None]


def _is_picture(block: Mapping[str, Any]) -> bool:
    """Whether a block names a picture, by a provider's file id or an address: `input_image`, Bedrock's `{"image": {...}}`."""
    return block.get("type") in ("image", "image_url", "image_file", "input_image") or isinstance(block.get("image"), Mapping)


def media_type_of(block: Mapping[str, Any]) -> str:
    """Return the media type that a block states, or an empty string."""
    stated = next((block[key] for key in MEDIA_KEYS if isinstance(block.get(key), str)), "")
    if stated:
        return stated
    kind = KINDS.get(str(block.get("type")), "")
    form = block["format"].lower() if isinstance(block.get("format"), str) else ""
    if form in ("wav", "mp3", "flac", "opus", "pcm16", "aac", "m4a", "ogg"):
        return f"audio/{form}"
    return form if "/" in form else f"{kind}/{form or '*'}" if kind else ""


def beside_content(extra: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what a message says in fields beside its content: its reasoning, and everything else. Each is a block."""
    reasoning: list[dict[str, Any]] = []
    for key in REASONING_FIELDS:
        value = extra.get(key)
        blocks = value if isinstance(value, list) else [value]
        reasoning += [block if isinstance(block, dict) else {"type": "reasoning", "text": block} for block in blocks if block]
    others: list[dict[str, Any]] = []
    for key in SPOKEN_FIELDS:
        if value := extra.get(key):
            others.append({"type": key, key: value})
    return reasoning, others


REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "thinking")
SPOKEN_FIELDS = ("refusal", "audio", "annotations", "citations", "search_results")


def _is_wrapped(block: Mapping[str, Any]) -> bool:
    """Whether a mapping without a type is a block all the same: its only key names its kind (Gemini, Bedrock)."""
    named = [key for key in block if key not in SEALED]
    return len(named) == 1 and named[0] in WRAPPED and isinstance(block[named[0]], Mapping)


WRAPPED = {
    "inline_data", "inlineData", "file_data", "fileData", "executable_code", "executableCode", "code_execution_result",
    "codeExecutionResult", "document", "image", "video", "audio", "guardContent", "citationsContent", "searchResult", "cachePoint",
    "reasoningContent", "input_audio",
}  # fmt: skip


def _lines(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, str):
        text = _text(value, key)
        if text is not None and text.strip():
            yield text if key in PLAIN or not key else f"{key}: {text}"
    elif isinstance(value, bool):
        if value and key == "is_error":
            yield "error"
    elif isinstance(value, int | float):
        yield f"{key}: {value}" if key else str(value)
    elif isinstance(value, Mapping):
        yield from _mapping_lines(value)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _lines(item, key)


def _mapping_lines(block: Mapping[str, Any]) -> Iterator[str]:
    name = next((block[key] for key in CALL_NAMES if isinstance(block.get(key), str)), "")
    given = next((key for key in ARGUMENTS if key in block), None)
    said: tuple[str | None, ...] = ()
    kind = str(block.get("type", ""))
    if given is not None and (name or kind.endswith("_call")):
        yield call_words(name or kind, block[given])
        said = (given, *(key for key in CALL_NAMES if block.get(key) == name))
    media = media_type_of(block)
    for key, value in block.items():
        if key in said or key in SILENT:
            continue
        if key == "data" and isinstance(value, str) and _is_media_data(block, media, value):
            if text := _decoded(value, media):
                yield text
            continue
        yield from _lines(value, key)


def _text(value: str, key: str) -> str | None:
    """Return the words of a string; None if it is data."""
    if key in SEALED or key in DATA:
        return None
    if match := _DATA_URL.match(value[:200]):
        return _decoded(value[match.end() :], match[1]) if "base64" in match[2].lower() else value[match.end() :]
    return None if key not in WORDS and _is_data(value) else value


def _is_data(value: str) -> bool:
    """Whether a long string without spaces is base64. Words in a script without spaces are no ASCII."""
    if len(value) < LONG_DATA or " " in value[:LONG_DATA]:
        return False
    return _BASE64.fullmatch(value) is not None


def _is_media_data(block: Mapping[str, Any], media: str, value: str) -> bool:
    if block.get("type") == "redacted_thinking":
        return True
    return bool(media) and block.get("type") != "text" and _BASE64.fullmatch(value) is not None


def _decoded(data: str, media: str) -> str:
    """Return the text of a text file in base64; empty for other files."""
    if not media.startswith("text/") and media not in ("application/json", "application/xml", "application/x-yaml"):
        return ""
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _opaque(value: Any, key: str, media: str) -> Iterator[Opaque | None]:
    """Yield the data in a value, None for each text file, which is words."""
    if isinstance(value, str):
        if _DATA_URL.match(value[:200]) and _text(value, key):
            yield None
        elif not value:
            return
        elif _text(value, key) is None or (_DATA_URL.match(value[:200]) and not _text(value, key)):
            match = _DATA_URL.match(value[:200])
            yield Opaque(match[1] if match else media if key not in SEALED else "", value[match.end() :] if match else value)
    elif isinstance(value, Mapping):
        stated = media_type_of(value) or media
        for name, item in value.items():
            if name == "data" and isinstance(item, str) and _is_media_data(value, stated, item):
                yield None if _decoded(item, stated) else Opaque(stated, item)
            else:
                yield from _opaque(item, str(name), stated)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _opaque(item, key, media)


def _names_file(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    kind = kind if isinstance(kind, str) else next(iter(block), "")
    if kind not in FILES and kind not in ("fileData", "container_upload"):
        return False
    source = block.get("source")
    return not (isinstance(source, Mapping) and source.get("type") in ("text", "content")) and not isinstance(block.get("text"), str)


def _without_opaque(value: Any) -> Any:
    """Return JSON with data replaced by `...`."""
    if isinstance(value, str):
        return "..." if _is_data(value) or (_DATA_URL.match(value[:200]) and "base64," in value[:200]) else value
    if isinstance(value, Mapping):
        return {str(key): "..." if key in SEALED else _without_opaque(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_opaque(item) for item in value]
    return value

"""ChatGPT's data export: `conversations.json`, or its parts `conversations-000.json`, in a zip archive or a folder with its files.

After exports of 2023 to 2026 as public parsers describe them (mitkury/chatgpt-export-parser, "ChatGPT Data Export Format"; convoviz; the
parts and the `.dat` files with `conversation_asset_file_names.json` are of 2026). OpenAI publishes no description.

A conversation is a tree. Read is the branch that the user saw, from `current_node` up, without hidden nodes. An assistant's message to a
recipient other than `all` is a call of that tool; the messages of the tool after it are the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import InvalidTurn
from ..base import PART_OF, Conversation, Document, Message
from ..messages import as_text, attached, call, file_block, is_mapping_with, mappings, message, moment, parsed, result, text_block

__all__ = ["companions", "conversations", "name", "recognise"]

name = "chatgpt"
companions = (
    "user.json",
    "user_settings.json",
    "message_feedback.json",
    "model_comparisons.json",
    "shared_conversations.json",
    "shopping.json",
    "sora.json",
    "tool_messages.json",
    "library_files.json",
    "export_manifest.json",
    "conversation_asset_file_names.json",
)
_TEXT_KEYS = ("text", "result", "content", "output_str", "summary")
_HIDDEN_KINDS = ("user_editable_context", "model_editable_context", "reasoning_recap")


def recognise(document: Document) -> bool:
    return bool(document.head) and is_mapping_with(document.head[0], "mapping") and isinstance(document.head[0]["mapping"], Mapping)


def conversations(document: Document) -> Iterator[Conversation]:
    for place, item in document.items():
        if not is_mapping_with(item, "mapping"):
            raise InvalidTurn(f"{document.name}, {place} is no conversation: it has no 'mapping'")
        yield Conversation(
            str(item.get("conversation_id") or item.get("id") or _root(item["mapping"]) or ""),
            list(_messages(item, document)),
            title=as_text(item.get("title")),
            created_at=moment(item.get("create_time")),
            place=place,
        )


def _root(mapping: Mapping[str, Any]) -> str:
    """The node without a parent: the same in every export of a conversation that has no id of its own."""
    return next((key for key, node in mapping.items() if not (node or {}).get("parent")), "")


def _branch(item: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Nodes with messages, oldest first, from the root to `current_node`; without one, to the last child of each."""
    mapping = item["mapping"] or {}
    at: Any = item.get("current_node")
    if at not in mapping:
        at = _last_leaf(mapping)
    found: list[tuple[str, Mapping[str, Any]]] = []
    passed: set[str] = set()
    while at in mapping and at not in passed:
        passed.add(at)
        node = mapping[at] or {}
        if isinstance(node.get("message"), dict):
            found.append((at, node["message"]))
        at = node.get("parent")
    return found[::-1]


def _last_leaf(mapping: Mapping[str, Any]) -> str:
    at, passed = _root(mapping), set[str]()
    while at not in passed:
        passed.add(at)
        children = [child for child in (mapping.get(at) or {}).get("children") or () if child in mapping]
        at = children[-1] if children else at
    return at


def _is_hidden(said: Mapping[str, Any]) -> bool:
    if (said.get("metadata") or {}).get("is_visually_hidden_from_conversation"):
        return True
    return (said.get("content") or {}).get("content_type") in _HIDDEN_KINDS


def _messages(item: Mapping[str, Any], document: Document) -> Iterator[Message]:
    last_tool, last_result = "", ""
    for node, said in _branch(item):
        author = said.get("author") or {}
        role = author.get("role")
        if _is_hidden(said) and role != "tool":
            continue
        fields: dict[str, Any] = {"id": str(said.get("id") or node), "created_at": moment(said.get("create_time"))}
        if model := (said.get("metadata") or {}).get("model_slug"):
            fields["metadata"] = {"import": {"model": model}}
        blocks = _blocks(said, document)
        tool = as_text(author.get("name"))
        if role == "tool":
            last_tool, last_result = tool, last_result if tool == last_tool and last_result else fields["id"]
            if blocks:
                yield _result(said, tool, blocks, fields) | {PART_OF: last_result}
            continue
        last_tool = last_result = ""
        if tool:
            fields["name"] = tool
        yield from _said(said, as_text(role), blocks, fields)


def _said(said: Mapping[str, Any], role: str, blocks: list[Any], fields: dict[str, Any]) -> Iterator[Message]:
    recipient = as_text(said.get("recipient")) or "all"
    if role == "assistant" and recipient not in ("all", "assistant"):
        text = "\n\n".join(as_text(block.get("text")) for block in blocks)
        arguments = parsed(text)
        yield message(role, [call(None, recipient, arguments if isinstance(arguments, Mapping) else text)], **fields)
    elif thoughts := _thoughts(said):
        yield message("assistant", "", reasoning_content=thoughts, **fields)
    elif blocks:
        yield message(role, blocks, **fields)


def _result(said: Mapping[str, Any], tool: str, blocks: Sequence[Any], fields: dict[str, Any]) -> Message:
    failed = (said.get("content") or {}).get("content_type") == "system_error"
    return result(None, tool, list(blocks), failed=failed, **fields)


def _thoughts(said: Mapping[str, Any]) -> str:
    content = said.get("content") or {}
    if content.get("content_type") != "thoughts":
        return ""
    pieces = (as_text(thought.get("content")) or as_text(thought.get("summary")) for thought in mappings(content.get("thoughts")))
    return "\n\n".join(filter(None, pieces))


def _blocks(said: Mapping[str, Any], document: Document) -> list[Any]:
    content = said.get("content")
    if not isinstance(content, dict):
        return [text_block(as_text(content))] if content else []
    kind = content.get("content_type")
    if kind == "thoughts":
        return []
    blocks: list[Any] = []
    drawn: set[str] = set()
    for part in content.get("parts") or ():
        if isinstance(part, str):
            blocks += [text_block(part)] if part else []
        else:
            blocks += _part(part, document, drawn)
    if not blocks:
        blocks = [text_block(text)] if (text := _text(content, as_text(kind))) else []
    if isinstance(screenshot := content.get("screenshot"), Mapping):
        blocks += _part(screenshot, document, drawn)
    return blocks + _attachments(said, document, drawn)


def _text(content: Mapping[str, Any], kind: str) -> str:
    if kind in ("tether_quote", "sonic_webpage"):
        return "\n".join(as_text(content[key]) for key in ("title", "url", "text") if content.get(key))
    found = next((as_text(content[key]) for key in _TEXT_KEYS if content.get(key)), "")
    if kind == "system_error":
        return ": ".join(filter(None, (as_text(content.get("name")), found)))
    known = {"content_type", "language", "response_format_name", "parts"}
    rest = {key: value for key, value in content.items() if key not in known and value}
    return found or (as_text(rest) if rest else "")


def _part(part: Any, document: Document, drawn: set[str]) -> list[Any]:
    if not isinstance(part, dict):
        return [text_block(as_text(part))] if part is not None else []
    kind = as_text(part.get("content_type"))
    if kind == "audio_transcription":
        return [text_block(as_text(part.get("text")))]
    if pointer := part.get("asset_pointer"):
        return [_asset(as_text(pointer), kind, part, document, drawn)]
    if kind == "real_time_user_audio_video_asset_pointer":
        inner = [part.get("audio_asset_pointer"), *(part.get("frames_asset_pointers") or ())]
        return [
            block for one in inner if one for block in _part(one if isinstance(one, Mapping) else {"asset_pointer": one}, document, drawn)
        ]
    return [text_block(as_text(part.get("text")) or as_text(part))]


def _asset(pointer: str, kind: str, part: Mapping[str, Any], document: Document, drawn: set[str]) -> Any:
    """A file by its pointer: `file-service://file-ABC` or `sediment://file_0123`; the names of files begin with the id."""
    own = pointer.rpartition("//")[2].partition("#")[0].partition("?")[0]
    drawn.add(own)
    if "audio" in kind or "video" in kind:
        return file_block(own, kind.partition("_")[0])
    prompt = ((part.get("metadata") or {}).get("dalle") or {}).get("prompt")
    return attached(document, own, f"{own}: {prompt}" if prompt else own)


def _attachments(said: Mapping[str, Any], document: Document, drawn: set[str]) -> list[Any]:
    found: list[Any] = []
    for item in mappings((said.get("metadata") or {}).get("attachments")):
        own = as_text(item.get("id"))
        if own in drawn:
            continue
        media = as_text(item.get("mimeType") or item.get("mime_type"))
        shown = as_text(item.get("name")) or own
        found.append(attached(document, own, shown) if media.startswith("image/") else file_block(shown))
    return found

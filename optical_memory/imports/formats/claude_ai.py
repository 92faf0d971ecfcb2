"""Claude.ai's data export: `conversations.json`, a list of conversations with `chat_messages`.

After exports of 2024 to 2026 as public parsers describe them (Sinity/polylogue, "Claude.ai Export Notes";
socketteer/Claude-Conversation-Exporter for branches). Anthropic publishes no description. Files that a user attached are named; text that
was taken from them is in the export and comes along.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidTurn
from ...text.excerpts import excerpt
from ..base import Conversation, Document, Message
from ..messages import as_text, attached, call, is_mapping_with, mappings, message, moment, result, text_block, url_block

__all__ = ["companions", "conversations", "name", "recognise"]

name = "claude-ai"
companions = ("users.json", "projects.json", "memories.json", "manifest.json")
_ROLES = {"human": "user", "user": "user", "assistant": "assistant", "system": "system"}
_NO_PARENT = "00000000-0000-4000-8000-000000000000"


def recognise(document: Document) -> bool:
    return bool(document.head) and is_mapping_with(document.head[0], "chat_messages")


def conversations(document: Document) -> Iterator[Conversation]:
    for place, item in document.items():
        if not is_mapping_with(item, "chat_messages"):
            raise InvalidTurn(f"{document.name}, {place} is no conversation: it has no 'chat_messages'")
        title = as_text(item.get("name"))
        yield Conversation(
            as_text(item.get("uuid")),
            [done for said in _branch(item) for done in _messages(said, document, f"{document.name}, {place}")],
            title=title,
            created_at=moment(item.get("created_at")),
            place=place,
        )


def _branch(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The messages from the first to the current one, where messages name their parents and some have several children; else all."""
    said = [one for one in mappings(item["chat_messages"])]
    by_id = {one.get("uuid"): one for one in said}
    parents = [one.get("parent_message_uuid") for one in said if one.get("parent_message_uuid") in by_id]
    leaf = item.get("current_leaf_message_uuid") or (said[-1].get("uuid") if said else None)
    if len(parents) == len(set(parents)) or leaf not in by_id:
        return said
    found: list[Mapping[str, Any]] = []
    passed: set[Any] = set()
    while leaf in by_id and leaf not in passed:
        passed.add(leaf)
        found.append(by_id[leaf])
        leaf = by_id[leaf].get("parent_message_uuid")
    return found[::-1]


def _messages(said: Mapping[str, Any], document: Document, where: str) -> Iterator[Message]:
    """One message becomes several where results of tools stand between its blocks."""
    sender = said.get("sender")
    if sender not in _ROLES:
        raise InvalidTurn(f"{where}: unknown sender {excerpt(sender)}; known: {', '.join(_ROLES)}")
    role, own = _ROLES[sender], as_text(said.get("uuid"))
    when = moment(said.get("created_at"))
    pending: list[Any] = []
    thoughts: list[str] = []
    pieces = 0

    def flush() -> Iterator[Message]:
        nonlocal pieces
        if pending or thoughts:
            pieces += 1
            fields = {"id": _piece(own, pieces), "created_at": when, "reasoning_content": "\n\n".join(thoughts)}
            yield message(role, list(pending), **fields)
            pending.clear()
            thoughts.clear()

    blocks = mappings(said.get("content"))
    for block in blocks:
        if block.get("type") == "tool_result":
            yield from flush()
            pieces += 1
            fields = {"id": _piece(own, pieces), "created_at": moment(block.get("stop_timestamp")) or when}
            failed = bool(block.get("is_error"))
            yield result(block.get("tool_use_id"), block.get("name"), _result_content(block), failed=failed, **fields)
        elif block.get("type") == "thinking":
            if pending:
                yield from flush()  # what is thought after a text or call stands after it
            thoughts.append(as_text(block.get("thinking")))
        elif block.get("type") != "token_budget":
            pending.append(_block(block))
    if not any(block.get("type") == "text" and block.get("text") for block in blocks) and not pieces and not pending:
        pending += [text_block(as_text(said["text"]))] if said.get("text") else []
    pending += _files(said, document)
    yield from flush()


def _piece(own: str, number: int) -> str:
    return own if number == 1 else f"{own}/{number}"


def _block(block: Mapping[str, Any]) -> Any:
    kind = block.get("type")
    if kind == "text":
        return text_block(as_text(block.get("text")))
    if kind == "tool_use":
        return call(block.get("id"), block.get("name"), block.get("input"))
    if kind == "voice_note":
        return text_block(as_text(block.get("text")) or as_text(block.get("title")))
    return dict(block)


def _result_content(block: Mapping[str, Any]) -> Any:
    content = block.get("content")
    if isinstance(content, list):
        found = [_result_block(item) for item in content]
        return "\n\n".join(item["text"] for item in found) if all(item.get("type") == "text" for item in found) else found
    return as_text(content)


def _result_block(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return text_block(as_text(item))
    if item.get("type") == "text":
        return text_block(as_text(item.get("text")))
    if item.get("type") == "knowledge":
        return text_block("\n".join(as_text(item[key]) for key in ("title", "url", "text") if item.get(key)))
    source = item.get("source")
    if item.get("type") == "image" and isinstance(source, Mapping) and source.get("data"):
        return url_block(f"data:{source.get('media_type')};base64,{source['data']}")
    return text_block(as_text(item))


def _files(said: Mapping[str, Any], document: Document) -> list[Any]:
    found: list[Any] = []
    for item in mappings(said.get("attachments")):
        shown = as_text(item.get("file_name")) or "attachment"
        text = as_text(item.get("extracted_content"))
        found.append(text_block(f"[file: {shown}]" + (f"\n{text}" if text else "")))
    for item in mappings(said.get("files")):
        shown = as_text(item.get("file_name")) or as_text(item.get("file_uuid")) or "file"
        own = as_text(item.get("file_uuid"))
        kept = own if own and document.attachment(own) else shown
        found.append(attached(document, kept, shown, "file"))
    return found

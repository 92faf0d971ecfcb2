"""Codex's rollouts: `~/.codex/sessions/YYYY/MM/DD/rollout-TIME-ID.jsonl`.

After openai/codex, `codex-rs/protocol/src/models.rs` and `protocol.rs` (0.46 to 0.80), and the rollouts of 2025 without an envelope.

Each text stands twice: as an event for the screen (`event_msg`) and as an item of the API (`response_item`). Items are read; events only
where a file has no items. What the program tells the model (`<environment_context>`, instructions) is kept, and marked `injected`.
A file only grows: turns that the user took back stand there still, and after them `thread_rolled_back` with their number. They are left
out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..base import Conversation, Document, Message
from ..messages import as_text, is_mapping_with, message, moment, url_block
from .openai_responses import ITEMS, as_one_message, messages_of_item

__all__ = ["companions", "conversations", "name", "recognise"]

name = "codex"
companions = ("history.jsonl", "session_index.jsonl", "auth.json", "version.json")
_ROWS = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")
_INJECTED = ("<environment_context>", "<user_instructions>", "<permissions instructions>", "# AGENTS.md instructions")


def recognise(document: Document) -> bool:
    rows = [row for row in document.head if isinstance(row, Mapping)]
    enveloped = any(row.get("type") in _ROWS and isinstance(row.get("payload"), Mapping) for row in rows)
    bare = bool(rows) and is_mapping_with(rows[0], "id", "timestamp", "instructions") and "role" not in rows[0]
    return document.shape != "array" and (enveloped or bare)


def conversations(document: Document) -> Iterator[Conversation]:
    own, began = "", None
    items: list[Message] = []
    events: list[Message] = []
    for place, row in document.items():
        if not isinstance(row, Mapping):
            continue
        payload = row["payload"] if isinstance(row.get("payload"), Mapping) else row
        fields = {"created_at": moment(row.get("timestamp"))}
        if row.get("type") == "session_meta" or (not own and is_mapping_with(row, "id", "timestamp", "instructions")):
            own, began = own or as_text(payload.get("id")), began or moment(payload.get("timestamp"))
        elif row.get("type") == "event_msg" and payload.get("type") == "thread_rolled_back":
            items, events = (_rolled_back(said, payload.get("num_turns")) for said in (items, events))
        elif row.get("type") == "event_msg":
            events += _event(payload, place, fields)
        elif row.get("type") == "compacted":
            items += _compacted(payload, place, fields)
        elif row.get("type") == "response_item" or payload.get("type") in ITEMS:
            items += [_marked(one) for one in messages_of_item(payload, place, place, fields)]
    said = items if any(one["role"] in ("user", "assistant") for one in items) else events
    yield Conversation(own, as_one_message(said), created_at=began)


def _event(event: Mapping[str, Any], place: str, fields: dict[str, Any]) -> Iterator[Message]:
    role = {"user_message": "user", "agent_message": "assistant"}.get(as_text(event.get("type")))
    if role:
        pictures = [url_block(url) for url in event.get("images") or ()]
        yield message(role, [as_text(event.get("message")), *pictures], id=place, **fields)


def _rolled_back(said: list[Message], turns: object) -> list[Message]:
    """What is left without the last `turns` messages of the user and what came after them."""
    if not isinstance(turns, int) or turns < 1:
        return said
    starts = [place for place, one in enumerate(said) if one["role"] == "user" and "metadata" not in one]
    return said[: starts[-min(turns, len(starts))]] if starts else said


def _compacted(payload: Mapping[str, Any], place: str, fields: dict[str, Any]) -> Iterator[Message]:
    if text := as_text(payload.get("message")):
        yield message("user", text, id=place, metadata={"import": {"compaction": True}}, **fields)


def _marked(one: Message) -> Message:
    text = one["content"]
    if one["role"] == "user" and isinstance(text, str) and text.lstrip().startswith(_INJECTED):
        return one | {"metadata": {"import": {"injected": True}}}
    return one

"""Claude Code's transcripts: `~/.claude/projects/PROJECT/SESSION.jsonl`, and `agent-ID.jsonl` of its subagents.

After transcripts of versions 1.0 to 2.1 as public descriptions have them (ticpu/claude-conversation-search-mcp, "Claude Code JSONL Format
Specification"; simonw/claude-code-transcripts; langfuse/claude-observability-plugin on split messages). Anthropic publishes no description.

One message of the model stands on several rows, with results of tools in between; the rows with one `message.id` become one message. Rows
of subagents (`isSidechain`) are conversations of their own. A summary that a compaction wrote is marked in `metadata["import"]`. Rows of a
branch that a rewind left are kept. Rows that only the program sees (`isMeta`, progress, snapshots) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..base import PART_OF, Conversation, Document, Message
from ..messages import as_text, is_mapping_with, mappings, moment

__all__ = ["companions", "conversations", "name", "recognise"]

name = "claude-code"
companions = ("sessions-index.json", "*.meta.json", "history.jsonl", "settings*.json", "journal.jsonl")
_KINDS = ("user", "assistant", "system", "summary", "file-history-snapshot", "queue-operation", "attachment", "progress")

Row = Mapping[str, Any]


def recognise(document: Document) -> bool:
    rows = [row for row in document.head if isinstance(row, Mapping)]
    return document.shape != "array" and any(_is_row(row) for row in rows)


def _is_row(row: Row) -> bool:
    spoken = row.get("type") in ("user", "assistant") and is_mapping_with(row.get("message"), "role")
    return (spoken and ("uuid" in row or "sessionId" in row)) or is_mapping_with(row, "leafUuid", "summary")


def conversations(document: Document) -> Iterator[Conversation]:
    rows = list(_rows(document))
    uuids = {row.get("uuid") for row in rows}
    session = next((as_text(row["sessionId"]) for row in rows if row.get("sessionId")), "")
    threads: dict[str, list[Row]] = {"": []}
    roots: dict[str, str] = {}
    for row in rows:
        threads.setdefault(_thread(row, roots), []).append(row)
    for thread, said in threads.items():
        messages = list(_messages(said))
        if messages:
            own = f"{session}/{thread}" if thread else session
            title = f"subagent {thread}" if thread else _title(rows, uuids)
            yield Conversation(own, messages, title=title, parent=session if thread else "")


def _rows(document: Document) -> Iterator[Row]:
    """Rows that are objects, each once: a resumed session may repeat them."""
    seen: set[str] = set()
    for _, row in document.items():
        if isinstance(row, Mapping):
            uuid = as_text(row.get("uuid"))
            if not uuid or uuid not in seen:
                seen.add(uuid)
                yield row


def _thread(row: Row, roots: dict[str, str]) -> str:
    """What a row's subagent is known by: its id, or the first row of its chain. Empty in the main conversation."""
    if not row.get("isSidechain"):
        return ""
    uuid, parent = as_text(row.get("uuid")), as_text(row.get("parentUuid"))
    roots[uuid] = as_text(row.get("agentId")) or roots.get(parent) or uuid
    return roots[uuid]


def _title(rows: list[Row], uuids: set[Any]) -> str:
    """The last title given; summaries of other sessions stand in the file too, and are not taken."""
    title = ""
    for row in rows:
        if row.get("type") in ("custom-title", "ai-title"):
            title = as_text(row.get("customTitle") or row.get("aiTitle")) or title
        elif row.get("type") == "summary" and row.get("leafUuid") in uuids:
            title = as_text(row.get("summary")) or title
    return title


def _messages(rows: list[Row]) -> Iterator[Message]:
    for row in rows:
        fields: Message = {"id": row.get("uuid"), "created_at": moment(row.get("timestamp"))}
        said = row.get("message")
        if row.get("type") == "attachment" and is_mapping_with(row.get("attachment"), "prompt"):
            yield _given({"role": "user", "content": row["attachment"]["prompt"], **fields})  # said while the model was at work
        elif row.get("type") in ("user", "assistant") and is_mapping_with(said, "role", "content") and not _is_inner(row):
            assert isinstance(said, Mapping)
            note = {"model": said.get("model"), "compaction": row.get("isCompactSummary"), "api_error": row.get("isApiErrorMessage")}
            whole = said.get("id") if said["role"] == "assistant" else None
            kept = {"import": {key: value for key, value in note.items() if value}}
            yield _given({"role": said["role"], "content": said["content"], "metadata": kept, PART_OF: whole, **fields})


def _is_inner(row: Row) -> bool:
    """Whether only the program sees this row: it is marked, and brings no result of a tool."""
    blocks = mappings(row["message"].get("content"))
    return bool(row.get("isMeta")) and not any(block.get("type") == "tool_result" for block in blocks)


def _given(fields: Message) -> Message:
    return {key: value for key, value in fields.items() if value is not None}

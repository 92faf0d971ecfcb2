"""Vercel's AI SDK: UI messages with `parts` (5 and 6), and those of 4 with `content`, `toolInvocations` and attachments.

After vercel/ai, `packages/ai/src/ui/ui-messages.ts` (6), and `UIMessage` of 4.3. A list of messages, an object that holds one (`id`,
`messages`), or lines of either. Steps of an answer become messages with their calls, each followed by its results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidTurn
from ...text.excerpts import shape
from ..base import Conversation, Document, Message
from ..messages import as_text, call, file_block, mappings, message, moment, result, text_block, url_block

__all__ = ["conversations", "messages_of", "name", "recognise"]

name = "vercel"
_V4 = ("toolInvocations", "experimental_attachments")


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    if not isinstance(first, Mapping):
        return False
    said = mappings(first.get("messages")) if "messages" in first else [one for one in document.head if isinstance(one, Mapping)]
    return any(_is_message(one) for one in said)


def _is_message(value: Mapping[str, Any]) -> bool:
    parts = mappings(value.get("parts"))
    typed = bool(parts) and all("type" in part for part in parts) and not any("content" in part and "text" not in part for part in parts)
    return "role" in value and (typed or any(key in value for key in _V4))


def conversations(document: Document) -> Iterator[Conversation]:
    said: list[Message] = []
    for place, item in document.items():
        if not isinstance(item, Mapping):
            raise InvalidTurn(f"{document.name}, {place} is {shape(item)}, not a message")
        if "messages" in item:
            inner = [one for value in mappings(item["messages"]) for one in messages_of(value)]
            own = as_text(item.get("id") or item.get("chatId"))
            yield Conversation(
                own, inner, as_text(item.get("title")), moment(item.get("createdAt")), place if document.shape != "object" else ""
            )
        else:
            said += messages_of(item)
    if said:
        yield Conversation("", said)


def messages_of(value: Mapping[str, Any]) -> list[Message]:
    """The messages that a UI message is: its steps, and after each the results of its calls."""
    metadata = value["metadata"] if isinstance(value.get("metadata"), Mapping) else {}
    when = moment(value.get("createdAt") or metadata.get("createdAt") or metadata.get("timestamp") or value.get("created_at"))
    return list(_Steps(as_text(value.get("role")) or "user", as_text(value.get("id")), when).of(value))


class _Steps:
    """Collects the blocks of one step, until the next begins."""

    def __init__(self, role: str, id: str, when: Any) -> None:
        self._role, self._id, self._when = role, id, when
        self._blocks: list[dict[str, Any]] = []
        self._thoughts: list[str] = []
        self._results: list[Message] = []
        self._count = 0

    def of(self, value: Mapping[str, Any]) -> Iterator[Message]:
        parts = mappings(value.get("parts"))
        for part in parts:
            kind = as_text(part.get("type"))
            if kind == "step-start" or (self._results and kind in ("text", "reasoning")):
                yield from self._step()
            self._take(part, kind)
        if not parts and value.get("content"):
            held = value["content"]
            self._blocks += [text_block(held)] if isinstance(held, str) else [dict(block) for block in mappings(held)]
        if not any(part.get("type") == "tool-invocation" for part in parts):
            for made in mappings(value.get("toolInvocations")):
                self._tool(made, as_text(made.get("toolName")))
        for file in mappings(value.get("experimental_attachments")):
            self._blocks.append(url_block(file.get("url"), as_text(file.get("contentType")), as_text(file.get("name"))))
        yield from self._step()

    def _step(self) -> Iterator[Message]:
        if self._blocks or self._thoughts:
            yield message(self._role, self._blocks, reasoning_content="\n\n".join(self._thoughts), **self._fields())
        yield from self._results
        self._blocks, self._thoughts, self._results = [], [], []

    def _fields(self) -> dict[str, Any]:
        self._count += 1
        return {"id": self._named(str(self._count) if self._count > 1 else ""), "created_at": self._when}

    def _named(self, rest: str) -> str:
        return f"{self._id}/{rest}" if self._id and rest else self._id

    def _take(self, part: Mapping[str, Any], kind: str) -> None:
        if kind == "text":
            self._blocks += [text_block(as_text(part["text"]))] if part.get("text") else []
        elif kind == "reasoning":
            self._thoughts += [as_text(part.get("text") or part.get("reasoning"))]
        elif kind == "tool-invocation" and isinstance(part.get("toolInvocation"), Mapping):
            self._tool(part["toolInvocation"], as_text(part["toolInvocation"].get("toolName")))
        elif kind == "dynamic-tool" or (kind.startswith("tool-") and "toolCallId" in part):
            self._tool(part, as_text(part.get("toolName")) or kind.removeprefix("tool-"))
        elif kind == "file":
            media = as_text(part.get("mediaType") or part.get("mimeType"))
            url = part.get("url") or f"data:{media};base64,{part.get('data')}"
            self._blocks.append(url_block(url, media, as_text(part.get("filename"))))
        elif kind in ("source", "source-url", "source-document"):
            self._blocks.append(_source(part["source"] if isinstance(part.get("source"), Mapping) else part))
        elif kind.startswith("data-"):
            self._blocks.append(text_block(f"[{kind}] {as_text(part.get('data'))}"))
        elif kind != "step-start":
            self._blocks.append(text_block(as_text(dict(part))))

    def _tool(self, made: Mapping[str, Any], named: str) -> None:
        id, state = as_text(made.get("toolCallId")), made.get("state")
        arguments = next((made[key] for key in ("input", "args", "rawInput") if made.get(key) is not None), None)
        self._blocks.append(call(id, named, arguments))
        output = made.get("output", made.get("result"))
        failed = state in ("output-error", "output-denied")
        if failed:
            reason = made["approval"].get("reason") if isinstance(made.get("approval"), Mapping) else None
            output = made.get("errorText") or as_text(reason) or "denied"
        if failed or state in ("output-available", "result") or output is not None:
            said = result(id, named, output, failed=failed, id=self._named(f"result/{id}"), created_at=self._when)
            self._results.append(said)


def _source(part: Mapping[str, Any]) -> dict[str, Any]:
    shown = " ".join(as_text(part[key]) for key in ("title", "filename", "url") if part.get(key))
    return file_block(shown, "source")

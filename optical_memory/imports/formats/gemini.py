"""Gemini: the CLI's recorded sessions and checkpoints, `contents` of requests, and AI Studio's saved prompts.

After google-gemini/gemini-cli, `packages/core/src/services/chatRecordingTypes.ts` of 2026, and `Content` of google-genai 3.6. A session is
one object, or lines: a line repeats a message that changed; `$rewindTo` drops that message and all after it; `$set` changes the head.
Messages of the program itself (info, error, warning) are left out. What a compression took out of the model's sight is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..base import PART_OF, Conversation, Document, Message
from ..messages import as_text, call, file_block, is_mapping_with, mappings, message, moment, result, text_block, url_block

__all__ = ["companions", "conversations", "name", "recognise"]

name = "gemini"
companions = ("logs.json", "projects.json", "settings.json")
_ROLES = {"user": "user", "model": "assistant", "function": "user", "tool": "user", "system": "system"}


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    return isinstance(first, Mapping) and (_is_record(first) or _is_content(first) or _held(first) is not None)


def _is_record(value: Mapping[str, Any]) -> bool:
    return "sessionId" in value and ("projectHash" in value or "startTime" in value) and "type" not in value


def _is_content(value: object) -> bool:
    parts = value.get("parts") if isinstance(value, Mapping) else None
    return (
        isinstance(parts, list)
        and isinstance(value, Mapping)
        and value.get("role") in (*_ROLES, None)
        and not any("type" in part or "part_kind" in part for part in mappings(parts))
    )


def _held(value: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """The contents in a request, a checkpoint, or a saved prompt."""
    for key in ("contents", "history"):
        found = mappings(value.get(key))
        if found and all(_is_content(one) for one in found):
            return found
    prompt = value.get("chunkedPrompt")
    if isinstance(prompt, Mapping) and "chunks" in prompt:
        return [_chunk(chunk) for chunk in mappings(prompt["chunks"])]
    return None


def _chunk(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    named = next((key for key in chunk if key.startswith("drive")), "")
    part: dict[str, Any] = {"text": chunk.get("text"), "thought": chunk.get("isThought")}
    if isinstance(chunk.get("inlineFile"), Mapping):
        part = {"inlineData": chunk["inlineFile"]}
    elif named:
        part = {"text": f"[file: {as_text((chunk[named] or {}).get('id'))}]"}
    return {"role": chunk.get("role"), "parts": [part], "createTime": chunk.get("createTime")}


def conversations(document: Document) -> Iterator[Conversation]:
    first = document.head[0]
    if _is_record(first) and document.shape == "lines":
        yield _record(_replayed(row for _, row in document.items() if isinstance(row, Mapping)))
    elif _is_content(first):
        yield Conversation("", [one for _, row in document.items() for one in _contents([row])])
    else:
        for place, value in document.items():
            if _is_record(value):
                yield _record(value)
                continue
            system = value.get("systemInstruction") or value.get("system_instruction")
            said = [{"role": "system", **system}] if is_mapping_with(system, "parts") else []
            yield Conversation("", list(_contents([*said, *(_held(value) or ())])), place=place if document.shape != "object" else "")


def _replayed(rows: Iterator[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The session that its lines describe."""
    head: dict[str, Any] = {}
    said: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if "$rewindTo" in row:
            ids = list(said)
            at = ids.index(row["$rewindTo"]) if row["$rewindTo"] in said else 0
            for id in ids[at:]:
                del said[id]
        elif "id" in row and "type" in row:
            said[as_text(row["id"])] = row
        else:
            change = row["$set"] if isinstance(row.get("$set"), Mapping) else row
            said |= {as_text(one.get("id")): one for one in mappings(change.get("messages"))}
            head |= {key: value for key, value in change.items() if key != "messages"}
    return head | {"messages": list(said.values())}


def _record(record: Mapping[str, Any]) -> Conversation:
    said = [one for item in mappings(record.get("messages")) for one in _recorded(item)]
    began = moment(record.get("startTime"))
    return Conversation(as_text(record["sessionId"]), said, title=as_text(record.get("summary")), created_at=began)


def _recorded(item: Mapping[str, Any]) -> Iterator[Message]:
    own, when = as_text(item.get("id")), moment(item.get("timestamp"))
    blocks = _blocks(item.get("content"))
    if item.get("type") == "user":
        yield message("user", blocks, id=own, created_at=when)
    elif item.get("type") == "gemini":
        thoughts = (
            ": ".join(filter(None, map(as_text, (one.get("subject"), one.get("description"))))) for one in mappings(item.get("thoughts"))
        )
        note = {"import": {"model": item["model"]}} if item.get("model") else None
        fields = {"created_at": when, "metadata": note, PART_OF: own}
        if blocks or item.get("thoughts"):
            yield message("assistant", blocks, id=own, reasoning_content="\n".join(thoughts), **fields)
        calls = mappings(item.get("toolCalls"))
        for made in calls:
            yield message("assistant", [call(made.get("id"), made.get("name"), made.get("args"))], id=f"{own}/{made.get('id')}", **fields)
        for made in calls:
            if made.get("result") is not None or made.get("resultDisplay"):
                yield _outcome(made, own)


def _outcome(made: Mapping[str, Any], own: str) -> Message:
    given = made.get("result")
    parts = given if isinstance(given, list) else [given]
    said = [block for part in parts for block in _answer(part)] or [text_block(as_text(made.get("resultDisplay")))]
    failed = made.get("status") in ("error", "cancelled")
    fields = {"id": f"{own}/{made.get('id')}/result", "created_at": moment(made.get("timestamp"))}
    return result(as_text(made.get("id")), as_text(made.get("name")), said, failed=failed, **fields)


def _answer(part: Any) -> list[dict[str, Any]]:
    response = part.get("functionResponse") if isinstance(part, Mapping) else None
    return [text_block(_response(response)[0])] if isinstance(response, Mapping) else _blocks(part)


def _response(answer: Mapping[str, Any]) -> tuple[str, bool]:
    """The text of a function's response, and whether it failed."""
    response = answer.get("response")
    if isinstance(response, Mapping) and len(response) == 1:
        key, value = next(iter(response.items()))
        if key in ("output", "result", "error"):
            return as_text(value), key == "error"
    return as_text(response), False


def _contents(contents: Sequence[Mapping[str, Any]]) -> Iterator[Message]:
    """Contents as messages; calls without ids are answered in the order in which they were made."""
    for content in contents:
        role = _ROLES.get(as_text(content.get("role")) or "user", "user")
        when = moment(content.get("createTime") or content.get("timestamp"))
        parts = content["parts"] if isinstance(content.get("parts"), list) else [content.get("parts")]
        answers = [part for part in parts if _get(part, "functionResponse", "function_response")]
        for part in answers:
            answer = _get(part, "functionResponse", "function_response")
            text, failed = _response(answer)
            yield result(as_text(answer.get("id")), as_text(answer.get("name")), text, failed=failed, created_at=when)
        thoughts = [as_text(part["text"]) for part in mappings(parts) if part.get("thought") and part.get("text")]
        blocks = [
            block
            for part in parts
            if part not in answers and not (isinstance(part, Mapping) and part.get("thought"))
            for block in _blocks(part)
        ]
        if blocks or thoughts:
            yield message(role, blocks, reasoning_content="\n\n".join(thoughts), created_at=when)


def _get(part: Any, *keys: str) -> Any:
    return next((part[key] for key in keys if isinstance(part.get(key), Mapping)), None) if isinstance(part, Mapping) else None


def _blocks(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [block for one in part for block in _blocks(one)]
    if not isinstance(part, Mapping):
        return [text_block(part)] if isinstance(part, str) and part else []
    if made := _get(part, "functionCall", "function_call"):
        signature = part.get("thoughtSignature") or part.get("thought_signature")
        kept = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}  # as Google's OpenAI endpoint has it
        return [call(as_text(made.get("id")), as_text(made.get("name")), made.get("args")) | kept]
    if data := _get(part, "inlineData", "inline_data"):
        media = as_text(data.get("mimeType") or data.get("mime_type"))
        return [url_block(f"data:{media};base64,{data.get('data')}", media, as_text(data.get("displayName")))]
    if file := _get(part, "fileData", "file_data"):
        return [url_block(file.get("fileUri") or file.get("file_uri"), as_text(file.get("mimeType") or file.get("mime_type")))]
    if code := _get(part, "executableCode", "executable_code"):
        return [text_block(f"```{as_text(code.get('language')).lower()}\n{as_text(code.get('code'))}\n```")]
    if ran := _get(part, "codeExecutionResult", "code_execution_result"):
        return [text_block(as_text(ran.get("output")))]
    if "text" in part:
        return [text_block(as_text(part["text"]))] if part["text"] else []
    return [file_block(as_text(dict(part)), "part")] if part and "thoughtSignature" not in part else []

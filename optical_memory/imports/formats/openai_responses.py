"""OpenAI's Responses API: the `input` of a request, a stored response, and lists of stored items (`input_items`, conversations).

After the types of the `openai` Python client 3.57 (`types/responses/response_input_item_param.py`, `response_output_item.py`,
`types/conversations`). Calls of hosted tools (search, code, pictures, MCP) hold their results; they become a call and a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import InvalidTurn
from ...text.excerpts import excerpt, shape
from ..base import PART_OF, Conversation, Document, Message
from ..messages import (
    as_text,
    call,
    file_block,
    is_mapping_with,
    mappings,
    message,
    moment,
    result,
    text_block,
    url_block,
)

__all__ = ["ITEMS", "as_one_message", "conversations", "messages_of_item", "name", "recognise"]

name = "openai-responses"

# Calls: where the arguments stand, and, for hosted tools, where the result stands.
_CALLS: dict[str, tuple[str, ...]] = {
    "function_call": ("arguments",),
    "custom_tool_call": ("input",),
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
    "computer_call": ("actions", "action"),
    "tool_search_call": ("arguments",),
    "mcp_call": ("arguments",),
    "web_search_call": ("action", "query"),
    "file_search_call": ("queries",),
    "code_interpreter_call": ("code",),
    "image_generation_call": ("revised_prompt", "prompt"),
}
_RESULTS = {"mcp_call": "output", "file_search_call": "results", "code_interpreter_call": "outputs", "image_generation_call": "result"}
_OUTPUTS = (*(f"{kind}_output" for kind in _CALLS), "mcp_tool_call_output", "tool_search_output")
_OPAQUE = ("compaction", "compaction_summary", "context_compaction")
ITEMS = frozenset(("message", "reasoning", *_CALLS, *_OUTPUTS, *_OPAQUE))
_PASSED_OVER = ("item_reference", "mcp_list_tools", "ghost_snapshot", "web_search_tool", "other")


def recognise(document: Document) -> bool:
    if not document.head:
        return False
    first = document.head[0]
    if not isinstance(first, Mapping):
        return False
    if document.shape != "object":
        return any(_is_item(item) and item.get("type") != "message" for item in document.head) or _is_item(first)
    given = first.get("input")
    request = (
        isinstance(given, str | list) and ("model" in first or "instructions" in first or "messages" not in first) and _are_items(given)
    )
    return request or _is_response(first) or (first.get("object") == "list" and _are_items(first.get("data")))


def _is_item(item: Any) -> bool:
    return is_mapping_with(item, "type") and item["type"] in ITEMS and (item["type"] != "message" or "role" in item)


def _are_items(value: object) -> bool:
    found = mappings(value)
    return (isinstance(value, str) and bool(value)) or any(_is_item(item) or _is_response_content(item) for item in found)


def _is_response_content(item: Mapping[str, Any]) -> bool:
    kinds = [block.get("type") for block in mappings(item.get("content"))]
    return any(kind in ("input_text", "output_text", "input_image") for kind in kinds) or (
        "role" in item and isinstance(item.get("content"), str)
    )


def _is_response(value: Mapping[str, Any]) -> bool:
    return value.get("object") == "response" and isinstance(value.get("output"), list)


def conversations(document: Document) -> Iterator[Conversation]:
    if document.shape != "object":
        items = list(document.items())
        said = [one for place, item in items for one in messages_of_item(_checked(item, document, place), place, _own(item), _times(item))]
        yield Conversation("", as_one_message(said))
        return
    whole = document.head[0]
    when = moment(whole.get("created_at"))
    said = [message("developer", whole["instructions"])] if isinstance(whole.get("instructions"), str) else []
    for number, item in enumerate(_ordered(whole), 1):
        said += messages_of_item(item, f"item {number}", _own(item), _times(item))
    yield Conversation("", as_one_message(said), created_at=when)


def _checked(item: Any, document: Document, place: str) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise InvalidTurn(f"{document.name}, {place} is {shape(item)}, not an item")
    return item


def _ordered(whole: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Items in the order in which they were said. Lists of stored items come newest first, unless asked for otherwise."""
    given = whole.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(mappings(given))
    listed = list(mappings(whole.get("data")))
    if listed and whole.get("first_id") and _is_newest_first(listed):
        listed.reverse()
    return items + listed + list(mappings(whole.get("output")))


def _is_newest_first(items: Sequence[Mapping[str, Any]]) -> bool:
    """Whether results stand before their calls, or the first message is an answer."""
    place: dict[str, int] = {}
    for at, item in enumerate(items):
        kind, own = as_text(item.get("type")), as_text(item.get("call_id"))
        if kind in _OUTPUTS and own not in place:
            return True
        place[own] = at
    roles = [item.get("role") for item in items if item.get("type") == "message"]
    return len(roles) > 1 and roles[0] == "assistant" and roles[-1] in ("user", "system", "developer")


def _own(item: Any) -> str:
    return as_text(item.get("id")) if isinstance(item, Mapping) else ""


def _times(item: Any) -> dict[str, Any]:
    return {"created_at": moment(item.get("created_at"))} if isinstance(item, Mapping) else {}


def as_one_message(messages: Sequence[Message]) -> list[Message]:
    """Mark what the model said in one go (texts, reasoning, calls) as one message."""
    done: list[Message] = []
    group = ""
    for place, one in enumerate(messages, 1):
        spoken = one["role"] == "assistant"
        group = (group or f"{one.get('id') or ''} {place}") if spoken else ""
        done.append(one | {PART_OF: group} if spoken else one)
    return done


def messages_of_item(item: Mapping[str, Any], place: str, own: str, fields: dict[str, Any]) -> Iterator[Message]:
    """The messages that an item is: one, or a call and its result. Raises `InvalidTurn` with its place for an item of an unknown type."""
    fields = {"id": own} | fields
    kind = as_text(item.get("type")) or "message"
    if kind == "message" and "role" in item:
        blocks = [_block(block) for block in item["content"]] if isinstance(item.get("content"), list) else [as_text(item.get("content"))]
        yield message(as_text(item["role"]), blocks, **fields)
    elif kind == "reasoning" or kind in _OPAQUE:
        yield message("assistant", [{"type": "reasoning", "block": dict(item)}], **fields)
    elif kind in _CALLS:
        yield from _calls(item, kind, fields)
    elif kind in _OUTPUTS:
        yield _output(item, fields)
    elif kind in ("mcp_approval_request", "mcp_approval_response"):
        yield message("assistant" if kind.endswith("request") else "user", as_text(dict(item)), **fields)
    elif kind not in _PASSED_OVER:
        raise InvalidTurn(f"{place}: unknown item of type {excerpt(kind)}; known: {', '.join(sorted(ITEMS))}")


def _calls(item: Mapping[str, Any], kind: str, fields: dict[str, Any]) -> Iterator[Message]:
    given: Any = next((item[key] for key in _CALLS[kind] if item.get(key) is not None), {})
    key = _CALLS[kind][0] if kind not in ("function_call", "custom_tool_call", "mcp_call") else ""
    arguments = {key: given} if key and not isinstance(given, Mapping) else given
    id, named = as_text(item.get("call_id") or item.get("id")), as_text(item.get("name")) or kind.removesuffix("_call")
    yield message("assistant", [call(id, named, arguments)], **fields)
    held = item.get(_RESULTS.get(kind, ""))
    if held or item.get("error"):
        own = fields | {"id": f"{fields['id']}/result" if fields.get("id") else ""}
        yield result(id, named, _held(held, kind) or as_text(item.get("error")), failed=bool(item.get("error")), **own)


def _held(value: Any, kind: str) -> Any:
    if kind == "image_generation_call" and isinstance(value, str):
        return [url_block(f"data:image/png;base64,{value}", name="generated picture")]
    if kind == "code_interpreter_call":
        outputs = mappings(value)
        return [text_block(as_text(one.get("logs"))) if one.get("type") == "logs" else url_block(one.get("url")) for one in outputs]
    return as_text(value)


def _output(item: Mapping[str, Any], fields: dict[str, Any]) -> Message:
    output = item.get("output", item.get("result", item.get("tools")))
    failed = item.get("status") == "failed"
    if isinstance(output, Mapping):
        failed = failed or output.get("success") is False or output.get("is_error") is True
        if "content" in output:
            output = output["content"]
        elif "image_url" in output or "file_id" in output:
            output = [output]
    if isinstance(output, list) and all(is_mapping_with(block, "type") for block in output):
        output = [_block(block) for block in output]
    return result(as_text(item.get("call_id")), as_text(item.get("name")), output, failed=failed, **fields)


def _block(block: Any) -> dict[str, Any]:
    if not isinstance(block, Mapping):
        return text_block(as_text(block))
    kind = block.get("type")
    if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        return text_block(as_text(block.get("text")))
    if kind == "refusal":
        return text_block(as_text(block.get("refusal")))
    if kind in ("input_image", "computer_screenshot", "image_url"):
        url = block.get("image_url")
        url = url.get("url") if isinstance(url, Mapping) else url
        return url_block(url) if url else file_block(as_text(block.get("file_id")), "image")
    if kind == "input_file":
        return file_block(as_text(block.get("filename") or block.get("file_id") or block.get("file_url")))
    if kind == "image" and isinstance(block.get("data"), str):  # MCP
        return url_block(f"data:{block.get('mimeType') or 'image/png'};base64,{block['data']}")
    return text_block(as_text(dict(block)))

"""ShareGPT: objects with `conversations`, each a list of `from` and `value`; a list of them, or lines.

After the ShareGPT dumps that Vicuna was trained on, LLaMA-Factory's `data/README.md` (roles `function_call` and `observation`, `system`,
`images`) and NousResearch's hermes-function-calling-v1 (`<tool_call>` inside a text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidTurn
from ...text.excerpts import excerpt
from ..base import Conversation, Document, Message
from ..messages import as_text, attached, call, is_mapping_with, message, moment, parsed, result, text_block, url_block

__all__ = ["conversations", "name", "recognise"]

name = "sharegpt"
companions = ("dataset_info.json",)
_ROLES = {
    **dict.fromkeys(("human", "user", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "bot", "function_call"), "assistant"),
    **dict.fromkeys(("system", "system_prompt"), "system"),
    **dict.fromkeys(("observation", "tool", "function", "function_response", "tool_response", "ipython"), "tool"),
}
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", re.DOTALL)


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    return _said(first) is not None


def _said(item: Any) -> list[Mapping[str, Any]] | None:
    for key in ("conversations", "conversation", "items"):
        found = item.get(key) if isinstance(item, Mapping) else None
        if isinstance(found, list) and found and all(is_mapping_with(one, "from", "value") for one in found):
            return found
    return None


def conversations(document: Document) -> Iterator[Conversation]:
    for place, item in document.items():
        said = _said(item)
        if said is None:
            if is_mapping_with(item) and not (item.get("conversations") or item.get("items")):
                continue  # an empty conversation
            raise InvalidTurn(f"{document.name}, {place}: every message needs 'from' and 'value'")
        pictures = [as_text(one) for one in item.get("images") or ()] if isinstance(item.get("images"), list) else []
        system = [message("system", item["system"])] if item.get("system") and said[0]["from"] != "system" else []
        where = f"{document.name}, {place}"
        messages = [done for one in said for done in _messages(one, where, pictures, document)]
        yield Conversation(as_text(item.get("id")), system + messages, title=as_text(item.get("title")), place=place)


def _messages(one: Mapping[str, Any], where: str, pictures: list[str], document: Document) -> Iterator[Message]:
    speaker, text = as_text(one["from"]).lower(), as_text(one["value"])
    if speaker not in _ROLES:
        raise InvalidTurn(f"{where}: unknown speaker {excerpt(one['from'])} in 'from'; known: {', '.join(sorted(_ROLES))}")
    when = moment(one.get("timestamp") or one.get("create_time"))
    role = _ROLES[speaker]
    if role == "tool":
        for answer in _RESPONSE.findall(text) or [text]:
            yield _answer(answer, when)
    elif speaker == "function_call":
        yield message(
            role, [_made(text)] if not isinstance(parsed(text), list) else [_made(made) for made in parsed(text)], created_at=when
        )
    else:
        calls = [_made(made) for made in _CALL.findall(text)] if role == "assistant" else []
        words = _CALL.sub("", text).strip() if calls else text
        yield message(role, [*_with_pictures(words, pictures, document), *calls], created_at=when)


def _made(given: Any) -> dict[str, Any]:
    made = parsed(given)
    if is_mapping_with(made, "name"):
        return call(as_text(made.get("id")), as_text(made["name"]), made.get("arguments", made.get("parameters")))
    return call(None, "function", as_text(given))


def _answer(text: str, when: Any) -> Message:
    answer = parsed(text)
    if isinstance(answer, Mapping) and "name" in answer and "content" in answer:
        return result(as_text(answer.get("tool_call_id")), as_text(answer["name"]), as_text(answer["content"]), created_at=when)
    return result(None, None, text, created_at=when)


def _with_pictures(text: str, pictures: list[str], document: Document) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    pieces = text.split("<image>") if pictures else [text]
    for place, piece in enumerate(pieces):
        if place and pictures:
            shown = pictures.pop(0)
            remote = shown.startswith(("http:", "https:", "data:"))
            blocks.append(url_block(shown) if remote else attached(document, shown.rpartition("/")[2], shown))
        if piece.strip():
            blocks.append(text_block(piece))
    return blocks

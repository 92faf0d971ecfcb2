"""What several of these tests need."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optical_memory import OpticalMemory


def message(**fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": "fine"} | fields


def memory_with(path: Path, redact: Any = True) -> OpticalMemory:
    return OpticalMemory("a", store=f"sqlite:///{path / 'a.db'}", renderer="pillow", redact=redact)


def raised(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except Exception as exc:
        return exc
    return None


# Ways to misuse the library with a message in which `secret` stands where it should not, or beside what is wrong.
MESSAGES: dict[str, Callable[[str], Any]] = {
    "a text": lambda secret: secret,
    "a list": lambda secret: [secret],
    "bytes": lambda secret: secret.encode(),
    "three parts": lambda secret: ("user", secret, secret),
    "an unknown role": lambda secret: message(role=secret),
    "no role": lambda secret: {"content": secret},
    "an unknown role beside it": lambda secret: message(role="robot", content=secret),
    "content that is a mapping": lambda secret: message(content={"text": secret, secret: 1}),
    "content that is bytes": lambda secret: message(content=secret.encode()),
    "a part of no type": lambda secret: message(content=[{"text": secret}]),
    "a part of an unknown type": lambda secret: message(content=[{"type": "input_audio", "data": secret}]),
    "a part whose type it is": lambda secret: message(content=[{"type": secret}]),
    "a part whose text is a list": lambda secret: message(content=[{"type": "text", "text": [secret]}]),
    "a part that is a number": lambda secret: message(content=[5, secret]),
    "a picture of an unknown source": lambda secret: message(content=[{"type": "image", "source": {"type": "file", "id": secret}}]),
    "a picture without a URL": lambda secret: message(content=[{"type": "image_url", "image_url": {"key": secret}}]),
    "a picture whose URL is a list": lambda secret: message(content=[{"type": "image_url", "image_url": {"url": [secret]}}]),
    "a data URL": lambda secret: message(content=[{"type": "image_url", "image_url": {"url": f"data:{secret},x"}}]),
    "a data URL of text": lambda secret: message(content=[{"type": "image_url", "image_url": {"url": f"data:text/html,{secret}"}}]),
    "picture data": lambda secret: message(content=[{"type": "image", "source": {"type": "base64", "data": secret + "!"}}]),
    "a tool's result": lambda secret: {"role": "tool", "content": secret},
    "a tool's result for an unknown call": lambda secret: {"role": "tool", "content": secret, "tool_call_id": "c"},
    "the id of an unknown call": lambda secret: {"role": "tool", "content": "x", "tool_call_id": secret},
    "a result whose id is a list": lambda secret: {"role": "tool", "content": "x", "tool_call_id": [secret]},
    "a call by a user": lambda secret: message(content=secret, tool_calls=[{"id": "c", "name": "f"}]),
    "a call that is a text": lambda secret: message(role="assistant", tool_calls=[secret]),
    "a call without an id": lambda secret: message(role="assistant", tool_calls=[{"name": "f", "arguments": {"password": secret}}]),
    "a call without a name": lambda secret: message(role="assistant", tool_calls=[{"id": "c", "function": {"arguments": secret}}]),
    "arguments that JSON lacks": lambda secret: message(role="assistant", tool_calls=[{"id": "c", "name": "f", "args": {secret: {1, 2}}}]),
    "an id": lambda secret: message(id=[secret]),
    "a name": lambda secret: message(name=[secret]),
    "a time": lambda secret: message(created_at=secret),
    "importance": lambda secret: message(importance=secret),
    "pinned": lambda secret: message(pinned=secret),
    "metadata": lambda secret: message(metadata=secret),
    "metadata of objects": lambda secret: message(metadata={secret: object()}),
    "extra that JSON lacks": lambda secret: message(**{"note": {secret: {secret}}}),
    "an object beside an id": lambda secret: message(id=secret, note=object()),
    "a lone object": lambda secret: type(re.sub(r"\W", "_", "T"), (), {"secret": secret})(),
    "a result in a list": lambda secret: message(content=[{"type": "tool_result", "tool_use_id": "x", "content": [{"type": secret}]}]),
    "thinking": lambda secret: message(role="assistant", content=[{"type": "thinking", "block": secret}]),
}

"""The same conversations sent as text, through a memory, and through another tool's transform functions; each request priced alike.

A request is taken as it goes over the wire, in the provider's format: its texts are counted by the reader's counter, its pictures by
the reader's formula, whoever made them. What two requests have in common from the first block on is read from the cache.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from optical_memory import Context, OpticalMemory
from optical_memory.context.messages.anthropic import to_anthropic
from optical_memory.context.messages.gemini import to_gemini
from optical_memory.context.messages.openai import to_openai
from optical_memory.profiles.pricing import TOKENS_PER_CALL, Pricing
from optical_memory.profiles.profile import ReaderProfile
from optical_memory.stores import open_store

__all__ = ["MODELS", "Model", "Pxpipe", "conversations", "memory_of", "pieces_of", "text_only_memory", "wire"]

Piece = tuple[object, int]
Body = dict[str, Any]

BRIDGE = Path(__file__).with_name("pxpipe_bridge.mjs")
TESTS = Path(__file__).parents[1] / "tests" / "data"
_PICTURE = re.compile(r"(?:data:image/png;base64,)?(iVBORw0KGgo\S+)|png (\w+) (\d+) (\d+)")
_SENT_AS: dict[str, Callable[[Context], list[Body]]] = {"anthropic": to_anthropic, "openai": to_openai, "gemini": to_gemini}
_HELD_IN = {"anthropic": "messages", "openai": "messages", "gemini": "contents"}


@dataclass(frozen=True)
class Model:
    """A model by its provider's name, and the format in which requests reach it."""

    name: str
    dialect: str


MODELS = (
    Model("claude-fable-5", "anthropic"),
    Model("claude-fable-5-2", "anthropic"),
    Model("claude-opus-5-5", "anthropic"),
    Model("gemini-3.6-flash", "gemini"),
    Model("gpt-5.6-sol", "openai"),
    Model("gpt-5.4", "openai"),
)


class Pxpipe:
    """pxpipe's transform functions in a process of node. `folder` is a checkout, its modules compiled into `dist/core`."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "dist" / "core" / "transform.js").is_file():
            raise FileNotFoundError(
                f"{str(folder)!r} has no dist/core/transform.js; in a checkout of pxpipe run: npm install gpt-tokenizer esbuild && "
                "npx esbuild src/core/*.ts --outdir=dist/core --platform=node --format=esm"
            )
        command = ["node", str(BRIDGE), str(folder)]
        self._node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def sent(self, body: Body, model: Model) -> Body:
        """Return the request that it makes of a request."""
        return self._asked({"dialect": model.dialect, "model": model.name, "body": body})

    def drawn(self, text: str) -> float:
        """Return the seconds of CPU time in which it draws a text."""
        return float(self._asked({"dialect": "draw", "body": {"text": text}})["seconds"])

    def _asked(self, question: Body) -> Body:
        assert self._node.stdin
        assert self._node.stdout
        self._node.stdin.write(json.dumps(question) + "\n")
        self._node.stdin.flush()
        answer = self._node.stdout.readline()
        if not answer:
            raise RuntimeError(f"pxpipe's process ended with code {self._node.wait()}")
        return dict(json.loads(answer))

    def close(self) -> None:
        """End the process."""
        assert self._node.stdin
        self._node.stdin.close()
        self._node.wait()


def conversations(paths: Sequence[Path] = ()) -> dict[str, list[Body]]:
    """Return messages by file name: those of the demo and the tests, and of the files given."""
    demo = Path(str(files("optical_memory.demo").joinpath("airline-agent.json")))
    found = {}
    for path in (demo, *sorted(TESTS.glob("*.json")), *paths):
        held = json.loads(path.read_text("utf-8"))
        messages = held["messages"] if isinstance(held, dict) else held
        found[path.stem] = [{key: value for key, value in message.items() if key != "created_at"} for message in messages]
    return found


def memory_of(profile: ReaderProfile, **options: Any) -> OpticalMemory:
    """Return a memory as it is by default, its pages drawn without a browser."""
    drawn = "bitmap" if profile.renderer == "bitmap" else "pillow"
    return OpticalMemory(store=open_store("memory://"), reader=profile, **{"renderer": drawn, **options})


def text_only_memory(profile: ReaderProfile) -> OpticalMemory:
    """Return a memory for the same model that never makes a page."""
    return memory_of(profile.model_copy(update={"rungs": {}, "allow": ()}))


def wire(context: Context, model: Model) -> Body:
    """Return a context as the body of a request."""
    messages = _SENT_AS[model.dialect](context)
    return {"model": model.name, "max_tokens": 1_000, _HELD_IN[model.dialect]: _camel(messages) if model.dialect == "gemini" else messages}


_REST = {name: name.title().replace("_", "")[0].lower() + name.title().replace("_", "")[1:] for name in (
    "function_call", "function_response", "inline_data", "mime_type", "media_resolution", "thought_signature",
)}  # fmt: skip


def _camel(value: Any) -> Any:
    """Return Gemini's contents with the names of its REST API, which pxpipe knows; ours takes both."""
    if isinstance(value, dict):
        return {_REST.get(key, key): _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def pieces_of(body: Body, model: Model, pricing: Pricing) -> list[Piece]:
    """Return the blocks of a request, in order, with what each costs."""
    found: list[Piece] = []
    for place, message in enumerate(body[_HELD_IN[model.dialect]]):
        found.append((("message", place, message["role"]), pricing.profile.message_tokens))
        content = message.get("parts", message.get("content")) or []
        blocks = [{"text": content}] if isinstance(content, str) else content
        for block in (*blocks, *message.get("tool_calls", ())):
            found += _pieces(block, pricing)
    return found


def _pieces(block: Body, pricing: Pricing) -> Iterator[Piece]:
    resolution = block.get("mediaResolution", {})
    calls = 0
    for key, text in _strings(block):
        if key in ("tool_use", "function"):
            calls = TOKENS_PER_CALL
        elif found := _PICTURE.fullmatch(text):
            yield text if found[2] else _digest(text), _picture_tokens(found, resolution, pricing.profile)
        else:
            yield text, calls + pricing.count(text)
            calls = 0


_WORDS = ("text", "content", "name", "input", "arguments", "args", "output", "result", "data", "url")


def _strings(block: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a block says, in order: texts, names, arguments, pictures; not its ids and types, which nobody pays alike."""
    if isinstance(block, str):
        if key in _WORDS or (key == "type" and block in ("tool_use", "function")):
            yield (block if key == "type" else key), block
    elif isinstance(block, list):
        for each in block:
            yield from _strings(each, key)
    elif isinstance(block, dict) and key in ("input", "args"):
        yield "arguments", json.dumps(block, ensure_ascii=False, separators=(",", ":"))
    elif isinstance(block, dict):
        if "functionCall" in block:
            yield "function", ""
        for name, value in block.items():
            yield from _strings(value, name)


@cache
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _picture_tokens(found: re.Match[str], resolution: Any, profile: ReaderProfile) -> int:
    """Return the price of a picture: what was asked for with it, or what its size costs."""
    level = str(resolution.get("level", "") if isinstance(resolution, dict) else resolution)
    rung = next((rung for rung in profile.rungs.values() if rung.part_resolution == level and level), None)
    if rung and rung.tokens:
        return rung.tokens
    width, height = (int(found[3]), int(found[4])) if found[2] else struct.unpack(">II", base64.b64decode(found[1][:64])[16:24])
    return profile.picture_tokens(width, height)

"""The same long conversation in each wire format."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.server.rig import claude

PATHS = {
    "anthropic": "/v1/messages",
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/gemini-3.5-pro:generateContent",
}


def history(wire: str, rounds: int, *, last: str = "", seed: str = "a", **fields: Any) -> dict[str, Any]:
    """Return a request with so many rounds of tool calls; more rounds, or a last prompt, continue it."""
    made = claude(rounds, last=last, seed=seed)
    build = {"anthropic": lambda body: body, "chat": _chat, "responses": _responses, "gemini": _gemini}[wire]
    return {**build(copy.deepcopy(made)), **fields}


def entries(wire: str, body: dict[str, Any]) -> list[Any]:
    """Return the messages of a request."""
    return list(body[{"anthropic": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}[wire]])


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "developer", "content": "You are an agent."}]
    for message in body["messages"]:
        for block in _blocks(message):
            if block["type"] == "tool_result":
                messages.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]})
            elif block["type"] == "tool_use":
                function = {"name": block["name"], "arguments": json.dumps(block["input"])}
                messages[-1]["tool_calls"] = [{"id": block["id"], "type": "function", "function": function}]
            else:
                messages.append({"role": message["role"], "content": block["text"]})
    tools = [{"type": "function", "function": {"name": "Bash", "parameters": {}}}]
    return {"model": "gpt-5.4", "tools": tools, "messages": messages, "unknown": {"z": 1, "a": 2}}


def _responses(body: dict[str, Any]) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "You are an agent."}]}
    ]
    for message in body["messages"]:
        for block in _blocks(message):
            if block["type"] == "tool_result":
                items.append({"type": "function_call_output", "call_id": block["tool_use_id"], "output": block["content"]})
            elif block["type"] == "tool_use":
                items.append({"type": "reasoning", "id": f"rs_{block['id']}", "summary": [], "encrypted_content": f"enc{block['id']}"})
                arguments = json.dumps(block["input"])
                items.append(
                    {"type": "function_call", "id": f"fc_{block['id']}", "call_id": block["id"], "name": "Bash", "arguments": arguments}
                )
            else:
                kind = "output_text" if message["role"] == "assistant" else "input_text"
                items.append({"type": "message", "role": message["role"], "content": [{"type": kind, "text": block["text"]}]})
    tools = [{"type": "function", "name": "Bash", "parameters": {}}, {"type": "web_search"}, {"type": "namespace", "name": "x"}]
    return {
        "model": "gpt-5.4",
        "store": False,
        "instructions": "Be exact.",
        "tools": tools,
        "input": items,
        "include": ["reasoning.encrypted_content"],
    }


def _gemini(body: dict[str, Any]) -> dict[str, Any]:
    contents: list[dict[str, Any]] = []
    for message in body["messages"]:
        parts: list[dict[str, Any]] = []
        for block in _blocks(message):
            if block["type"] == "tool_result":
                parts.append({"functionResponse": {"name": "Bash", "response": {"output": block["content"]}}})
            elif block["type"] == "tool_use":
                parts.append({"functionCall": {"name": "Bash", "args": block["input"]}, "thoughtSignature": "c2ln"})
            else:
                parts.append({"text": block["text"]})
        contents.append({"role": "model" if message["role"] == "assistant" else "user", "parts": parts})
    declared = [{"functionDeclarations": [{"name": "Bash", "parameters": {"type": "OBJECT"}}]}]
    instruction = {"role": "user", "parts": [{"text": "You are an agent."}]}
    return {"contents": contents, "systemInstruction": instruction, "tools": declared, "generationConfig": {"temperature": 0}}

"""Anthropic's Messages API. Blocks of later rounds are numbered on; the message ends once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .....memory.recall_tool import RECALL
from ..events import with_data
from .base import RecallCall, Usages, arguments_of

__all__ = ["AnthropicAnswers"]

INNER = ("content_block_start", "content_block_delta", "content_block_stop")


class AnthropicAnswers:
    """See `Answers`."""

    def __init__(self) -> None:
        self.usages = Usages()
        self.is_last = False
        self._visible: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}
        self._clear()

    def begin(self) -> None:
        """See `Answers.begin`."""
        self.usages.begin()
        self._clear()

    def _clear(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._json: dict[int, str] = {}
        self._shown: dict[int, int] = {}
        self._stop: str | None = None
        self._calls: list[RecallCall] = []

    @property
    def calls(self) -> list[RecallCall]:
        """See `Answers.calls`."""
        return self._calls

    @property
    def has_ended(self) -> bool:
        """See `Answers.has_ended`."""
        return self._stop is not None

    @property
    def goes_on(self) -> bool:
        """See `Answers.goes_on`."""
        asked = any(block.get("type") == "tool_use" and not _is_ours(block) for block in self._blocks)
        return not self.is_last and self._stop == "tool_use" and bool(self.calls) and not asked

    # -- streams -------------------------------------------------------------------------------------------------------------------

    def event(self, event: bytes, data: dict[str, Any] | None) -> bytes:
        """See `Answers.event`."""
        kind = data.get("type") if data else None
        if data is None:
            return event
        if kind == "message_start":
            self.usages.add(data.get("message", {}).get("usage"))
            return event if self.usages.is_first else b""
        if kind in INNER:
            return self._block(event, data)
        if kind == "message_delta":
            return self._ended(event, data)
        return b"" if kind == "message_stop" and self.goes_on else event

    def _block(self, event: bytes, data: dict[str, Any]) -> bytes:
        at = int(data["index"])
        if data["type"] == "content_block_start":
            block = dict(data["content_block"])
            self._blocks.append(block)
            if not _is_ours(block):
                self._shown[at] = len(self._visible)
                self._visible.append(block)
        elif data["type"] == "content_block_delta":
            self._grow(self._blocks[at], at, data["delta"])
        else:
            self._close(self._blocks[at], at)
        if at not in self._shown:
            return b""
        return event if self._shown[at] == at else with_data(event, {**data, "index": self._shown[at]})

    def _grow(self, block: dict[str, Any], at: int, delta: Mapping[str, Any]) -> None:
        match delta.get("type"):
            case "text_delta":
                block["text"] = block.get("text", "") + delta["text"]
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta["thinking"]
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "input_json_delta":
                self._json[at] = self._json.get(at, "") + delta["partial_json"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def _close(self, block: dict[str, Any], at: int) -> None:
        if at in self._json:
            block["input"] = arguments_of(self._json[at]) or {}
        if _is_ours(block):
            self._calls.append(RecallCall(str(block.get("id")), arguments_of(self._json.get(at, block.get("input")))))

    def _ended(self, event: bytes, data: dict[str, Any]) -> bytes:
        self._stop = (data.get("delta") or {}).get("stop_reason")
        self.usages.add(data.get("usage"))
        if self.goes_on:
            return b""
        return event if self.usages.is_first else with_data(event, {**data, "usage": self.usages.total})

    # -- whole ---------------------------------------------------------------------------------------------------------------------

    def whole(self, answer: dict[str, Any]) -> None:
        """See `Answers.whole`."""
        self._last, self._stop = answer, answer.get("stop_reason")
        self.usages.add(answer.get("usage"))
        for block in answer.get("content") or ():
            self._blocks.append(block)
            if _is_ours(block):
                self._calls.append(RecallCall(str(block.get("id")), arguments_of(block.get("input"))))
            else:
                self._visible.append(block)

    def merged(self) -> dict[str, Any]:
        """See `Answers.merged`."""
        return {**self._last, "content": self._visible, "usage": self.usages.total}

    # -- what the next request holds -----------------------------------------------------------------------------------------------

    def said(self) -> list[Any]:
        """See `Answers.said`."""
        return [{"role": "assistant", "content": [block for block in self._blocks if block.get("type") != "text" or block.get("text")]}]

    def results(self, texts: Sequence[str]) -> list[Any]:
        """See `Answers.results`."""
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text} for call, text in zip(self.calls, texts, strict=True)]
        return [{"role": "user", "content": blocks}]

    def visible(self) -> list[Any]:
        """See `Answers.visible`."""
        return [{"role": "assistant", "content": self._visible}]


def _is_ours(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "tool_use" and block.get("name") == RECALL

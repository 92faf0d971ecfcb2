"""OpenAI's Responses API. Items of later rounds are numbered on; reasoning that led to a recall alone is not shown.

A client sends reasoning back, and the provider refuses it without the item that it led to. So it is held until the next item is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .....memory.recall_tool import RECALL
from ..events import with_data
from .base import RecallCall, Usages, arguments_of

__all__ = ["ResponsesAnswers"]

BEGINS = ("response.created", "response.in_progress", "response.queued")
ENDS = ("response.completed", "response.incomplete", "response.failed")
AT_PROVIDER = ("web_search_call", "file_search_call", "code_interpreter_call", "mcp_call", "image_generation_call", "tool_search_call")


class ResponsesAnswers:
    """See `Answers`.

    Args:
        stored: whether the provider keeps the answer; else items go back to it without the ids by which it would look for them.
    """

    def __init__(self, *, stored: bool) -> None:
        self._stored = stored
        self.usages = Usages()
        self.is_last = False
        self._number: int | None = None
        self._id: str | None = None
        self._visible: list[dict[str, Any]] = []
        self._last: dict[str, Any] = {}
        self._clear()

    def begin(self) -> None:
        """See `Answers.begin`."""
        self.usages.begin()
        self._clear()

    def _clear(self) -> None:
        self._items: dict[int, dict[str, Any]] = {}
        self._places: dict[int, int] = {}
        self._held: dict[int, list[tuple[bytes, dict[str, Any]]]] = {}
        self._status = ""

    @property
    def calls(self) -> list[RecallCall]:
        """See `Answers.calls`."""
        ours = (self._items[at] for at in sorted(self._items) if _is_ours(self._items[at]))
        return [RecallCall(str(item.get("call_id")), arguments_of(item.get("arguments"))) for item in ours]

    @property
    def has_ended(self) -> bool:
        """See `Answers.has_ended`."""
        return self._status != ""

    @property
    def goes_on(self) -> bool:
        """See `Answers.goes_on`."""
        asked = [item for item in self._items.values() if _asks_the_client(item)]
        return not self.is_last and self._status == "completed" and bool(asked) and all(_is_ours(item) for item in asked)

    # -- streams -------------------------------------------------------------------------------------------------------------------

    def event(self, event: bytes, data: dict[str, Any] | None) -> bytes:
        """See `Answers.event`."""
        kind = str(data.get("type")) if data else ""
        if data is None:
            return event
        if kind in BEGINS:
            self._id = self._id or (data.get("response") or {}).get("id")
            return self._counted(event, data, was=data) if self.usages.is_first else b""
        if kind in ENDS:
            return self._ended(event, data)
        if "output_index" not in data:
            return self._counted(event, data, was=data)
        return self._inner(event, data, kind)

    def _inner(self, event: bytes, data: dict[str, Any], kind: str) -> bytes:
        at = int(data["output_index"])
        if kind in ("response.output_item.added", "response.output_item.done"):
            self._items[at] = data["item"]
        item = self._items.get(at, {})
        if _is_ours(item):
            return b""
        if at not in self._places and item.get("type") == "reasoning":
            self._held.setdefault(at, []).append((event, data))
            return b""
        return self._released() + self._placed(event, data, at)

    def _released(self) -> bytes:
        """Return the events that were held."""
        held, self._held = self._held, {}
        return b"".join(self._placed(event, data, at) for at in sorted(held) for event, data in held[at])

    def _placed(self, event: bytes, data: dict[str, Any], at: int) -> bytes:
        if at not in self._places:
            self._places[at] = len(self._visible)
            self._visible.append(self._items.get(at, {}))
        self._visible[self._places[at]] = self._items.get(at, {})
        return self._counted(event, data if self._places[at] == at else {**data, "output_index": self._places[at]}, was=data)

    def _counted(self, event: bytes, data: dict[str, Any], *, was: dict[str, Any]) -> bytes:
        """Number an event on; return its bytes as they came if nothing of it has changed since it `was` read."""
        if "sequence_number" in data:
            number = data["sequence_number"] if self._number is None else self._number
            self._number = number + 1
            data = {**data, "sequence_number": number}
        return event if data == was else with_data(event, data)

    def _ended(self, event: bytes, data: dict[str, Any]) -> bytes:
        response = data.get("response") or {}
        self._status = str(response.get("status"))
        self.usages.add(response.get("usage"))
        self._items = dict(enumerate(response.get("output") or ())) or self._items
        if self.goes_on:
            return b""
        released = self._released()
        if self.usages.is_first and not self.calls:
            return released + self._counted(event, data, was=data)
        merged = {**response, "id": self._id or response.get("id"), "output": self._visible}
        if self.usages.total:
            merged["usage"] = self.usages.total
        return released + self._counted(event, {**data, "response": merged}, was=data)

    # -- whole ---------------------------------------------------------------------------------------------------------------------

    def whole(self, answer: dict[str, Any]) -> None:
        """See `Answers.whole`."""
        self._last, self._status = answer, str(answer.get("status"))
        self.usages.add(answer.get("usage"))
        self._items = dict(enumerate(answer.get("output") or ()))
        held: list[dict[str, Any]] = []
        for item in self._items.values():
            if item.get("type") == "reasoning":
                held.append(item)
            elif not _is_ours(item):
                self._visible += [*held, item]
                held = []
        self._visible += held if not self.goes_on else []

    def merged(self) -> dict[str, Any]:
        """See `Answers.merged`. The last answer's id: it is the one that the provider has all rounds under."""
        return {**self._last, "output": self._visible, "usage": self.usages.total}

    # -- what the next request holds -----------------------------------------------------------------------------------------------

    def said(self) -> list[Any]:
        """See `Answers.said`."""
        items = [_readable(self._items[at]) for at in sorted(self._items)]
        if self._stored:
            return items
        kept = [item for item in items if item.get("type") != "reasoning" or item.get("encrypted_content")]
        return [item if item["type"] == "reasoning" else _without(item, "id", "status") for item in kept]

    def results(self, texts: Sequence[str]) -> list[Any]:
        """See `Answers.results`."""
        return [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text in zip(self.calls, texts, strict=True)]

    def visible(self) -> list[Any]:
        """See `Answers.visible`."""
        return self._visible


def _is_ours(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "function_call" and item.get("name") == RECALL


def _readable(item: dict[str, Any]) -> dict[str, Any]:
    """Return a call of ours whose arguments are no JSON object without them; the provider would refuse it."""
    return {**item, "arguments": "{}"} if _is_ours(item) and arguments_of(item.get("arguments")) is None else item


def _asks_the_client(item: Mapping[str, Any]) -> bool:
    kind = str(item.get("type"))
    return kind == "mcp_approval_request" or (kind.endswith("_call") and kind not in AT_PROVIDER)


def _without(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}

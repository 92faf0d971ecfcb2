"""OpenAI's Chat Completions API. One role, one id, one finish reason, whatever number of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .....memory.recall_tool import RECALL
from ..events import with_data
from .base import SEPARATOR, RecallCall, Usages, arguments_of

__all__ = ["ChatAnswers"]

TEXTS = ("content", "reasoning_content", "reasoning", "refusal")  # of a message; servers beside OpenAI's name reasoning in two ways
OF_ANSWER = ("id", "created", "model", "system_fingerprint", "service_tier")  # the same in all chunks
UNFINISHED = ("length", "content_filter")


class ChatAnswers:
    """See `Answers`."""

    def __init__(self) -> None:
        self.usages = Usages()
        self.is_last = False
        self._head: dict[str, Any] = {}
        self._last: dict[str, Any] = {}
        self._shown: dict[str, Any] = {"role": "assistant", "content": None}
        self._clear()

    def begin(self) -> None:
        """See `Answers.begin`."""
        self.usages.begin()
        self._clear()

    def _clear(self) -> None:
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls: dict[int, dict[str, Any]] = {}
        self._places: dict[int, int] = {}
        self._stop: str | None = None

    @property
    def calls(self) -> list[RecallCall]:
        """See `Answers.calls`."""
        ours = (call for call in self._calls.values() if _is_ours(call))
        return [RecallCall(str(call.get("id")), arguments_of(call["function"].get("arguments"))) for call in ours]

    @property
    def has_ended(self) -> bool:
        """See `Answers.has_ended`."""
        return self._stop is not None

    @property
    def goes_on(self) -> bool:
        """See `Answers.goes_on`."""
        ours = [_is_ours(call) for call in self._calls.values()]
        return not self.is_last and self.has_ended and self._stop not in UNFINISHED and bool(ours) and all(ours)

    # -- streams -------------------------------------------------------------------------------------------------------------------

    def event(self, event: bytes, data: dict[str, Any] | None) -> bytes:
        """See `Answers.event`."""
        if data is None:
            return b"" if self.goes_on and b"[DONE]" in event else event
        if "error" in data and "choices" not in data:
            return event
        self._head = self._head or {name: data[name] for name in OF_ANSWER if name in data}
        had = bool(self._calls)
        given = self._chunk(data)
        if self.usages.is_first and not (had or self._calls):
            return event
        return b"" if given is None else event if given == data else with_data(event, given)

    def _chunk(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the client gets of a chunk; None for nothing."""
        self.usages.add(data.get("usage"))
        choice = next(iter(data.get("choices") or ()), None)
        shown = {**data, **self._head}
        delta: dict[str, Any] = {}
        reason, less = None, False
        if choice is not None:
            delta, less = self._delta(choice.get("delta") or {})
            self._stop = choice.get("finish_reason") or self._stop
            less = less or self.goes_on
            reason = None if self.goes_on else choice.get("finish_reason")
            shown["choices"] = [{**choice, "delta": delta, "finish_reason": reason}]
        if data.get("usage"):
            shown["usage"] = None if self.goes_on else self.usages.total
            less = less or self.goes_on
        is_empty = not delta and reason is None and not shown.get("usage")
        return None if less and is_empty else shown

    def _delta(self, delta: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """Take a delta; return what the client gets of it, and whether it gets less."""
        shown = dict(delta)
        changed = False
        if not self.usages.is_first and "role" in shown:  # clients join the strings of deltas
            del shown["role"]
            changed = True
        for name in TEXTS:
            text = delta.get(name)
            if isinstance(text, str):
                shown[name] = self._separated(name, text)
                changed = changed or not text
                if not self.usages.is_first and not text:
                    del shown[name]
        if delta.get("tool_calls"):
            calls = [given for call in delta["tool_calls"] if (given := self._call(call)) is not None]
            changed = changed or len(calls) < len(delta["tool_calls"])
            shown["tool_calls"] = calls
            if not calls:
                del shown["tool_calls"]
        return shown, changed

    def _separated(self, name: str, text: str) -> str:
        """Add a text to the message of this round and to what the client sees; return what it gets."""
        first = not self._message.get(name)
        self._message[name] = (self._message.get(name) or "") + text
        shown = self._shown.get(name) or ""
        given = SEPARATOR + text if not self.usages.is_first and first and text and shown else text
        self._shown[name] = shown + given
        return given

    def _call(self, piece: Mapping[str, Any]) -> dict[str, Any] | None:
        at = int(piece.get("index") or 0)
        if at not in self._calls:
            self._calls[at] = {**{name: value for name, value in piece.items() if name != "index"}}
            self._calls[at]["function"] = dict(piece.get("function") or {})
            if not _is_ours(self._calls[at]):
                self._places[at] = len(self._shown.setdefault("tool_calls", []))
                self._shown["tool_calls"].append(self._calls[at])
        else:
            function = self._calls[at]["function"]
            function["arguments"] = (function.get("arguments") or "") + ((piece.get("function") or {}).get("arguments") or "")
        return {**piece, "index": self._places[at]} if at in self._places else None

    # -- whole ---------------------------------------------------------------------------------------------------------------------

    def whole(self, answer: dict[str, Any]) -> None:
        """See `Answers.whole`."""
        self._last = answer
        self.usages.add(answer.get("usage"))
        choice: Mapping[str, Any] = next(iter(answer.get("choices") or ()), {})
        message = choice.get("message") or {}
        self._stop = choice.get("finish_reason")
        for name in TEXTS:
            if isinstance(message.get(name), str):
                self._separated(name, message[name])
        for at, call in enumerate(message.get("tool_calls") or ()):
            self._calls[at] = call
            if not _is_ours(call):
                self._shown.setdefault("tool_calls", []).append(call)

    def merged(self) -> dict[str, Any]:
        """See `Answers.merged`."""
        choice = self._last["choices"][0]
        rest = {name: value for name, value in choice["message"].items() if name != "tool_calls"}
        message = {**rest, **self._shown}
        usage = {"usage": self.usages.total} if self.usages.total else {}
        return {**self._last, "choices": [{**choice, "message": message}], **usage}

    # -- what the next request holds -----------------------------------------------------------------------------------------------

    def said(self) -> list[Any]:
        """See `Answers.said`."""
        texts = {name: text for name, text in self._message.items() if text}
        calls = {"tool_calls": [_readable(call) for call in self._calls.values()]} if self._calls else {}
        return [{"content": None, **texts, **calls}]

    def results(self, texts: Sequence[str]) -> list[Any]:
        """See `Answers.results`."""
        return [{"role": "tool", "tool_call_id": call.id, "content": text} for call, text in zip(self.calls, texts, strict=True)]

    def visible(self) -> list[Any]:
        """See `Answers.visible`."""
        return [self._shown]


def _is_ours(call: Mapping[str, Any]) -> bool:
    return (call.get("function") or {}).get("name") == RECALL


def _readable(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call of ours whose arguments are no JSON object without them; the provider would refuse it."""
    function = call.get("function") or {}
    is_broken = _is_ours(call) and arguments_of(function.get("arguments")) is None
    return {**call, "function": {**function, "arguments": "{}"}} if is_broken else call

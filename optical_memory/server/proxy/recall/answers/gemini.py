"""Google's Gemini API. Parts of later rounds follow those of the first; the answer finishes once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .....memory.recall_tool import RECALL
from ..events import with_data
from .base import SEPARATOR, RecallCall, Usages, arguments_of

__all__ = ["GeminiAnswers"]

CALL = ("functionCall", "function_call")
SIGNATURE = ("thoughtSignature", "thought_signature")


class GeminiAnswers:
    """See `Answers`."""

    def __init__(self) -> None:
        self.usages = Usages()
        self.is_last = False
        self._id: Any = None
        self._last: dict[str, Any] = {}
        self._visible: list[dict[str, Any]] = []
        self._clear()

    def begin(self) -> None:
        """See `Answers.begin`."""
        self.usages.begin()
        self._clear()

    def _clear(self) -> None:
        self._parts: list[dict[str, Any]] = []
        self._stop: str | None = None
        self._signature: tuple[str, Any] | None = None
        self._has_spoken = False

    @property
    def calls(self) -> list[RecallCall]:
        """See `Answers.calls`."""
        ours = [call for part in self._parts if (call := _call(part)) is not None and call.get("name") == RECALL]
        return [RecallCall(str(call.get("id") or ""), arguments_of(call.get("args") or {})) for call in ours]

    @property
    def has_ended(self) -> bool:
        """See `Answers.has_ended`."""
        return self._stop is not None

    @property
    def goes_on(self) -> bool:
        """See `Answers.goes_on`."""
        ours = [call.get("name") == RECALL for part in self._parts if (call := _call(part)) is not None]
        return not self.is_last and self._stop == "STOP" and bool(ours) and all(ours)

    def event(self, event: bytes, data: dict[str, Any] | None) -> bytes:
        """See `Answers.event`."""
        if data is None or "error" in data:
            return event
        shown = self._shown(data)
        return b"" if shown is None else event if shown == data else with_data(event, shown)

    def _shown(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Return what the client gets of a chunk, or of a whole answer; None for nothing."""
        self._id = self._id or data.get("responseId")
        self.usages.add(data.get("usageMetadata"))
        candidate = next(iter(data.get("candidates") or ()), None)
        shown = dict(data)
        if "responseId" in data:
            shown["responseId"] = self._id
        if data.get("usageMetadata") and not self.usages.is_first:
            shown["usageMetadata"] = self.usages.total
        if candidate is None:
            return shown
        content = candidate.get("content") or {}
        parts = [each for part in content.get("parts") or () if (each := self._part(part)) is not None]
        self._stop = candidate.get("finishReason") or self._stop
        less = len(parts) < len(content.get("parts") or ()) or self.goes_on
        if less and not parts and (self.goes_on or not candidate.get("finishReason")):
            return None
        given = {**candidate, "content": {**content, "parts": parts or [{"text": ""}]}} if "parts" in content else dict(candidate)
        if self.goes_on:
            given.pop("finishReason", None)
        shown["candidates"] = [given]
        return shown

    def _part(self, part: dict[str, Any]) -> dict[str, Any] | None:
        """Take a part; return what the client gets of it, None for nothing.

        The provider signs the first of parallel calls only. If that one is ours, the client's first carries the signature.
        """
        self._parts.append(part)
        call = _call(part)
        if call is not None and call.get("name") == RECALL:
            self._signature = next(((name, part[name]) for name in SIGNATURE if name in part), self._signature)
            return None
        shown = part
        if call is not None and self._signature is not None:
            shown = {**part, self._signature[0]: self._signature[1]} if not any(name in part for name in SIGNATURE) else part
            self._signature = None
        if shown.get("text") and not shown.get("thought"):
            if not self.usages.is_first and not self._has_spoken and any(each.get("text") for each in self._visible):
                shown = {**shown, "text": SEPARATOR + shown["text"]}
            self._has_spoken = True
        self._visible.append(shown)
        return shown

    def whole(self, answer: dict[str, Any]) -> None:
        """See `Answers.whole`."""
        self._last = answer
        self._shown(answer)

    def merged(self) -> dict[str, Any]:
        """See `Answers.merged`."""
        candidate = self._last["candidates"][0]
        content = {**(candidate.get("content") or {"role": "model"}), "parts": self._visible or [{"text": ""}]}
        usage = {"usageMetadata": self.usages.total} if self.usages.total else {}
        return {**self._last, "candidates": [{**candidate, "content": content}], **usage}

    def said(self) -> list[Any]:
        """See `Answers.said`."""
        return [{"role": "model", "parts": [part for part in self._parts if part != {"text": ""}]}]

    def results(self, texts: Sequence[str]) -> list[Any]:
        """See `Answers.results`."""
        named = [{"id": call.id} if call.id else {} for call in self.calls]
        parts = [
            {"functionResponse": {**name, "name": RECALL, "response": {"output": text}}} for name, text in zip(named, texts, strict=True)
        ]
        return [{"role": "user", "parts": parts}]

    def visible(self) -> list[Any]:
        """See `Answers.visible`."""
        return [{"role": "model", "parts": self._visible}]


def _call(part: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((part[name] for name in CALL if name in part), None)

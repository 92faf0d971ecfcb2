"""The kill switch: on or off for all, for a model, for a conversation. Takes effect at the next request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["Switches"]


class Switches:
    """What is switched on and off.

    Args:
        on: whether anything is rewritten.
    """

    def __init__(self, on: bool = True) -> None:
        self.on = on
        self.models: dict[str, bool] = {}
        self.conversations: dict[str, bool] = {}

    def why_off(self, model: str, conversation: str) -> str:
        """Return why a request is not rewritten; empty if it may be. The narrowest switch counts, but nothing is on while all is off."""
        if not self.on:
            return "switched off"
        if conversation in self.conversations:
            return "" if self.conversations[conversation] else "switched off for this conversation"
        return "" if self.models.get(model, True) else "switched off for this model"

    def set(self, on: bool | None, *, model: str | None = None, conversation: str | None = None) -> None:
        """Switch on or off; None takes back what was said for a model or a conversation."""
        for name, switches in ((model, self.models), (conversation, self.conversations)):
            if name is not None and on is not None:
                switches[name] = on
            elif name is not None:
                switches.pop(name, None)
        if model is None and conversation is None and on is not None:
            self.on = on

    def keep(self, conversations: Collection[str]) -> None:
        """Forget the switches of all other conversations: they have ended."""
        self.conversations = {name: on for name, on in self.conversations.items() if name in conversations}

    def plain(self) -> dict[str, Any]:
        """Return them as JSON takes it."""
        return {"on": self.on, "models": dict(self.models), "conversations": dict(self.conversations)}

    def load(self, plain: Any) -> None:
        """Take over what was stored; anything else is ignored."""
        if isinstance(plain, Mapping):
            self.on = plain.get("on") is not False
            self.models = {str(name): bool(on) for name, on in dict(plain.get("models") or {}).items()}
            self.conversations = {str(name): bool(on) for name, on in dict(plain.get("conversations") or {}).items()}

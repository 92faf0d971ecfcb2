"""Settings of the proxy: from the command line, and from a file."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from ...planning.forgetting import ByAge
from ...planning.settings import ViewOptions
from ..addresses import host_of

__all__ = ["PORT", "UPSTREAMS", "ProxySettings"]

PORT = 8723
UPSTREAMS = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com",
    "gemini": "https://generativelanguage.googleapis.com",
}
KNOWN_NUMBERS = ("port", "budget", "draw_wait", "keep_days")
KNOWN = ("host", "store", "upstreams", "models", "renderer", "on", "recall", "probe", "keep_turns", "otel", "origins", *KNOWN_NUMBERS)


@dataclass(frozen=True, kw_only=True)
class ProxySettings:
    """Settings of the proxy.

    Attributes:
        host, port: where it listens; port 0 takes a free one.
        store: URL of the store for conversations and pages; None for the SQLite file in the user's data folder.
        upstreams: base URLs by name; `anthropic`, `openai` and `gemini` are found by path, others by `/u/NAME/...`.
        budget: most tokens of a request's messages; None for no limit, so that nothing is left out.
        draw_wait: seconds that a request may wait for its pages.
        models: patterns of model names that are drawn for although their profile does not say so, and the reader that they count as; an
            empty reader stands for the model's own profile.
        renderer: `chromium`, `pillow`, `bitmap`, or `auto`.
        on: whether requests are rewritten at the start.
        recall: whether requests with pages offer the model `recall_memory`, which the proxy answers itself.
        probe: whether to ask Anthropic's `count_tokens`, which is free, what a request would have had as text: once for each change
            of pages.
        keep_turns: whether the turns of conversations are kept in the store, word for word; pages are in any case.
        otel: whether calls are exported as OpenTelemetry spans, without content.
        origins: pages of other sites that may use the proxy from a browser, as `https://chat.example.com`; none by default.
        keep_days: days after which a conversation that was not used is removed from the store.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    store: str | None = None
    upstreams: Mapping[str, str] = field(default_factory=lambda: dict(UPSTREAMS))
    budget: int | None = None
    draw_wait: float = 0.0
    models: Mapping[str, str] = field(default_factory=dict)
    renderer: str = "auto"
    on: bool = True
    keep_days: float = 30.0
    recall: bool = False
    probe: bool = True
    keep_turns: bool = True
    otel: bool = False
    origins: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"a port is a number from 0 to 65535; got {self.port!r}")
        if self.draw_wait < 0 or not math.isfinite(self.draw_wait):
            raise ValueError(f"draw_wait is a number of seconds, 0 or more; got {self.draw_wait!r}")
        if self.budget is not None and self.budget < 1:
            raise ValueError(f"a budget is a positive number of tokens; got {self.budget!r}")
        for origin in (self.origins,) if isinstance(self.origins, str) else self.origins:
            if origin != "null" and (origin is self.origins or not host_of(origin) or origin.rstrip("/").count("/") != 2):
                raise ValueError(f"origins are a list of https://HOST, http://HOST:PORT or null; got {origin!r}")
        for name, url in self.upstreams.items():
            if not url.startswith(("http://", "https://")) or not name or "/" in name:
                raise ValueError(f"an upstream is NAME=URL with http:// or https://; got {f'{name}={url}'!r}")

    @classmethod
    def read(cls, path: str | os.PathLike[str] | None) -> Self:
        """Read a settings file; None for the defaults. Raises `ValueError` for an unknown or invalid setting, `OSError`."""
        if path is None:
            return cls()
        try:
            given: dict[str, Any] = tomllib.loads(Path(path).expanduser().read_text("utf-8"))
        except tomllib.TOMLDecodeError as exc:
            raise ValueError(f"{os.fspath(path)!r}: {exc}") from exc
        if unknown := set(given) - set(KNOWN):
            raise ValueError(f"{os.fspath(path)!r}: unknown setting {sorted(unknown)[0]!r}; known: {', '.join(KNOWN)}")
        return cls(**{**given, "upstreams": {**UPSTREAMS, **given.get("upstreams", {})}})

    def changed(self, **given: Any) -> Self:
        """The same with those of `given` that are not None; `upstreams` are added to the known ones."""
        changes = {name: value for name, value in given.items() if value is not None}
        if "upstreams" in changes:
            changes["upstreams"] = {**self.upstreams, **changes["upstreams"]}
        return replace(self, **changes)

    def view(self) -> ViewOptions:
        """Return how the past is shown. Without a budget no page is left out: the client's model has no tool to ask for it."""
        options = ViewOptions(renderer=self.renderer)
        if self.budget is None:
            options["forgetting"] = ByAge(tiny=math.inf)
        return options

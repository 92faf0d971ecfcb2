"""Pages of other sites: a browser sends their requests here too, and lets them read what a provider lets anybody read.

A key is the client's, so a page cannot spend it. But an upstream may need no key: a model on this machine, a gateway. And a page whose name
leads here (DNS rebinding) could read every answer. Programs send no `Origin`, and apps have one that no site can have.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ...text.excerpts import excerpt
from ..addresses import host_of
from .routes import header

__all__ = ["LOOPBACK", "Origins"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
OF_SITES = ("http:", "https:")  # apps have schemes of their own: `vscode-file:`, `app:`, `tauri:`
PRIVATE = ("localhost", "local", "internal", "lan", "home", "arpa", "test", "localdomain")  # last parts of names that no site has


class Origins:
    """Decides which pages may send requests on.

    Args:
        allowed: origins of sites, such as `https://chat.example.com`; `null` for files and frames without an origin.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = {each.lower().rstrip("/") for each in allowed}
        self._hosts = {host_of(each) for each in self._allowed}

    def refusal(self, scope: Mapping[str, Any]) -> str:
        """Return why a request is refused, by its ASGI scope; empty if it is not."""
        headers = scope["headers"]
        origin = header(headers, b"origin").lower()
        if origin and not self._may(origin):
            return f"the page {excerpt(origin)} may not use this proxy. Allow it with: --allow-origin ORIGIN"
        if not origin and header(headers, b"sec-fetch-site") == "cross-site":
            return "a page of another site may not use this proxy. Allow it with: --allow-origin ORIGIN"
        host, is_of_a_site = _named(header(headers, b"host") or "localhost")
        if is_of_a_site and _is_loopback(scope) and host not in self._hosts:
            return f"this proxy is not {excerpt(host or '')}. If that name is yours, allow it with: --allow-origin http://NAME"
        return ""

    def _may(self, origin: str) -> bool:
        if origin in self._allowed:
            return True
        return host_of(origin) in LOOPBACK if origin.startswith(OF_SITES) else "://" in origin


def _is_loopback(scope: Mapping[str, Any]) -> bool:
    """Whether the request arrived at an address of this machine alone."""
    server = scope.get("server")
    return server is not None and server[0] in LOOPBACK


@lru_cache(maxsize=64)
def _named(given: str) -> tuple[str | None, bool]:
    """The host in a `Host`, and whether a site can have it. Every request asks, nearly always for the same."""
    host = host_of(f"//{given}")
    return host, _is_of_a_site(host)


def _is_of_a_site(host: str | None) -> bool:
    """Whether a host is a name that a site on the internet can have."""
    if host is None:
        return True
    *before, last = host.rstrip(".").split(".")
    if not before or last in PRIVATE:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False

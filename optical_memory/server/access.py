"""Who may look: this machine without a token, anybody else with one; never a page of another site."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from .addresses import host_of, place_of

__all__ = ["COOKIE", "LOOPBACK", "Access"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
COOKIE = "optical-memory-inspector"


class Access:
    """Decides about requests, by their ASGI scope.

    Args:
        token: what others than this machine must show, in a cookie, the query or an `Authorization: Bearer` header. Without one, only this
            machine is answered.
    """

    def __init__(self, token: str | None = None) -> None:
        self._token = token

    def refusal(self, scope: Mapping[str, Any]) -> str | None:
        """Return why a request is refused; None if it is not."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if other := self._other_site(headers, scope["method"]):
            return other
        if self._token is None:
            return None if self._is_local(scope, headers) else "this address answers only to this machine"
        return (
            None if self._shows_token(scope, headers) else "open the address that was printed when the inspector started: it has the token"
        )

    def _other_site(self, headers: Mapping[bytes, str], method: str) -> str | None:
        """A page of another site may neither post here nor, under a name that leads here, read."""
        host, origin = headers.get(b"host", ""), headers.get(b"origin")
        if origin is not None and place_of(origin) != host:
            return "the request comes from a page of another site"
        if method not in ("GET", "HEAD") and headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "the request comes from a page of another site"
        return None

    def _is_local(self, scope: Mapping[str, Any], headers: Mapping[bytes, str]) -> bool:
        client = scope.get("client")
        host = host_of(f"//{headers.get(b'host', 'localhost')}")
        return (client is None or client[0] in LOOPBACK) and host in LOOPBACK

    def _shows_token(self, scope: Mapping[str, Any], headers: Mapping[bytes, str]) -> bool:
        bearer = headers.get(b"authorization", "")
        given = [bearer.removeprefix("Bearer ")] if bearer.startswith("Bearer ") else []
        given += [token] if (token := self.asked_with(scope)) else []
        with suppress(CookieError):
            given += [morsel.value for name, morsel in SimpleCookie(headers.get(b"cookie", "")).items() if name == COOKIE]
        return any(hmac.compare_digest(each.encode(), (self._token or "").encode()) for each in given)

    def asked_with(self, scope: Mapping[str, Any]) -> str:
        """Return the token in the query; empty without one."""
        return next(iter(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])), "")

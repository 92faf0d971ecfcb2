"""Where a request goes, and which headers go with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from .wire.anthropic import Anthropic
from .wire.chat import Chat
from .wire.gemini import GENERATE, Gemini
from .wire.request import Wire
from .wire.responses import Responses

__all__ = ["CHOOSE", "Headers", "Route", "Router", "credential_of", "header", "request_headers", "response_headers"]

Headers = list[tuple[bytes, bytes]]

CHOOSE = b"x-optical-memory-upstream"  # a request's header that names an upstream; not sent on
HOP = {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
REQUEST_ONLY = {b"host", b"expect", b"proxy-authorization", CHOOSE}
CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        upstream: its name.
        origin: scheme, host and port.
        target: path and query as they are sent, percent-encoded.
        wire: the format of a request that may be rewritten; None for all others.
    """

    upstream: str
    origin: str
    target: bytes
    wire: Wire | None


class Router:
    """Finds the upstream by prefix `/u/NAME/`, by header, or by path. One object of each wire format, since they remember entries."""

    def __init__(self, upstreams: Mapping[str, str]) -> None:
        self._upstreams = dict(upstreams)
        self._anthropic, self._chat, self._responses, self._gemini = Anthropic(), Chat(), Responses(), Gemini()

    def route(self, method: str, raw_path: bytes, query: bytes, headers: Headers) -> Route | None:
        """Return the route of a request; None if it names an upstream that is not known."""
        path = raw_path.decode("latin-1")
        name = header(headers, CHOOSE)
        if path.startswith("/u/"):
            _, _, name, *rest = path.split("/", 3)
            path = "/" + "/".join(rest)
        wire = self._wire(path) if method == "POST" else None
        name = unquote(name) if name else _provider(path, headers)
        if name not in self._upstreams:
            return None
        base = urlsplit(self._upstreams[name])
        target = _joined(name, base.path, path).encode("latin-1") + (b"?" + query if query else b"")
        return Route(name, f"{base.scheme}://{base.netloc}", target, wire)

    def _wire(self, path: str) -> Wire | None:
        if path.endswith("/messages"):
            return self._anthropic
        if path.endswith("/chat/completions"):
            return self._chat
        if path.endswith("/responses"):
            return self._responses
        return self._gemini if GENERATE.search(path) else None


def _provider(path: str, headers: Headers) -> str:
    if path.startswith(("/v1beta", "/v1alpha", "/upload/v1beta")) or header(headers, b"x-goog-api-key"):
        return "gemini"
    if "/messages" in path or header(headers, b"anthropic-version") or header(headers, b"x-api-key") or path.startswith("/api/"):
        return "anthropic"
    return "openai"


def _joined(name: str, base: str, path: str) -> str:
    """Join an upstream's path and a request's. A version that both have stands once; OpenAI's, if neither has it, is added."""
    base = base.rstrip("/")
    if name == "openai" and not base and path in ("/chat/completions", "/responses", "/models", "/embeddings", "/completions"):
        return f"/v1{path}"
    last = base.rpartition("/")[2]
    if last and (path == f"/{last}" or path.startswith(f"/{last}/")):
        path = path[len(last) + 1 :]
    return base + path


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the first header of a name, in lower case; empty if absent."""
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


def request_headers(headers: Headers, origin: str, *, length: int | None = None) -> Headers:
    """Return the headers to send on: as they came, without those of the connection.

    Args:
        length: bytes of the body, if it is sent at once instead of as it arrives.
    """
    gone = _gone(headers) | REQUEST_ONLY
    kept = [(b"host", urlsplit(origin).netloc.rpartition("@")[2].encode()), *((key, value) for key, value in headers if key not in gone)]
    if length is None:
        return kept
    kept = [(key, value) for key, value in kept if key != b"content-length"]
    return [*kept, (b"content-length", str(length).encode())]


def response_headers(headers: Headers) -> Headers:
    """Return an answer's headers without those of the connection."""
    gone = _gone(headers)
    return [(key.lower(), value) for key, value in headers if key.lower() not in gone]


def _gone(headers: Headers) -> set[bytes]:
    named = b",".join(value for key, value in headers if key.lower() == b"connection").lower()
    return HOP | {name.strip() for name in named.split(b",") if name.strip()}


def credential_of(headers: Headers, query: bytes) -> str:
    """Return a hash of the key that a request carries; the key itself is kept nowhere."""
    keys = [value for name in CREDENTIALS for key, value in headers if key == name]
    keys += [value.encode() for value in parse_qs(query.decode("latin-1")).get("key", ())] if b"key=" in query else []
    return hashlib.sha256(b"optical-memory\0" + b"\0".join(keys)).hexdigest()[:16]

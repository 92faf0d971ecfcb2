"""The proxy's own paths: what it did, and its switch. Answers only to this machine, and to no page of another site."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import asdict
from fnmatch import fnmatch
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ...profiles.registry import profile_for_model
from ...text.excerpts import excerpt
from ..addresses import host_of
from .accounts import Accounts
from .calls import Calls
from .forwarding import Receive, Send
from .records import Record, Records
from .rewriting import Rewriter
from .summary import conversations_of

__all__ = ["OWN_PATHS", "SWITCHES", "Api"]

SWITCHES = "switches"
MOST_NAMES = 1_000  # switched by name, of each kind
LOOPBACK = ("127.0.0.1", "::1", "localhost")
OWN_PATHS = ("/api/conversations", "/api/requests", "/api/switch", "/metrics")


class Api:
    """`GET /api/conversations`, `GET /api/requests`, `GET` and `POST /api/switch`, `GET /metrics`."""

    def __init__(self, rewriter: Rewriter, records: Records, calls: Calls, accounts: Accounts, models: Collection[str] = ()) -> None:
        self._rewriter, self._records, self._calls, self._accounts, self._models = rewriter, records, calls, accounts, models
        routes = [
            Route("/api/conversations", self._conversations),
            Route("/api/requests", self._requests),
            Route("/api/switch", self._switches),
            Route("/api/switch", self._switch, methods=["POST"]),
            Route("/metrics", self._metrics),
        ]
        self._app = Starlette(routes=routes)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = self._app if _is_local(scope) else PlainTextResponse("only for this machine\n", 403)
        await app(scope, receive, send)  # type: ignore[arg-type]

    async def _all(self) -> Collection[Record]:
        """The record of each line, the newest of it."""
        records = {record.id: record for record in await asyncio.to_thread(self._records.all)}
        return (records | {line.record.id: line.record for line in self._rewriter.conversations.lines()}).values()

    async def _conversations(self, request: Request) -> Response:
        switches = self._rewriter.switches.conversations
        found = conversations_of(await self._all())
        return JSONResponse([{**each, "on": switches.get(each["conversation"], True)} for each in found])

    async def _requests(self, request: Request) -> Response:
        wanted = request.query_params.get("limit", "100")
        most = int(wanted) if wanted.isdigit() else 100
        return JSONResponse([call.plain() for call in self._calls.last(most)])

    async def _switches(self, request: Request) -> Response:
        corrections = {model: asdict(each) for model, each in self._accounts.corrections.items()}
        return JSONResponse({**self._rewriter.switches.plain(), "corrections": corrections})

    async def _switch(self, request: Request) -> Response:
        try:
            given = await request.json()
        except ValueError:
            given = None
        on: Any = given.get("on") if isinstance(given, dict) else 0
        names = [given.get(name) for name in ("model", "conversation")] if isinstance(given, dict) else []
        if not isinstance(on, bool | None) or any(not isinstance(name, str | None) for name in names):
            wanted = 'JSON {"on": true | false | null, "model": NAME, "conversation": NAME}, both names optional'
            return JSONResponse({"error": f"expected {wanted}"}, 422)
        if on is not None and (problem := await self._unknown(*names)):
            return JSONResponse({"error": problem}, 422)
        self._rewriter.switches.set(on, model=names[0], conversation=names[1])
        await asyncio.to_thread(self._records.put, SWITCHES, self._rewriter.switches.plain())
        return JSONResponse(self._rewriter.switches.plain())

    async def _unknown(self, model: str | None, conversation: str | None) -> str:
        """Return why nothing can be switched by these names: nobody knows them, or there are too many. Empty if it can."""
        switches, records = self._rewriter.switches, await self._all()
        if conversation is not None and all(record.conversation != conversation for record in records):
            return f"no conversation {excerpt(conversation)}; GET /api/conversations lists them"
        known = model is None or profile_for_model(model) is not None or any(fnmatch(model, pattern) for pattern in self._models)
        if not known and all(record.model != model for record in records):
            return f"no model {excerpt(model or '')}: no profile knows it, and no conversation has used it"
        for name, given in ((model, switches.models), (conversation, switches.conversations)):
            if name is not None and name not in given and len(given) >= MOST_NAMES:
                return f'{MOST_NAMES:,} names are switched already; take one back with "on": null'
        return ""

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(self._calls.prometheus(), media_type="text/plain; version=0.0.4")


def _is_local(scope: Mapping[str, Any]) -> bool:
    """Whether a request comes from this machine, and from no page of another site, whatever name that site has."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    host = host_of(f"//{headers.get(b'host', 'localhost')}")
    origin = host_of(headers[b"origin"]) if b"origin" in headers else "localhost"
    return (client is None or client[0] in LOOPBACK) and host in LOOPBACK and origin in LOOPBACK

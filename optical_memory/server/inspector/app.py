"""The inspector as an ASGI application: pages of HTML made here, and a stream of events that says when to look again.

Every path begins with `/inspect/`, so that it fits in front of a proxy. Nothing but erasing and the proxy's switch changes anything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from ...errors import OpticalMemoryError, TurnNotFound
from ...memory.erasure import Erasure
from ...pages.tiers import Tier
from ...stores.base import SessionId, Store
from ...text.excerpts import excerpt
from ..access import COOKIE, Access
from .headers import HEADERS
from .line_view import LineView
from .pages_of_html import Html
from .proxy_window import ProxyWindow
from .session_view import SessionView

__all__ = ["PREFIX", "Inspector"]

PREFIX = "/inspect/"
POLL_SECONDS = 0.7  # between two looks into the store for a page that is open
HEARTBEAT_SECONDS = 15.0
MOST_FOUND = 50
LONGEST_BODY = 64 * 1024  # bytes of a request to erase


class Inspector:
    """Shows the sessions of a store, and the proxy's conversations.

    Args:
        access: who may look.
        proxy: the proxy in this process, or what its store says about it.
        may_erase: whether turns and sessions can be erased here.
    """

    def __init__(self, store: Store, access: Access, proxy: ProxyWindow, *, may_erase: bool = True) -> None:
        self._store, self._access, self._proxy, self._may_erase = store, access, proxy, may_erase
        self._html = Html(may_erase=may_erase)
        views: dict[str, Callable[[Request], Any]] = {
            "": self._overview,
            "session": self._session,
            "session/turns": self._turns,
            "session/turn": self._turn,
            "session/live": self._live,
            "page": self._page,
            "picture": self._picture,
            "search": self._search,
            "conversation": self._conversation,
            "requests": self._requests,
            "events": self._events,
            "static/{file}": self._static,
        }
        routes = [Route(PREFIX + path, view) for path, view in views.items()]
        routes.append(Route(PREFIX + "erase", self._erase, methods=["POST"]))
        self._app = Starlette(routes=routes, exception_handlers={HTTPException: _said, OpticalMemoryError: _failed, ValueError: _misused})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if refusal := self._access.refusal(scope):
            await PlainTextResponse(refusal + "\n", 403, HEADERS)(scope, receive, send)
        elif token := self._access.asked_with(scope):
            await self._remembering(token)(scope, receive, send)
        elif scope["path"] == "/":
            await RedirectResponse(PREFIX, 302, HEADERS)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _remembering(self, token: str) -> Response:
        """Put the token into a cookie, so that it does not stay in addresses."""
        answer = RedirectResponse(PREFIX, 302, HEADERS)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", path="/")
        return answer

    # -- views: plain functions run in a worker thread -----------------------------------------------------------------------------

    def _overview(self, request: Request) -> Response:
        tenant = request.query_params.get("tenant", "")
        return self._html.answer(
            "overview.html",
            tenant=tenant,
            store=self._store.url,
            sessions=sorted(
                self._store.sessions(tenant), key=lambda each: each.last_append or datetime.min.replace(tzinfo=UTC), reverse=True
            ),
            conversations=self._proxy.conversations(),
            proxy=self._proxy,
        )

    def _session(self, request: Request) -> Response:
        view = self._view(request)
        if not view.length and not view.readers:
            raise HTTPException(404, f"this store has no session {excerpt(view.session.name)}")
        return self._html.answer("session.html", **self._html.session(view, request.query_params.get("epoch")))

    def _live(self, request: Request) -> Response:
        view = self._view(request)
        return self._html.answer("session_live.html", **self._html.session(view, request.query_params.get("epoch")))

    def _turns(self, request: Request) -> Response:
        view, block = self._view(request), _number(request, "block")
        return self._html.answer("turns.html", **self._html.turns(view, block))

    def _turn(self, request: Request) -> Response:
        view, number = self._view(request), _number(request, "number")
        turn = view.turns(number, number).get(number)
        if turn is None:
            raise TurnNotFound(number, view.length)
        return self._html.answer("turn.html", turn=turn)

    def _page(self, request: Request) -> Response:
        view, key = self._view(request), request.query_params.get("key", "")
        shown = self._html.page(view, key, _tier(request))
        if shown is None:
            raise HTTPException(404, "this page is in no plan of the session: its turns were sealed again, or erased")
        return self._html.answer("page.html", **shown)

    def _picture(self, request: Request) -> Response:
        view, key = self._view(request), request.query_params.get("key", "")
        found = self._html.item(view, key)
        page = view.pages([found]).get(key) if found else None
        png = view.picture(page, _tier(request) or found.tier) if page and found else None
        if png is None:
            raise HTTPException(404, "the image is not in the store; the next context draws it again")
        return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=300"})

    def _search(self, request: Request) -> Response:
        view, query = self._view(request), request.query_params.get("q", "")
        found = view.search(query, MOST_FOUND) if query.strip() else []
        return self._html.answer("search.html", view=view, query=query, found=found, most=MOST_FOUND)

    def _conversation(self, request: Request) -> Response:
        name = request.query_params.get("id", "")
        found = next((each for each in self._proxy.conversations() if each["conversation"] == name), None)
        if found is None:
            raise HTTPException(404, f"no conversation {excerpt(name)}")
        calls = [call for call in self._proxy.calls() if call["conversation"] == name]
        return self._html.answer("conversation.html", **self._html.conversation(found, calls), proxy=self._proxy)

    def _requests(self, request: Request) -> Response:
        return self._html.answer("requests.html", calls=self._proxy.calls(), proxy=self._proxy)

    def _static(self, request: Request) -> Response:
        kinds = {"inspector.css": "text/css", "inspector.js": "text/javascript", "icon.svg": "image/svg+xml"}
        if (file := request.path_params["file"]) not in kinds:
            raise HTTPException(404, "no such file")
        text = resources.files("optical_memory.server.inspector").joinpath(f"static/{file}").read_text("utf-8")
        return Response(text, media_type=kinds[file], headers={"cache-control": "private, max-age=60"})

    # -- live updates and erasing --------------------------------------------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        """Stream an event whenever what an open page shows has changed."""
        return StreamingResponse(self._changes(request), media_type="text/event-stream")

    async def _changes(self, request: Request) -> AsyncIterator[str]:
        last, quiet = "", 0.0
        while True:
            state = json.dumps(await asyncio.to_thread(self._state, request))
            if state != last:
                yield f"event: state\ndata: {state}\n\n"
                last, quiet = state, 0.0
            elif quiet >= HEARTBEAT_SECONDS:
                yield ": nothing new\n\n"
                quiet = 0.0
            await asyncio.sleep(POLL_SECONDS)
            quiet += POLL_SECONDS

    def _state(self, request: Request) -> dict[str, Any]:
        try:
            if not request.query_params.keys() & {"name", "line"}:
                listed = tuple((each.id.name, each.turns) for each in self._store.sessions(request.query_params.get("tenant", "")))
                return {"sessions": hash(listed), "calls": self._proxy.count(), "switches": self._proxy.switches}
            view = self._view(request)
            return {"length": view.length, "epoch": view.plan.epoch if view.plan else 0, "reader": view.reader}
        except OpticalMemoryError as exc:
            return {"error": str(exc)}

    async def _erase(self, request: Request) -> Response:
        if not self._may_erase:
            raise HTTPException(403, "erasing is switched off here")
        body = b"".join([chunk async for chunk in _bounded(request)])
        given = json.loads(body)
        name, tenant, numbers = (given.get(key) for key in ("name", "tenant", "numbers")) if isinstance(given, dict) else (None,) * 3
        if not isinstance(name, str) or not name or not isinstance(tenant, str) or not _are_numbers(numbers):
            raise ValueError('expected JSON {"name": NAME, "tenant": TENANT, "numbers": [1, 2] | null}')
        return await asyncio.to_thread(self._erased, SessionId(name, tenant), numbers)

    def _erased(self, session: SessionId, numbers: list[int] | None) -> Response:
        length = self._store.length(session)
        if missing := [number for number in numbers or () if not 1 <= number <= length]:
            return JSONResponse({"error": str(TurnNotFound(missing[0], length))}, 404)
        erasure = Erasure(self._store, session)
        report = erasure.erase_session() if numbers is None else erasure.erase_turns(numbers)
        proof = erasure.prove(numbers)
        traces = [{"place": trace.place, "clean": trace.clean, "details": trace.details} for trace in proof.traces]
        return JSONResponse({"turns": len(report.turns), "pages": report.pages, "proof": traces})

    def _view(self, request: Request) -> SessionView:
        asked = request.query_params
        if name := asked.get("line"):
            if (record := self._proxy.line(name)) is None:
                raise HTTPException(404, f"no conversation has a line {excerpt(name)}")
            return LineView(self._store, record)
        return SessionView(self._store, SessionId(asked.get("name", ""), asked.get("tenant", "")), asked.get("reader"))


def _tier(request: Request) -> Tier | None:
    given = request.query_params.get("tier")
    return Tier.parse(given) if given else None


def _number(request: Request, name: str) -> int:
    given = request.query_params.get(name, "")
    if not given.isdecimal() or len(given) > 12:
        raise ValueError(f"{name} is a whole number; got {excerpt(given)}")
    return int(given)


def _are_numbers(value: object) -> bool:
    return value is None or (isinstance(value, list) and bool(value) and all(type(each) is int for each in value))


async def _bounded(request: Request) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LONGEST_BODY:
            raise HTTPException(413, "the body is too long")
        yield chunk


def _with_headers(send: Send) -> Send:
    """Add the headers that keep content from running or loading anything."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending


async def _said(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return _error(exc.status_code, exc.detail)


async def _failed(request: Request, exc: Exception) -> Response:
    return _error(404 if isinstance(exc, TurnNotFound) else 503, str(exc))


async def _misused(request: Request, exc: Exception) -> Response:
    return _error(422, str(exc))


def _error(status: int, text: str) -> Response:
    return HTMLResponse(Html().render("error.html", status=status, text=text), status)

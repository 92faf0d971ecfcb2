"""One answer for the client out of several of the provider: its calls of `recall_memory` are answered on the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx

from ..encodings import UNREADABLE, decoder_of
from ..forwarding import Answer, Send
from ..raw_json import edited, members
from ..routes import Headers, header
from ..usage import AnswerCopy, Billed, billed_of
from .answers.anthropic import AnthropicAnswers
from .answers.base import Answers, RecallCall
from .answers.chat import ChatAnswers
from .answers.gemini import GeminiAnswers
from .answers.responses import ResponsesAnswers
from .events import EventReader, data_of
from .exchanges import at_the_end
from .offer import into_list

__all__ = ["MOST_ROUNDS", "Offer", "Rounds"]

MOST_ROUNDS = 4  # recalls on the way to one answer
MOST_BYTES = 32 * 2**20  # of an answer that comes at once
MESSAGES = {"anthropic": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}

Post = Callable[[bytes], Awaitable[Answer]]
LookUp = Callable[[RecallCall], Awaitable[str]]
Keep = Callable[[list[Any], dict[str, Any]], None]


class Offer:
    """A request that offers the tool.

    Args:
        wire: name of its format.
        body: as it is sent.
        without: the same without the tool, and without anything that was recalled.
        stored: whether the provider keeps the answer.
    """

    def __init__(self, wire: str, body: bytes, without: bytes, *, stored: bool) -> None:
        self.wire, self.body, self.without, self.stored = wire, body, without, stored

    def answers(self) -> Answers:
        """Return what takes the provider's answers to it."""
        if self.wire == "responses":
            return ResponsesAnswers(stored=self.stored)
        made: Mapping[str, Callable[[], Answers]] = {"anthropic": AnthropicAnswers, "chat": ChatAnswers, "gemini": GeminiAnswers}
        return made[self.wire]()


class Rounds:
    """Relays one answer.

    Args:
        post: sends a body to the provider.
        look_up: answers a call of the tool.

        keep: takes what the client sees, and the exchange that stands in its stead in the next requests.

    Attributes:
        recalls: calls that were answered.
    """

    def __init__(self, offer: Offer, post: Post, look_up: LookUp, keep: Keep, send: Send) -> None:
        self._offer, self._post, self._look_up, self._keep, self._send = offer, post, look_up, keep, send
        self._answers = offer.answers()
        self._said: list[Any] = []
        self._open: Answer | None = None
        self._rounds = 0
        self._has_changed = self._gives_up = False
        self.recalls = 0

    @property
    def bills(self) -> list[Billed | None]:
        """What each round was billed."""
        return [billed_of(usage, self._offer.wire) for usage in self._answers.usages.rounds]

    async def relay(self, answer: Answer, copy: AnswerCopy) -> None:
        """Send what the client is to see of an answer, and of those that follow. Raises `httpx.TransportError` if one is cut."""
        streams = header(answer.headers, b"content-type").startswith("text/event-stream")
        decode = decoder_of(header(answer.headers, b"content-encoding"))
        if decode is None:
            await self._as_it_came(answer, copy, [])
        else:
            await (self._streamed(answer, copy) if streams else self._at_once(answer, copy))

    async def close(self) -> None:
        """Close the answer that is read now."""
        if self._open is not None:
            await self._open.close()

    # -- streams -------------------------------------------------------------------------------------------------------------------

    async def _streamed(self, answer: Answer, copy: AnswerCopy) -> None:
        await self._start(answer.status, _plain(answer.headers))
        await self._round(answer, copy)
        while self._answers.goes_on:
            answer = await self._next()
            if not 200 <= answer.status < 300:
                raise httpx.RemoteProtocolError(f"status {answer.status} in the middle of an answer")
            await self._round(answer, copy)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _start(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _round(self, answer: Answer, copy: AnswerCopy) -> None:
        concluded = False
        async for events in _events(answer):
            shown = b"".join([self._shown(event) for event in events])
            if self._answers.has_ended and not self._answers.goes_on and not concluded:
                concluded = True
                await self._conclude()  # first, since the client may send its next request once it has the end
            if shown:
                await self._send({"type": "http.response.body", "body": shown, "more_body": True})
                copy.add(shown)

    def _shown(self, event: bytes) -> bytes:
        """Return what the client gets of an event. One that is not understood passes, as all after it, unless some were changed already.

        Raises `httpx.RemoteProtocolError` if it has.
        """
        if self._gives_up:
            return event
        try:
            shown = self._answers.event(event, data_of(event))
        except Exception as exc:
            if self._has_changed:
                raise httpx.RemoteProtocolError(f"an event was not understood: {type(exc).__name__}") from exc
            self._gives_up = self._answers.is_last = True
            return event
        self._has_changed = self._has_changed or shown != event
        return shown

    # -- whole ---------------------------------------------------------------------------------------------------------------------

    async def _at_once(self, answer: Answer, copy: AnswerCopy) -> None:
        is_read = False
        while True:
            chunks, is_whole = await _read(answer)
            if not is_whole:
                await self._as_it_came(answer, copy, chunks)
                return
            plain = _object(b"".join(chunks), answer) if 200 <= answer.status < 300 else None
            if plain is None:
                break
            try:
                self._answers.whole(plain)
            except Exception:  # a shape that is not understood: the answer passes as it came
                break
            if not self._answers.goes_on:
                await self._conclude()
                is_read = True
                break
            answer = await self._next()
        body, headers = b"".join(chunks), answer.headers
        if is_read and self._has_hidden:
            body = json.dumps(self._answers.merged(), ensure_ascii=False).encode("utf-8", "surrogatepass")
            headers = [*_plain(headers), (b"content-length", str(len(body)).encode())]
        copy.add(body)
        await self._start(answer.status, headers)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _as_it_came(self, answer: Answer, copy: AnswerCopy, read: Sequence[bytes]) -> None:
        """Send an answer on that cannot be read."""
        await self._start(answer.status, answer.headers)
        for chunk in read:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        async for chunk in answer.chunks():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            copy.add(chunk)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    # -- rounds --------------------------------------------------------------------------------------------------------------------

    @property
    def _has_hidden(self) -> bool:
        return bool(self.recalls or self._answers.calls)

    async def _results(self) -> list[Any]:
        calls = self._answers.calls
        self.recalls += len(calls)
        return self._answers.results([await self._look_up(call) for call in calls])

    async def _next(self) -> Answer:
        """Answer the calls, and go on.

        If the provider refuses that, or after too many rounds, the answer goes on from the request without the tool, and without what
        was recalled: it is never worse than without recall, and never a refusal for what the client has not sent.
        """
        await self.close()
        results = await self._results()
        self._said += [*self._answers.said(), *results]
        self._rounds += 1
        self._answers.begin()
        if self._rounds <= MOST_ROUNDS:
            answer = self._open = await self._post(_appended(self._offer, self._said))
            if 200 <= answer.status < 300:
                return answer
            await answer.close()
        self._answers.is_last = True
        answer = self._open = await self._post(self._offer.without)
        return answer

    async def _conclude(self) -> None:
        """Keep what the client does not see for its next requests."""
        calls = self._answers.calls
        if self._answers.is_last or not self._has_hidden or any(call.arguments is None for call in calls):
            return
        said = [*self._said, *self._answers.said()]
        exchange = at_the_end(said, await self._results(), wire=self._offer.wire) if calls else {"said": said, "parts": []}
        self._keep(self._answers.visible(), exchange)


def _plain(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name not in (b"content-encoding", b"content-length", b"transfer-encoding")]


def _appended(offer: Offer, said: Sequence[Any]) -> bytes:
    """Return the body with more messages at its end. Raises `NotUnderstood`, which the body as it was sent never does."""
    text = offer.body.decode("utf-8", "surrogatepass")
    return edited(text, [into_list(members(text)[MESSAGES[offer.wire]], list(said))])


async def _events(answer: Answer) -> AsyncIterator[list[bytes]]:
    """Yield the events of a stream, those of a chunk together; a last one without its end as it came."""
    decode = decoder_of(header(answer.headers, b"content-encoding"))
    reader = EventReader()
    assert decode is not None
    async for chunk in answer.chunks():
        try:
            plain = decode(chunk)
        except UNREADABLE as exc:
            raise httpx.RemoteProtocolError(str(exc)) from exc
        if events := list(reader.add(plain)):
            yield events
    if rest := reader.rest():
        yield [rest]


async def _read(answer: Answer) -> tuple[list[bytes], bool]:
    """Return the chunks of an answer, and whether they are all: of one that is too large, only the first."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.chunks():
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            return chunks, False
    return chunks, True


def _object(body: bytes, answer: Answer) -> dict[str, Any] | None:
    """Return a body as a JSON object; None if it is none."""
    decode = decoder_of(header(answer.headers, b"content-encoding"))
    try:
        value = json.loads(decode(body)) if decode is not None else None
    except UNREADABLE:
        return None
    return value if isinstance(value, dict) else None

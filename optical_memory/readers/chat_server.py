"""A model behind a server that speaks OpenAI's chat completions: vLLM, SGLang, LMDeploy, llama.cpp, or a hosted one.

Pages are sent as identical PNG bytes every time, and to vLLM with stable ids, so that the server's encoder cache and prefix cache hit.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..context.context import Context
from ..context.messages.openai_anthropic import to_openai
from ..errors import MissingExtra, ReaderError, ReaderUnavailable, UnknownName
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..profiles.registry import known_readers, profile_for_model, profile_of
from ..text.excerpts import said, shape
from .engines import Engine, engine_of
from .prompts import READ_PAGE, Picture, Words, context_pieces, picture_of
from .streaming import StreamedAnswer

if TYPE_CHECKING:
    import httpx
    import torch

__all__ = ["ChatAnswer", "ChatModelReader", "ServerUsage", "VllmReader"]

TIMEOUT = 120.0  # s without data from the server
RETRIES = 3  # after the first try, before the first piece only
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0  # s between tries, doubled each time
ANSWER_TOKENS = 1024
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_log = logging.getLogger(__name__)

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServerUsage:
    """Tokens as the server counted them. `cached` of them came from its prompt cache; 0 if it does not report that."""

    prompt_tokens: int
    answer_tokens: int
    cached: int = 0


@dataclass(slots=True)
class _Progress:
    """Stop reason and usage of an answer, as received so far."""

    stopped: str | None = None
    usage: ServerUsage | None = None

    def take(self, event: dict[str, Any]) -> Iterator[str]:
        """Yield the text in an event. Raises `ReaderUnavailable` for an error event."""
        if "error" in event:
            raise ReaderUnavailable(f"the server says: {_short(event['error'])}")
        if counted := event.get("usage"):
            cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            self.usage = ServerUsage(counted.get("prompt_tokens") or 0, counted.get("completion_tokens") or 0, cached)
        for choice in event.get("choices") or ():
            piece = (choice.get("delta") or {}).get("content") or choice.get("text") or ""
            if piece:
                yield piece
            if reason := choice.get("finish_reason"):
                self.stopped = {"length": "length", "stop": "end"}.get(reason, reason)


class ChatAnswer(StreamedAnswer):
    """An answer streamed by a server. The first iteration sends the request; `cancel` closes the connection."""

    def __init__(self, reader: ChatModelReader, path: str, body: dict[str, Any]) -> None:
        self._progress = _Progress()
        super().__init__(lambda cancelled: self._read(reader, path, body, cancelled), self._progress)

    @property
    def usage(self) -> ServerUsage | None:
        """Tokens as billed; None until the server reports them."""
        return self._progress.usage

    def _read(self, reader: ChatModelReader, path: str, body: dict[str, Any], cancelled: Callable[[], bool]) -> Iterator[str]:
        ended, length = False, 0
        for event in () if cancelled() else reader._events(path, body):
            if ended := event == "[DONE]":
                break
            for piece in self._progress.take(_decoded(event)):
                length += len(piece)
                yield piece
            if cancelled():
                break
        if cancelled():
            self._progress.stopped = "cancelled"
        elif not ended and self._progress.stopped is None:
            raise ReaderUnavailable(f"{reader.where} broke off after {length} characters; what came is in answer.text")
        self._progress.stopped = self._progress.stopped or "end"


class ChatModelReader:
    """A model behind a server.

    Args:
        url: of the API, with its version: `http://127.0.0.1:8000/v1`.
        model: its name there.
        engine: the kind of server: `openai`, `vllm`, `sglang`, `lmdeploy`, `llama.cpp`.
        profile: its prices; by default looked up by the model's name.
        api_key: sent as a bearer token; never shown.
        timeout: seconds without data from the server.
        headers: of every request; a router may use one to keep a session on one replica.
        options: fields of every request: `temperature`, `top_p`, ....

    Raises `MissingExtra`, `UnknownName` for a model without a profile.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        engine: str | Engine = "openai",
        profile: str | ReaderProfile | None = None,
        api_key: str | None = None,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        headers: dict[str, str] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError as exc:
            raise MissingExtra("a reader behind a server", "serving") from exc
        self.engine, self.model = engine_of(engine), model
        self.deepseek = profile is None and "ocr" in model.lower() and ("deepseek" in model.lower() or "unlimited" in model.lower())
        self.profile = self._profile(profile)
        self.deepseek = self.deepseek or self.profile.formula.kind == "deepseek"
        self._options, self._retries, self._errors = dict(options or {}), retries, httpx.HTTPError
        sent = {**(headers or {}), **({"Authorization": f"Bearer {api_key}"} if api_key else {})}
        self._client = httpx.Client(base_url=url.rstrip("/") + "/", headers=sent, timeout=timeout)
        self.where = f"the server at {httpx.URL(url).host}:{httpx.URL(url).port or 80}"

    def answer(self, context: Context, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> ChatAnswer:
        """Answer a question about a context. Iterating raises `ReaderUnavailable`, and `RenderError` for a lost picture.

        Raises `ReaderError` for a request that this server is known to answer wrongly.
        """
        messages = self._plain(context, question) if self.deepseek else self._chat(context, question)
        return self._ask(messages, ANSWER_TOKENS if max_tokens is None else max_tokens, stop)

    def transcribe(self, page: Page | bytes | Image.Image, *, tier: Tier | str = Tier.BASE, max_tokens: int | None = None) -> str:
        """Transcribe a page shown at a tier."""
        picture = picture_of(page, self._shown(Tier.parse(tier)))
        blocks = [self._picture(picture), {"type": "text", "text": "\nFree OCR." if self.deepseek else READ_PAGE}]
        expected = int(1.5 * page.text_tokens) + 64 if isinstance(page, Page) else 4096
        return str(self._ask([{"role": "user", "content": blocks}], expected if max_tokens is None else max_tokens, ()))

    def look(self, page: Page | bytes | Image.Image, question: str, *, tier: Tier | str, max_tokens: int = ANSWER_TOKENS) -> ChatAnswer:
        """Answer a question about one page at exactly this tier; the request holds nothing else."""
        blocks = [self._picture(picture_of(page, tier)), {"type": "text", "text": question}]
        return self._ask([{"role": "user", "content": blocks}], max_tokens, ())

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where!r}, {self.model!r})"

    # -- requests --------------------------------------------------------------------------------------------------------------------

    def _profile(self, given: str | ReaderProfile | None) -> ReaderProfile:
        if given is not None:
            return profile_of(given)
        if self.deepseek and self.engine.deepseek_profile:
            return profile_of(self.engine.deepseek_profile)
        found = profile_for_model(self.model)
        if found is None:
            raise UnknownName("profile of model", self.model, [*known_readers(), "or pass profile=ReaderProfile(...)"])
        return found

    def _shown(self, tier: Tier) -> Tier:
        """The next larger tier of the profile's ladder, or its largest."""
        ladder = self.profile.ladder or (tier,)
        return next((rung for rung in ladder if rung >= tier), ladder[-1])

    def _chat(self, context: Context, question: str) -> list[Block]:
        """Messages with roles."""
        messages: list[Block] = to_openai(context)
        if self.engine.picture_ids:
            messages = [_with_ids(message) for message in messages]
        return [*messages, {"role": "user", "content": question}]

    def _plain(self, context: Context, question: str) -> list[Block]:
        """One message: DeepSeek-OCR's template has no roles, and wants them to alternate."""
        blocks: list[Block] = []
        for piece in context_pieces(context):
            if isinstance(piece, Picture):
                blocks.append(self._picture(piece))
            elif blocks and blocks[-1]["type"] == "text":
                blocks[-1]["text"] += piece.text
            else:
                blocks.append({"type": "text", "text": piece.text})
        pictures = sum(block["type"] == "image_url" for block in blocks)
        limit = self.engine.deepseek_pictures
        if limit and pictures > limit:
            raise ReaderError(
                f"{self.engine.name} cuts DeepSeek-OCR's tiles only in requests of at most {limit} pictures: what {pictures} pages cost "
                "and show would depend on each other. Use vLLM, ask for a smaller context, or read page by page with transcribe()"
            )
        words = Words(f"user: {question}\nassistant:")
        return [{"role": "user", "content": [*blocks, {"type": "text", "text": words.text}]}]

    def _picture(self, picture: Picture) -> Block:
        url = "data:image/png;base64," + base64.b64encode(picture.png()).decode("ascii")
        block: Block = {"type": "image_url", "image_url": {"url": url}}
        return _identified(block) if self.engine.picture_ids else block

    def _ask(self, messages: Sequence[Block], max_tokens: int, stop: Sequence[str]) -> ChatAnswer:
        if max_tokens < 1:
            raise ValueError(f"max_tokens={max_tokens} leaves no room for an answer")
        body: dict[str, Any] = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens, "stream": True}
        body["stream_options"] = {"include_usage": True}
        if self.deepseek:
            body |= {"temperature": 0.0, **dict(self.engine.deepseek_extra)}
        return ChatAnswer(self, "chat/completions", body | ({"stop": list(stop)} if stop else {}) | self._options)

    def _events(self, path: str, body: dict[str, Any]) -> Iterator[str]:
        """The data of server-sent events. Retries only while no event has arrived."""
        for attempt in range(self._retries + 1):
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1.0)
            begun = False
            try:
                with self._client.stream("POST", path, json=body) as response:
                    self._check(response)
                    for line in response.iter_lines():
                        if line.startswith("data:"):
                            begun = True
                            yield line.removeprefix("data:").strip()
                    return
            except _TryAgain as exc:
                reason, pause = str(exc), min(LONGEST_PAUSE, exc.after or pause)
            except self._errors as exc:
                reason = f"{type(exc).__name__}: {said(exc)}"
            if begun or attempt == self._retries:
                raise ReaderUnavailable(f"{self.where} does not answer: {reason}")
            _log.warning("%s: %s; trying again in %.1f s", self.where, reason, pause)
            time.sleep(pause)

    def _check(self, response: httpx.Response) -> None:
        if response.status_code == 200:
            return
        response.read()
        reason = f"status {response.status_code}, {_short(response.text)}"
        if response.status_code in RETRIED:
            after = response.headers.get("retry-after", "")
            raise _TryAgain(reason, float(after) if after.replace(".", "", 1).isdigit() else None)
        raise ReaderUnavailable(f"{self.where} refuses: {reason}")


class VllmReader(ChatModelReader):
    """A model behind vLLM: pictures carry ids, the keys of its encoder cache and prefix cache."""

    def __init__(self, url: str, model: str, **options: Any) -> None:
        super().__init__(url, model, engine="vllm", **options)

    def complete(self, embeds: torch.Tensor, *, prompt: str = "", max_tokens: int = ANSWER_TOKENS) -> ChatAnswer:
        """Complete a prompt of rows (T, hidden) made by `DeepseekOcrReader.prompt_rows`. Needs vLLM with `--enable-prompt-embeds`.

        Raises `ReaderError` for an additional `prompt`: vLLM's prefix cache leaves out of its key which rows were tokens, and gives wrong
        hits (vllm issue 56655). Embed the text, too.
        """
        if prompt:
            raise ReaderError("vLLM confuses prompts that mix embeddings and text (vllm issue 56655); embed the text and pass rows alone")
        import torch

        buffer = io.BytesIO()
        torch.save(embeds.detach().cpu().contiguous(), buffer)
        body = {"model": self.model, "prompt_embeds": base64.b64encode(buffer.getvalue()).decode("ascii"), "max_tokens": max_tokens}
        return ChatAnswer(self, "completions", body | {"stream": True, "stream_options": {"include_usage": True}} | self._options)


class _TryAgain(Exception):
    def __init__(self, reason: str, after: float | None) -> None:
        super().__init__(reason)
        self.after = after


def _with_ids(message: Block) -> Block:
    if not isinstance(message.get("content"), list):
        return message
    blocks = [_identified(block) if block.get("type") == "image_url" else block for block in message["content"]]
    return {**message, "content": blocks}


def _identified(block: Block) -> Block:
    """With an id derived from the bytes of the picture."""
    return {**block, "uuid": hashlib.sha256(block["image_url"]["url"].encode()).hexdigest()[:32]}


def _decoded(event: str) -> dict[str, Any]:
    try:
        found = json.loads(event)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ReaderUnavailable(f"the server sent what is no event of a chat completion: {shape(event)}. Is its URL right?")
    return found


def _short(answer: object) -> str:
    return said(answer) or "(nothing)"

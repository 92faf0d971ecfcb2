"""DeepSeek-OCR and Unlimited-OCR in this process: pages go in as DeepEncoder tokens, spliced between the tokens of the text.

A page at a tier is encoded once (`vision_cache`), a prompt's beginning is prefilled once (`deepseek_ocr.prefixes`), and an answer comes
token by token. Neither model was tuned to chat: DeepSeek-OCR transcribes pages, and answers questions only as well as a text
completion model can.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..context.context import Context
from ..errors import ContextTooLong, MissingExtra
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_of
from .prompts import Picture, Piece, Words, context_pieces, picture_of
from .streaming import ReaderStats, StreamedAnswer
from .structured_output import ParsedPage, Task, parse_output, task_of
from .vision_cache import FolderShelf, PageKey, Payload, VisionCache, default_folder

if TYPE_CHECKING:
    import torch

    from ..deepseek_ocr.configuration import Family
    from ..deepseek_ocr.generation import Outcome
    from ..deepseek_ocr.kv_cache import KVCache
    from ..deepseek_ocr.sampling import Sampling

__all__ = ["DeepseekOcrReader", "ReaderStats", "StreamedAnswer", "UnlimitedOcrReader"]

ANSWER_TOKENS = 512
PAGE_MARGIN = 1.5  # most tokens of a transcription, as a multiple of the page's text tokens
PAGES_AT_ONCE = 8  # whose pixels are in memory together: 12 MB each at Base
TABLE_CELLS = ("<td>", "</td>")  # may repeat: the published recipe's whitelist
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Segment:
    """A link of a prompt's chain: text tokens, or a picture of `length` rows."""

    key: str
    length: int
    ids: tuple[int, ...] = ()
    picture: Picture | None = None


class DeepseekOcrReader:
    """DeepSeek-OCR, run here.

    Args:
        weights: a folder, or the id of a model in the local hub cache; the published one by default.
        dtype: `bfloat16`, `float32`, or `auto`: bfloat16 where the processor or GPU computes with it.
        device: `cpu`, `cuda`, `cuda:1`, ..., or `auto`: a GPU if there is one.
        cache: vision tokens; kept in memory and in the user's cache folder by default.
        prefix_bytes: keys and values of prompts kept at most.
        compile: compile the encoder with torch.compile; pays after some hundred pages on a GPU.

    Raises `WeightsNotFound`, `WeightsMismatch`, `MissingExtra`. Safe for threads, which alternate token by token.
    """

    family: Family = "deepseek-ocr"
    reuses_prefixes = True

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        dtype: str = "auto",
        device: str = "auto",
        cache: VisionCache | None = None,
        prefix_bytes: int | None = None,
        compile: bool = False,
    ) -> None:
        try:
            import torch
        except ImportError as exc:
            raise MissingExtra(f"the reader {self.family}", "deepseek") from exc
        from ..deepseek_ocr.hub import resolve
        from ..deepseek_ocr.prefixes import MEMORY_LIMIT, PrefixCache
        from ..deepseek_ocr.processing import PREPROCESSING
        from ..deepseek_ocr.tokenization import Tokenizer
        from ..deepseek_ocr.weights import digest, is_random, load_model

        self.folder = resolve(weights, self.family)
        chosen = _device(device)
        self._tokenizer = Tokenizer.from_folder(self.folder)
        self._model = load_model(self.folder, dtype=_dtype(dtype, chosen), device=chosen, config=self._config(self.folder))
        if compile:
            self._model.deep_encoder.compile()
        self.random = is_random(self.folder)
        if self.random:
            _log.warning("the weights in %r are random: this reader reads nothing", str(self.folder))
        kind = str(self._model.dtype).removeprefix("torch.")
        self.identity = f"{self.family}/{digest(self.folder)}/{kind}/{PREPROCESSING}"
        self._vision = cache or VisionCache(shelf=FolderShelf(default_folder()))
        self._prefixes = PrefixCache(MEMORY_LIMIT if prefix_bytes is None else prefix_bytes)
        self._lock = threading.RLock()
        self._tokens = self._loops_cut = 0
        self._torch = torch

    @property
    def profile(self) -> ReaderProfile:
        """Its prices."""
        return profile_of(self.family)

    def answer(
        self,
        context: Context,
        question: str,
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        sampling: Sampling | None = None,
    ) -> StreamedAnswer:
        """Answer a question about a context.

        Args:
            sampling: greedy by default. `max_tokens` and `stop` override its own.

        Raises `ContextTooLong` before anything is computed. Iterating raises `RenderError` for a page whose picture is lost.
        """
        usual = sampling.max_tokens if sampling else ANSWER_TOKENS
        wanted = self._sampling(sampling, usual if max_tokens is None else max_tokens, stop)
        return self._streamed(self._asked(context, question), wanted, keep=True)

    def transcribe(self, page: Page | bytes | Image.Image, *, tier: Tier | str = Tier.BASE, max_tokens: int | None = None) -> str:
        """Transcribe a page shown at a tier."""
        return str(self.read(page, "ocr", tier=tier, max_tokens=max_tokens))

    def parse(
        self,
        page: Page | bytes | Image.Image,
        task: str | Task = "markdown",
        *,
        ref: str = "",
        tier: Tier | str = Tier.GUNDAM,
        max_tokens: int | None = None,
    ) -> ParsedPage:
        """A page back to structure: one of `structured_output.TASKS`, its boxes in pixels of the page at that tier.

        Args:
            ref: the thing to find, for the task `locate`.
        """
        size = picture_of(page, tier).size
        found = task_of(task, ref=ref)
        return parse_output(str(self.read(page, found, tier=tier, max_tokens=max_tokens)), size, found)

    def read(
        self,
        page: Page | bytes | Image.Image,
        task: str | Task = "ocr",
        *,
        ref: str = "",
        tier: Tier | str = Tier.BASE,
        max_tokens: int | None = None,
    ) -> StreamedAnswer:
        """The model's own output for a published task, streamed. Of a `Page` it may be half as long again as its text at most."""
        picture, prompt = picture_of(page, tier), task_of(task, ref=ref)
        expected = int(PAGE_MARGIN * page.text_tokens) + 64 if isinstance(page, Page) else 2048
        room = self._model.config.max_position_embeddings - self._rows(picture) - 64
        words = tuple(self._tokenizer.encode_prompt(f"\n{prompt.before}") + self._tokenizer.encode(prompt.ref))
        words += tuple(self._tokenizer.encode_prompt(prompt.after))
        segments = [self._beginning(), self._picture_segment(picture), _Segment(f"task {words}", len(words), words)]
        return self._streamed(segments, self._sampling(None, min(expected, room) if max_tokens is None else max_tokens, ()), keep=False)

    def prompt_rows(self, context: Context, question: str) -> torch.Tensor:
        """A whole prompt as rows (T, hidden) of the decoder's input, for a server that takes embeddings (`VllmReader.complete`).

        Raises `ContextTooLong`.
        """
        segments = self._asked(context, question)
        self._check_room(segments, 1)
        with self._lock:
            return self._input_rows(segments)

    def stats(self) -> ReaderStats:
        """Counters, for dashboards and tests."""
        vision, prefixes = self._vision.counts, self._prefixes.counts
        return ReaderStats(
            pages_encoded=vision.encoded,
            pages_from_memory=vision.memory,
            pages_from_shelf=vision.shelf,
            vision_bytes=self._vision.nbytes,
            positions_computed=prefixes.computed,
            positions_reused=prefixes.reused,
            prefix_bytes=self._prefixes.nbytes,
            prefixes=len(self._prefixes),
            prefixes_dropped=prefixes.dropped,
            tokens=self._tokens,
            loops_cut=self._loops_cut,
        )

    def close(self) -> None:
        """Free both caches; the weights are freed with the object."""
        with self._lock:
            self._prefixes.clear()
            self._vision.clear()

    def __repr__(self) -> str:
        random = ", random weights" if self.random else ""
        return f"{type(self).__name__}({str(self.folder)!r}, {self._model.dtype}, {self._model.device}{random})"

    # -- prompts ---------------------------------------------------------------------------------------------------------------------

    def _config(self, folder: Path) -> Any:
        from ..deepseek_ocr.configuration import DeepseekOcrConfig

        return DeepseekOcrConfig.from_folder(folder).full_attention()

    def _sampling(self, given: Sampling | None, max_tokens: int, stop: Sequence[str]) -> Sampling:
        from ..deepseek_ocr.sampling import Sampling

        cells = frozenset(found for name in TABLE_CELLS if (found := self._tokenizer.id_of(name)) is not None)
        sampling = given or Sampling(ngram_whitelist=cells)
        return replace(sampling, max_tokens=max_tokens, stop=(*sampling.stop, *stop))

    def _asked(self, context: Context, question: str) -> list[_Segment]:
        pieces = [*context_pieces(context), Words(f"user: {question}\nassistant:")]
        return [self._beginning(), *(self._segment(piece) for piece in pieces)]

    def _streamed(self, segments: Sequence[_Segment], sampling: Sampling, *, keep: bool) -> StreamedAnswer:
        from ..deepseek_ocr.generation import Outcome

        self._check_room(segments, sampling.max_tokens)
        outcome = Outcome()
        return StreamedAnswer(lambda cancelled: self._run(segments, sampling, outcome, cancelled, keep), outcome, self._lock)

    def _beginning(self) -> _Segment:
        return _Segment("start", 1, (self._tokenizer.bos_id,))

    def _segment(self, piece: Piece) -> _Segment:
        if isinstance(piece, Picture):
            return self._picture_segment(piece)
        ids = tuple(self._tokenizer.encode(piece.text))
        return _Segment(f"text {piece.text}", len(ids), ids)

    def _picture_segment(self, picture: Picture) -> _Segment:
        return _Segment(f"picture {picture.content} {picture.tier.label}", self._rows(picture), picture=picture)

    def _rows(self, picture: Picture) -> int:
        from ..deepseek_ocr.processing import count_rows

        return count_rows(picture.size, picture.tier, self._model.config.max_tiles)

    def _check_room(self, segments: Sequence[_Segment], answer: int) -> None:
        needed, available = sum(segment.length for segment in segments) + answer, self._model.config.max_position_embeddings
        if needed <= available:
            return
        surplus, drop = needed - available, []
        for segment in segments[:-1]:
            if segment.picture and surplus > 0:
                drop.append(segment.picture.label)
                surplus -= segment.length
        budget = available - answer - segments[0].length - segments[-1].length  # the start and the question are no part of a context
        if surplus <= 0:
            pages = drop[0] if len(drop) == 1 else f"{drop[0]} to {drop[-1]}, {len(drop)} pages"
            raise ContextTooLong(needed, available, f"Leave out {pages}, or ask for a context with budget={budget} or less.")
        raise ContextTooLong(
            needed, available, f"Ask for a context with budget={max(budget, 0)} or less, or for fewer than {answer} tokens."
        )

    # -- running ---------------------------------------------------------------------------------------------------------------------

    def _run(
        self, segments: Sequence[_Segment], sampling: Sampling, outcome: Outcome, cancelled: Callable[[], bool], keep: bool
    ) -> Iterator[str]:
        from ..deepseek_ocr.generation import generate

        if cancelled():
            outcome.stopped = "cancelled"
            return
        scores, cache = self._prefilled(segments, sampling.max_tokens, keep and self.reuses_prefixes, cancelled)
        if scores is None:
            outcome.stopped = "cancelled"
            return
        try:
            yield from generate(self._model, self._tokenizer, scores, cache, sampling, outcome, cancelled=cancelled)
        finally:
            self._tokens += outcome.tokens
            self._loops_cut += outcome.loops_cut

    def _prefilled(
        self, segments: Sequence[_Segment], room: int, keep: bool, cancelled: Callable[[], bool]
    ) -> tuple[torch.Tensor | None, KVCache]:
        """Scores after a prompt, None if it was cancelled, and its keys and values: the known ones of its beginning, the rest computed."""
        from ..deepseek_ocr.generation import prefill
        from ..deepseek_ocr.prefixes import chain_of

        links = chain_of(self.identity, [segment.key for segment in segments])
        ends = list(accumulate(segment.length for segment in segments))
        # Always compute the last segment: its scores predict the first token of the answer.
        count, cache = (keep and self._prefixes.longest(links[:-1])) or (0, self._model.new_cache(capacity=ends[-1] + room))
        rows = self._input_rows(segments[count:])
        cache.reserve(len(rows) + room)
        self._prefixes.counts.reused += cache.length
        past = cache.length
        scores = prefill(self._model, rows, cache, prompt_length=ends[-1], cancelled=cancelled)
        self._prefixes.counts.computed += cache.length - past
        if keep and scores is not None:
            self._prefixes.keep(links[:-1], ends[:-1], cache)
        return scores, cache

    def _input_rows(self, segments: Sequence[_Segment]) -> torch.Tensor:
        """Rows of the decoder's input: embedded text, and pages between."""
        pictures = [segment.picture for segment in segments if segment.picture]
        keys = [PageKey(picture.content, picture.tier.label, self.identity) for picture in pictures]
        seen = iter(self._vision.get_or_encode(keys, lambda places: self._encode([pictures[place] for place in places])))
        rows = []
        for segment in segments:
            if segment.picture:
                page = next(seen)["rows"].to(self._model.device, self._model.dtype)
                assert len(page) == segment.length, f"{segment.picture.label}: {len(page)} rows instead of {segment.length}"
                rows.append(page)
            else:
                rows.append(self._model.embed(self._torch.tensor(segment.ids, dtype=self._torch.long)))
        return self._torch.cat(rows)

    def _encode(self, pictures: Sequence[Picture]) -> list[Payload]:
        from ..deepseek_ocr.processing import page_pixels

        tiles, rows = self._model.config.max_tiles, list[Payload]()
        for begin in range(0, len(pictures), PAGES_AT_ONCE):
            some = pictures[begin : begin + PAGES_AT_ONCE]
            pixels = [page_pixels(picture.load(), picture.tier, max_tiles=tiles) for picture in some]
            rows += [{"rows": page} for page in self._model.encode_pages(pixels)]
        return rows


class UnlimitedOcrReader(DeepseekOcrReader):
    """Unlimited-OCR: the same network, trained on several pages, with 32,768 positions.

    Args:
        sliding: use its reference sliding attention, as it was trained, for long transcriptions. Prefixes are not reused then, since what a
            window saw depends on where the prompt ended.
    """

    family: Family = "unlimited-ocr"

    def __init__(self, weights: str | Path | None = None, *, sliding: bool = False, **options: Any) -> None:
        self._sliding = sliding
        self.reuses_prefixes = not sliding
        super().__init__(weights, **options)

    def _config(self, folder: Path) -> Any:
        from ..deepseek_ocr.configuration import DeepseekOcrConfig

        config = DeepseekOcrConfig.from_folder(folder)
        return config if self._sliding else config.full_attention()


def _device(name: str) -> str:
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _dtype(name: str, device: str) -> torch.dtype:
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name == "auto":
        return torch.bfloat16 if device != "cpu" or _cpu_has_bf16() else torch.float32
    if name not in known:
        raise ValueError(f"unknown dtype {name!r}; known: auto, {', '.join(known)}")
    return known[name]


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies in bfloat16; elsewhere it is emulated, and slower than 32 bits."""
    import torch

    found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))

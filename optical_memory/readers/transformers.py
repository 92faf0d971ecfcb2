"""Any vision-language model of transformers that runs in this process: Qwen-VL, GLM-V, InternVL, Gemma 3,
Idefics 3, SmolVLM, Mistral 3, Pixtral, DeepSeek-OCR-2 and others.

A page is encoded once by the model's own vision tower. The output is cached unchanged and passed back as `mm_encoder_outputs`, an argument
of the library: splicing embeddings would be wrong for models that feed features into several layers or count positions in two dimensions
(Qwen3-VL does both). Neither a model's processor class nor torchvision is needed: the tokenizer and the image processor are.
"""

from __future__ import annotations

import inspect
import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..context.context import Context, PagePart
from ..errors import ContextTooLong, MissingExtra, ReaderError, WeightsNotFound
from ..pages.page import Page
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..profiles.registry import profile_for_model, profile_of
from .picture_marks import family_of
from .prompts import Picture, Words, picture_of, turn_pieces
from .streaming import Ending, StreamedAnswer
from .vision_cache import FolderShelf, PageKey, Payload, VisionCache, default_folder
from .vision_payloads import GRID, LAYOUT, identity_of, joined, rows_of, taken_apart

__all__ = ["TransformersReader"]

ANSWER_TOKENS = 512
MARK = "\ue000{}\ue001"  # private-use characters around a number: where a content's text belongs in a rendered template
_log = logging.getLogger(__name__)


class TransformersReader:
    """A local vision-language model.

    Args:
        model: a folder, a hub id in the local cache, or a loaded model (then `tokenizer` and `image_processor`, too).
        profile: its prices; by default looked up by the model's name.
        cache: vision tokens; kept in memory and in the user's cache folder by default.

    Attributes:
        caches_pages: whether this model accepts encoded pages. If not, every answer encodes them again; opening logs that once.

    Raises `MissingExtra`, `WeightsNotFound`, and `ReaderError` for a model that is no vision-language model.
    """

    def __init__(
        self,
        model: Any,
        *,
        tokenizer: Any = None,
        image_processor: Any = None,
        profile: str | ReaderProfile | None = None,
        dtype: str = "auto",
        device: str = "auto",
        cache: VisionCache | None = None,
    ) -> None:
        try:
            import torch
            import transformers
        except ImportError as exc:
            raise MissingExtra("the transformers reader", "vlm") from exc
        self._torch, self._transformers = torch, transformers
        if isinstance(model, str | Path):
            model, tokenizer, image_processor = self._load(str(model), dtype, device, tokenizer, image_processor)
        if tokenizer is None or image_processor is None:
            raise ReaderError("a loaded model comes with its tokenizer and its image_processor: pass both")
        self._model, self._tokenizer, self._image_processor = model.eval(), tokenizer, image_processor
        config = model.config
        if not hasattr(model, "get_image_features") or getattr(config, "image_token_id", None) is None:
            raise ReaderError(f"{type(model).__name__} takes no pictures; the transformers reader is for vision-language models")
        self._family = family_of(config)
        self._image_marker = self._family.marker(config, tokenizer)
        self.caches_pages = "mm_encoder_outputs" in inspect.signature(model.forward).parameters
        if not self.caches_pages:
            _log.warning("%s takes no encoded pages back: every answer encodes them anew", type(model).__name__)
        self.name = str(getattr(config, "_name_or_path", "") or config.model_type)
        self.identity = f"transformers {transformers.__version__}/{self.name}/{identity_of(model, image_processor)}"
        self.identity += "/laid out" if self._family.layout else ""
        self._profile = profile
        self._vision = cache or VisionCache(shelf=FolderShelf(default_folder()))
        self._lock = threading.RLock()

    @property
    def profile(self) -> ReaderProfile:
        """Its prices. Raises `ReaderError` if no profile was passed and none matches the model's name."""
        if self._profile is not None:
            return profile_of(self._profile)
        found = profile_for_model(self.name) or profile_for_model(self._model.config.model_type)
        if found is None:
            raise ReaderError(f"no reader profile for model {self.name!r}; pass profile='qwen3-vl' or a ReaderProfile of your own")
        return found

    def answer(self, context: Context, question: str, *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> StreamedAnswer:
        """Answer a question about a context, greedily. Iterating raises `ContextTooLong` before the decoder starts: pages must be encoded
        first, because only then their number of positions is known.
        """
        messages = [*_messages(context), ("user", [Words(question)])]
        return self._start(messages, ANSWER_TOKENS if max_tokens is None else max_tokens, stop)

    def transcribe(self, page: Page | bytes | Image.Image, *, tier: Tier | str = Tier.BASE, max_tokens: int | None = None) -> str:
        """Transcribe a page shown at a tier."""
        expected = int(1.5 * page.text_tokens) + 64 if isinstance(page, Page) else 2048
        asked = [("user", [picture_of(page, tier), Words(self._family.prompt)])]
        return str(self._start(asked, expected if max_tokens is None else max_tokens, ()))

    def close(self) -> None:
        """Free the vision tokens in memory."""
        self._vision.clear()

    def __repr__(self) -> str:
        return f"TransformersReader({self.name!r}, {self._model.dtype}, {self._model.device})"

    # -- loading ---------------------------------------------------------------------------------------------------------------------

    def _load(self, name: str, dtype: str, device: str, tokenizer: Any, image_processor: Any) -> tuple[Any, Any, Any]:
        library, place = self._transformers, {"local_files_only": True}
        chosen = device if device != "auto" else "cuda" if self._torch.cuda.is_available() else "cpu"
        try:
            model = library.AutoModelForImageTextToText.from_pretrained(name, dtype=dtype, **place).to(chosen)
            tokenizer = tokenizer or library.AutoTokenizer.from_pretrained(name, **place)
            image_processor = image_processor or library.AutoImageProcessor.from_pretrained(name, use_fast=False, **place)
        except OSError as exc:
            raise WeightsNotFound(f"{name!r} is no model on this machine: {exc}. Fetch it with: optical-memory models pull {name}") from exc
        except (ImportError, ValueError) as exc:
            raise ReaderError(f"{name!r} cannot be opened: {exc}") from exc
        return model, tokenizer, image_processor

    # -- prompts ---------------------------------------------------------------------------------------------------------------------

    def _prompt(self, messages: Sequence[tuple[str, list[Any]]]) -> tuple[list[str | int], list[Picture]]:
        """A rendered conversation as template text, numbers of contents, and -1 for each picture; the pictures in order."""
        contents: list[str] = []
        pictures: list[Picture] = []
        given = []
        for role, pieces in messages:
            blocks: list[dict[str, str]] = []
            for piece in pieces:
                if isinstance(piece, Picture):
                    pictures.append(piece)
                    blocks.append({"type": "image"})
                else:
                    contents.append(piece.text)
                    blocks.append({"type": "text", "text": MARK.format(len(contents) - 1)})
            given.append({"role": role, "content": blocks})
        rendered = self._rendered(given)
        parts: list[str | int] = []
        for text, number in re.findall("(.*?)(?:\ue000(\\d+)\ue001|$)", rendered, re.DOTALL):
            before, *after = text.split(self._image_marker)
            parts += [before, *(item for rest in after for item in (-1, rest))]
            parts += [_Content(contents[int(number)])] if number else []
        if (found := parts.count(-1)) != len(pictures):
            raise ReaderError(f"the chat template of {self.name!r} shows {found} of {len(pictures)} pictures; give it another")
        return parts, pictures

    def _rendered(self, messages: list[dict[str, Any]]) -> str:
        if getattr(self._tokenizer, "chat_template", None):
            return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        marks = (self._image_marker + "\n" if block["type"] == "image" else block["text"] for m in messages for block in m["content"])
        return (self._tokenizer.bos_token or "") + "".join(marks)

    def _ids(self, parts: Sequence[str | int], payloads: Sequence[Payload]) -> list[int]:
        """Token ids; the n-th picture takes as many placeholders as `payloads[n]` has rows. Content never gives an added token, whatever it
        spells. What the template and a processor write side by side is one text to the tokenizer, as it would be there.
        """
        ids, waiting, pictures = list[int](), "", iter(payloads)
        for part in parts:
            for piece in self._marks(next(pictures)) if part == -1 else [part]:
                if isinstance(piece, str) and not isinstance(piece, _Content):
                    waiting += piece
                    continue
                ids += self._encoded(waiting)
                waiting = ""
                if isinstance(piece, int):
                    ids += [self._model.config.image_token_id] * piece
                else:
                    ids += [token for harmless in self._harmless(piece) for token in self._encoded(harmless)]
        return ids + self._encoded(waiting)

    def _marks(self, payload: Payload) -> list[str | int]:
        layout = payload[LAYOUT].tolist() if LAYOUT in payload else []
        return self._family.marks(self._model.config, self._tokenizer, layout, rows_of(payload, self._family.output))

    def _encoded(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _harmless(self, text: str) -> list[str]:
        from ..deepseek_ocr.tokenization import cut_inside

        return cut_inside(text, [str(token) for token in self._tokenizer.get_added_vocab()])

    # -- running ---------------------------------------------------------------------------------------------------------------------

    def _start(self, messages: Sequence[tuple[str, list[Any]]], max_tokens: int, stop: Sequence[str]) -> StreamedAnswer:
        if max_tokens < 1:
            raise ValueError(f"max_tokens={max_tokens} leaves no room for an answer")
        ending = Ending()
        return StreamedAnswer(lambda cancelled: self._run(messages, max_tokens, stop, cancelled, ending), ending)

    def _run(
        self, messages: Sequence[tuple[str, list[Any]]], max_tokens: int, stop: Sequence[str], cancelled: Callable[[], bool], ending: Ending
    ) -> Iterator[str]:
        from ..deepseek_ocr.generation import StopWatch

        if cancelled():
            ending.stopped = "cancelled"
            return
        with self._lock:
            inputs = self._inputs(messages, max_tokens)
        watch, count = StopWatch(stop), 0
        for token_text, count in _Stream(self, inputs, max_tokens, cancelled):  # noqa: B007 - the last count is needed after the loop
            if piece := watch.push(token_text):
                yield piece
            if watch.stopped:
                break
        if not watch.stopped and (rest := watch.rest()):
            yield rest
        ending.stopped = "stop" if watch.stopped else "cancelled" if cancelled() else "length" if count >= max_tokens else "end"

    def _inputs(self, messages: Sequence[tuple[str, list[Any]]], max_tokens: int) -> dict[str, Any]:
        parts, pictures = self._prompt(messages)
        keys = [PageKey(picture.content, picture.tier.label, self.identity) for picture in pictures]
        with self._torch.inference_mode():
            payloads = self._vision.get_or_encode(keys, lambda places: [self._encode(pictures[place]) for place in places])
        ids = self._ids(parts, payloads)
        self._check_room(len(ids) + max_tokens, pictures)
        torch, device = self._torch, self._model.device
        tokens = torch.tensor([ids], device=device)
        inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        if not pictures:
            return inputs
        taken = inspect.signature(self._model.forward).parameters
        if kinds := next((name for name in ("mm_token_type_ids", "token_type_ids") if name in taken), None):
            inputs[kinds] = (tokens == self._model.config.image_token_id).int()
        if GRID in payloads[0]:
            inputs[GRID] = torch.cat([payload[GRID] for payload in payloads]).to(device)
        if self.caches_pages:
            inputs["mm_encoder_outputs"] = {"image": joined(payloads, device)}
        else:
            inputs |= {name: value for name, value in self._pixels(pictures).items() if name in taken}
        return inputs

    def _encode(self, picture: Picture) -> Payload:
        """The vision tower's output for one picture, by name, and the grid for its positions."""
        pixels = self._pixels([picture])
        taken = inspect.signature(self._model.get_image_features).parameters
        seen = self._model.get_image_features(**{name: value for name, value in pixels.items() if name in taken})
        payload = taken_apart(seen, self._family.output)
        if layout := self._family.layout:
            payload[LAYOUT] = self._torch.tensor(layout(pixels))
        return payload | ({GRID: pixels[GRID].cpu()} if GRID in pixels else {})

    def _pixels(self, pictures: Sequence[Picture]) -> dict[str, Any]:
        tier = pictures[0].tier
        sized = self._family.small if tier <= Tier.SMALL else self._family.large if tier < Tier.GUNDAM else {}
        options = {**self._family.options(self._model.config), **sized}
        try:
            found = self._image_processor(images=[picture.load().convert("RGB") for picture in pictures], return_tensors="pt", **options)
        except ImportError as exc:
            raise ReaderError(f"the image processor of {self.name!r} needs a package that is not there: {exc}") from exc
        device, dtype = self._model.device, self._model.dtype
        tensors = {name: value.to(device) for name, value in found.items() if isinstance(value, self._torch.Tensor)}
        counts = {name: value for name, value in found.items() if name not in tensors}
        return counts | {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors.items()}

    def _check_room(self, needed: int, pictures: Sequence[Picture]) -> None:
        config = self._model.config
        available = getattr(getattr(config, "text_config", config), "max_position_embeddings", None) or needed
        if needed > available:
            oldest = f"Leave out {pictures[0].label} and more of the oldest, or ask" if pictures else "Ask"
            raise ContextTooLong(needed, available, f"{oldest} for a smaller context or fewer tokens.")


class _Content(str):
    """Text of a content, as opposed to text of the template."""

    __slots__ = ()


class _Stream:
    """`generate` in its own thread, as pairs of text and number of tokens so far. Leaving the loop ends the thread at the next token."""

    def __init__(self, reader: TransformersReader, inputs: dict[str, Any], max_tokens: int, cancelled: Callable[[], bool]) -> None:
        self._reader, self._inputs, self._most, self._cancelled = reader, inputs, max_tokens, cancelled
        self._left = threading.Event()
        self._pieces: queue.Queue[tuple[str, int] | BaseException | None] = queue.Queue()

    def __iter__(self) -> Iterator[tuple[str, int]]:
        thread = threading.Thread(target=self._generate, name="optical-memory-reader", daemon=True)
        thread.start()
        try:
            while (piece := self._pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self._left.set()
            thread.join()

    def _enough(self, *_: Any, **__: Any) -> bool:
        return self._left.is_set() or self._cancelled()

    def _generate(self) -> None:
        reader = self._reader
        try:
            stopping = reader._transformers.StoppingCriteriaList([self._enough])
            streamer = self._streamer()
            with reader._lock, reader._torch.inference_mode():
                reader._model.generate(
                    **self._inputs, max_new_tokens=self._most, do_sample=False, streamer=streamer, stopping_criteria=stopping
                )
            self._pieces.put(None)
        except BaseException as exc:  # raised again in the thread that reads the answer
            self._pieces.put(exc)

    def _streamer(self) -> Any:
        pieces, count = self._pieces, 0

        class Streamer(self._reader._transformers.TextStreamer):  # type: ignore[misc, name-defined]
            def put(self, value: Any) -> None:
                nonlocal count
                count += 0 if self.next_tokens_are_prompt else 1
                super().put(value)

            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                if text:
                    pieces.put((text, count))

        return Streamer(self._reader._tokenizer, skip_prompt=True, skip_special_tokens=True)


def _messages(context: Context) -> list[tuple[str, list[Any]]]:
    """Role and pieces, neighbours of one role joined. Tool results become user text, since templates differ in roles."""
    said: list[tuple[str, list[Any]]] = [("user", [Words(context.framing + "\n")])] if context.framing else []
    for part in context.parts:
        if isinstance(part, PagePart):
            _join(said, "user", [Words(part.text + "\n"), picture_of(part.page, part.tier), Words("\n")])
            continue
        for turn in part.turns:
            role = "assistant" if turn.role == "assistant" else "user"
            pieces = list(turn_pieces(turn))
            if turn.role in ("user", "assistant") and isinstance(pieces[0], Words):
                pieces[0] = Words(pieces[0].text.removeprefix(f"{turn.role}: "))
            _join(said, role, pieces)
    return said


def _join(said: list[tuple[str, list[Any]]], role: str, pieces: list[Any]) -> None:
    if said and said[-1][0] == role:
        said[-1][1].extend(pieces)
    else:
        said.append((role, pieces))

"""The stage that encodes pages to vision tokens, and a reader of what it left: DeepEncoder's rows for each page at a tier."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..errors import MissingExtra
from ..pages.tiers import Tier
from ..text.excerpts import excerpt
from .items import PageImage, Pages
from .stages import Failures, Worker

if TYPE_CHECKING:
    from ..deepseek_ocr.page_encoder import PageEncoder

__all__ = ["EncodePages", "EncodedItem", "EncodedPage", "VisionTokens", "save_rows"]


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page's rows in the decoder's input.

    Attributes:
        rows: a torch tensor in main memory, (n, hidden).
        dtype: the type of the numbers: `bfloat16`, `float32`.
        shape: n and hidden.
    """

    index: int
    page_key: str
    rows: Any
    dtype: str
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class EncodedItem:
    """The vision tokens of an item's pages.

    Attributes:
        encoder: the model, a hash of its weights, their type, and the version of the preprocessing.
    """

    key: str
    tier: str
    encoder: str
    pages: tuple[EncodedPage, ...]


@dataclass(frozen=True, slots=True)
class EncodePages:
    """Encodes pages with DeepSeek-OCR's DeepEncoder. The decoder's weights are not loaded.

    Attributes:
        weights: a folder, or the id of a model in the local hub cache; the published one if None.
        tier: at which a page is shown.
        device: `cpu`, `cuda`, `cuda:1`, ..., or `auto`.
        dtype: `bfloat16`, `float32`, `float16`, or `auto`.
        at_once: pages whose pixels are on the device together.
        threads: of the processor, for each worker; 0 for torch's own choice.
    """

    weights: str | None = None
    tier: Tier = Tier.BASE
    device: str = "auto"
    dtype: str = "auto"
    at_once: int = 8
    threads: int = 0

    def open(self) -> Worker:
        return _EncodingWorker(self)


class _EncodingWorker:
    def __init__(self, stage: EncodePages) -> None:
        self._encoder = _page_encoder(stage)
        self._stage = stage

    def work(self, records: Sequence[Pages], failures: Failures) -> list[EncodedItem]:
        found: list[EncodedItem] = []
        for group in _groups(records, self._stage.at_once):
            found += failures.together("encode", group, self._encode)
        return found

    def close(self) -> None:
        """The weights are freed with the process."""

    def _encode(self, items: Sequence[Pages]) -> list[EncodedItem]:
        pages = [page for item in items for page in item.pages]
        rows: list[Any] = []
        for begin in range(0, len(pages), self._stage.at_once):
            rows += self._encoder.encode([_opened(page) for page in pages[begin : begin + self._stage.at_once]], self._stage.tier)
        encoded = iter(zip(pages, rows, strict=True))
        return [
            EncodedItem(item.key, self._stage.tier.label, self._encoder.identity, tuple(self._page(*next(encoded)) for _ in item.pages))
            for item in items
        ]

    def _page(self, page: PageImage, rows: Any) -> EncodedPage:
        return EncodedPage(page.index, page.page_key, rows, self._encoder.dtype, (rows.shape[0], rows.shape[1]))


def _page_encoder(stage: EncodePages) -> PageEncoder:
    try:
        from ..deepseek_ocr.page_encoder import PageEncoder
    except ImportError as exc:
        raise MissingExtra("encoding pages", "deepseek") from exc
    return PageEncoder(stage.weights, device=stage.device, dtype=stage.dtype, threads=stage.threads)


def _groups(records: Sequence[Pages], at_once: int) -> Iterator[list[Pages]]:
    """Items of about `at_once` pages together."""
    group: list[Pages] = []
    for record in records:
        if group and sum(len(item.pages) for item in [*group, record]) > at_once:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _opened(page: PageImage) -> Image.Image:
    return Image.open(io.BytesIO(page.png))


def save_rows(tensors: dict[str, Any], path: Path) -> None:
    """Write tensors to a safetensors file. Raises `MissingExtra`."""
    try:
        from safetensors.torch import save_file
    except ImportError as exc:
        raise MissingExtra("encoding pages", "deepseek") from exc
    save_file(tensors, path)


class VisionTokens:
    """The vision tokens in the folder of an `encode` job, found by item and page.

    Raises `MissingExtra`, and `FileNotFoundError` for a folder without an index.
    """

    def __init__(self, folder: str | Path) -> None:
        from .outputs import INDEX, arrow

        arrow()
        import pyarrow.dataset

        self._folder = Path(folder)
        if not (self._folder / INDEX).is_dir():
            raise FileNotFoundError(f"{str(folder)!r} has no folder {INDEX!r}: it holds no vision tokens")
        self.index: Any = pyarrow.dataset.dataset(self._folder / INDEX)

    def rows(self, item: str, page: int = 1) -> Any:
        """Return the rows of a page, (n, hidden), as a torch tensor. Raises `LookupError` if the folder has no such page."""
        import pyarrow.compute as pc
        from safetensors import safe_open

        found = self.index.to_table(filter=(pc.field("item") == item) & (pc.field("page") == page)).to_pylist()
        if not found:
            raise LookupError(f"no page {page} of {excerpt(item)} in {str(self._folder)!r}")
        with safe_open(self._folder / found[0]["file"], framework="pt") as file:
            return file.get_tensor(found[0]["tensor"])

    def __len__(self) -> int:
        return int(self.index.count_rows())

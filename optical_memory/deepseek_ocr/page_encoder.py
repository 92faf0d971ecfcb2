"""DeepEncoder by itself: pages to vision tokens without the decoder, of whose weights nothing is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from ..pages.tiers import Tier
from .configuration import DeepseekOcrConfig, Family
from .deepencoder import DeepEncoder, page_rows
from .hub import resolve
from .processing import PREPROCESSING, page_pixels
from .weights import digest, load_part

__all__ = ["PageEncoder"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class _Model(nn.Module):
    """What encodes, of the checkpoint's `model.`."""

    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__()
        encoder = DeepEncoder(config)
        self.sam_model, self.vision_model, self.projector = encoder.sam_model, encoder.vision_model, encoder.projector
        self.image_newline = nn.Parameter(torch.zeros(config.decoder.hidden_size))
        self.view_seperator = nn.Parameter(torch.zeros(config.decoder.hidden_size))  # the checkpoint's spelling
        self.__dict__["encoder"] = encoder  # not a child: its parameters are the three parts above


class _EncoderOnly(nn.Module):
    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__()
        self.model = _Model(config)


class PageEncoder:
    """Encodes pictures of pages.

    Args:
        weights: a folder, or the id of a model in the local hub cache; the published one by default.
        device: `cpu`, `cuda`, `cuda:1`, ..., or `auto`: a GPU if there is one.
        dtype: `float32`, `bfloat16`, `float16`, or `auto`: bfloat16 on a GPU, float32 elsewhere.
        threads: of the processor; 0 leaves torch's own choice.

    Raises `WeightsNotFound`, `WeightsMismatch`; `ValueError` for an unknown dtype.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        family: Family = "deepseek-ocr",
        device: str = "auto",
        dtype: str = "auto",
        threads: int = 0,
    ) -> None:
        if threads:
            torch.set_num_threads(threads)
        folder = resolve(weights, family)
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.dtype = ("float32" if chosen == "cpu" else "bfloat16") if dtype == "auto" else dtype
        if self.dtype not in DTYPES:
            raise ValueError(f"unknown dtype {dtype!r}; known: auto, {', '.join(DTYPES)}")
        self._config = DeepseekOcrConfig.from_folder(folder)
        with torch.device("meta"):
            part = _EncoderOnly(self._config)
        load_part(part, folder, dtype=DTYPES[self.dtype], device=chosen)
        self._model = part.model
        self.identity = f"{family}/{digest(folder)}/{self.dtype}/{PREPROCESSING}"

    @torch.inference_mode()
    def encode(self, pictures: Sequence[Image.Image], tier: Tier) -> list[Tensor]:
        """Return the rows of each picture in the decoder's input, newlines and separator included: (n, hidden), in main memory."""
        pixels = [page_pixels(picture, tier, max_tiles=self._config.max_tiles) for picture in pictures]
        encoder: DeepEncoder = self._model.__dict__["encoder"]
        rows = page_rows(pixels, encoder, self._model.image_newline, self._model.view_seperator, batch=len(pixels))
        return [page.cpu().contiguous() for page in rows]

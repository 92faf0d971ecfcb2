from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.configuration import DecoderConfig, DeepseekOcrConfig
from optical_memory.deepseek_ocr.moe import MixtureOfExperts
from optical_memory.deepseek_ocr.processing import count_rows, page_pixels
from optical_memory.pages.tiers import Tier, gundam_grid
from optical_memory.readers import profile_of


@pytest.mark.parametrize("tokens", [1, 2, 7, 64])
def test_grouped_experts_are_the_naive_loop(tokens: int) -> None:
    torch.manual_seed(tokens)
    layer = MixtureOfExperts(DecoderConfig(hidden_size=24, moe_intermediate_size=16)).requires_grad_(False)
    layer.gate.weight.normal_(0, 0.5)
    x = torch.randn(2, tokens, 24)
    expected = torch.zeros_like(x)
    for batch in range(2):
        for place in range(tokens):
            token = x[batch, place]
            weights = (layer.gate.weight @ token).softmax(-1)
            for expert in weights.argsort(descending=True)[:6]:
                expected[batch, place] += weights[expert] * layer.experts[int(expert)](token)
            expected[batch, place] += layer.shared_experts(token)
    assert float((layer(x) - expected).abs().max()) < 1e-6


# -- pictures to pixels -------------------------------------------------------------------------------------------------------------------

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(SIZES, st.sampled_from(list(Tier)))
def test_rows_are_what_readers_are_charged(size: tuple[int, int], tier: Tier) -> None:
    for family in ("deepseek-ocr", "unlimited-ocr"):
        config = DeepseekOcrConfig.published(family)  # type: ignore[arg-type]
        assert count_rows(size, tier, config.max_tiles) == profile_of(family).formula.page_tokens(*size, tier)


@pytest.mark.parametrize("size", [(1024, 1024), (512, 512), (1280, 1280), (640, 640), (900, 1200), (1600, 900), (1240, 1754), (300, 1900)])
@pytest.mark.parametrize("tier", list(Tier))
def test_pixels_have_the_rows_that_are_counted(size: tuple[int, int], tier: Tier) -> None:
    pixels = page_pixels(Image.new("L", size, 255), tier)
    assert pixels.rows == count_rows(size, tier)
    side = 1024 if tier is Tier.GUNDAM else tier.side
    assert pixels.pixel_values.shape == (3, side, side)
    assert (pixels.tiles is None) == (pixels.grid == (0, 0))
    if pixels.tiles is not None:
        assert pixels.grid == gundam_grid(*size)
        assert pixels.tiles.shape == (pixels.grid[0] * pixels.grid[1], 3, 640, 640)


def noise(size: tuple[int, int]) -> Image.Image:
    values = np.random.default_rng(7).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size)


def test_a_page_of_the_right_size_is_taken_as_it_is() -> None:
    image = noise((640, 640))
    values = np.asarray(image).astype(np.float64) / 255
    assert np.abs(page_pixels(image, Tier.SMALL).pixel_values.numpy().transpose(1, 2, 0) - (values - 0.5) / 0.5).max() < 1e-6


def test_small_modes_squash_and_large_ones_letterbox() -> None:
    wide = Image.new("RGB", (2000, 1000), "white")
    assert float(page_pixels(wide, Tier.SMALL).pixel_values.min()) == 1.0
    boxed = page_pixels(wide, Tier.BASE).pixel_values
    grey = (127 / 255 - 0.5) / 0.5
    assert float(boxed[:, :256].max()) == pytest.approx(grey, abs=1e-6)
    assert float(boxed[:, 256:768].min()) == 1.0
    assert float(boxed[:, 768:].max()) == pytest.approx(grey, abs=1e-6)


def test_tiles_are_cut_row_by_row_from_the_stretched_page() -> None:
    image = noise((900, 1200))
    pixels = page_pixels(image, Tier.GUNDAM)
    assert pixels.grid == (2, 3)
    assert pixels.tiles is not None
    stretched = np.asarray(image.resize((1280, 1920), Image.Resampling.BICUBIC)).astype(np.float64)
    for place, tile in enumerate(pixels.tiles):
        column, line = place % 2, place // 2
        cut = stretched[line * 640 : (line + 1) * 640, column * 640 : (column + 1) * 640]
        assert np.abs(tile.numpy().transpose(1, 2, 0) - (cut / 255 - 0.5) / 0.5).max() < 1e-6


@pytest.mark.parametrize("size", [(1024, 1024), (900, 1200), (1600, 900), (640, 1280)])
def test_pixels_are_those_of_transformers(size: tuple[int, int]) -> None:
    """Its processor for DeepSeek-OCR-2, set to the first one's sizes. Of odd margins it puts the larger half elsewhere than Pillow does."""
    transformers = pytest.importorskip("transformers", minversion="5.20", reason="the vlm extra is not installed")
    processor = transformers.DeepseekOcr2ImageProcessorPil(
        size={"height": 1024, "width": 1024}, tile_size=640, max_patches=9, min_patches=2
    )
    image = noise(size)
    theirs = processor(image, return_tensors="pt")
    ours = page_pixels(image, Tier.GUNDAM)
    assert float((ours.pixel_values - theirs["pixel_values"][0]).abs().max()) <= 0.0079  # one grey level, from another rounding
    if "pixel_values_local" in theirs and ours.tiles is not None:
        assert ours.tiles.shape == theirs["pixel_values_local"].shape
        assert float((ours.tiles - theirs["pixel_values_local"]).abs().max()) <= 0.0079

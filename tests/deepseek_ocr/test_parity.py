"""Our numbers against transformers' `unlimited_ocr`, which is the same network, on random weights in 32 bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")
pytest.importorskip("transformers", minversion="5.20", reason="the vlm extra is not installed: nothing to compare with")

from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.modeling import DeepseekOcrForConditionalGeneration
from optical_memory.deepseek_ocr.processing import PagePixels
from optical_memory.pages.tiers import sequence_length
from tests.sampling import mostly_slow

from .oracle import oracle, random_model

VISION, LOGITS = 5e-5, 1e-4


@pytest.fixture(scope="module")
def ours() -> DeepseekOcrForConditionalGeneration:
    return random_model(DeepseekOcrConfig.tiny())


@pytest.fixture(scope="module")
def theirs(ours: DeepseekOcrForConditionalGeneration) -> Any:
    return oracle(ours)


def apart(one: Any, other: Any) -> float:
    assert one.shape == other.shape
    assert other.std() > 0.1  # two zeros would agree as well
    return float((one - other).abs().max())


@pytest.mark.parametrize("side", mostly_slow([512, 640, 1024, 1280], quick=[512, 640]))
def test_rows_of_a_square_page(ours: DeepseekOcrForConditionalGeneration, theirs: Any, side: int) -> None:
    pixels = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        expected = theirs.get_image_features(pixels).pooler_output[0]
    rows = ours.encode_page(PagePixels(pixels[0]))
    assert len(rows) == sequence_length(side)
    assert apart(rows, expected) < VISION
    tokens = ours.deep_encoder(pixels)[0]
    assert tokens.shape == ((side // 64) ** 2, ours.config.decoder.hidden_size)
    assert torch.equal(tokens.view(side // 64, side // 64, -1), rows[:-1].view(side // 64, side // 64 + 1, -1)[:, :-1])


@pytest.mark.parametrize("grid", mostly_slow([(2, 3), (1, 2), (3, 1)], quick=[(1, 2)]))
def test_rows_of_a_gundam_page(ours: DeepseekOcrForConditionalGeneration, theirs: Any, grid: tuple[int, int]) -> None:
    columns, lines = grid
    overview, tiles = torch.randn(3, 1024, 1024), torch.randn(columns * lines, 3, 640, 640)
    with torch.inference_mode():
        features = theirs.get_image_features(
            overview[None], pixel_values_local=tiles, num_local_patches=[columns * lines], patches_grid=[[columns, lines]]
        )
    expected = features.pooler_output[0]
    page = PagePixels(overview, tiles, grid)
    assert page.rows == len(expected)
    assert apart(ours.encode_page(page), expected) < VISION


def test_pages_of_several_tiers_together_are_pages_alone(ours: DeepseekOcrForConditionalGeneration) -> None:
    pages = [PagePixels(torch.randn(3, side, side)) for side in (640, 512, 640, 1024)]
    pages.append(PagePixels(torch.randn(3, 1024, 1024), torch.randn(2, 3, 640, 640), (2, 1)))
    for together, page in zip(ours.encode_pages(pages, batch=2), pages, strict=True):
        assert apart(together, ours.encode_page(page)) < VISION


def test_logits(ours: DeepseekOcrForConditionalGeneration, theirs: Any) -> None:
    ids = torch.randint(2, 900, (2, 260))
    with torch.inference_mode():
        expected = theirs(input_ids=ids).logits
    assert apart(ours(torch.stack([ours.embed(row) for row in ids])), expected) < LOGITS


def test_logits_after_pages(ours: DeepseekOcrForConditionalGeneration, theirs: Any) -> None:
    """Two tiers in one prompt; transformers puts the rows in by the placeholder, we put them there ourselves."""
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    pages = ours.encode_pages([PagePixels(torch.randn(3, side, side)) for side in (512, 640)])
    image = ours.config.image_token_id
    ids = torch.tensor([[0, *[image] * len(pages[0]), 7, 8, *[image] * len(pages[1]), 9, 10, 11]])
    with torch.inference_mode():
        given = {"image": BaseModelOutputWithPooling(pooler_output=[page.clone() for page in pages])}
        expected = theirs(input_ids=ids, mm_encoder_outputs=given).logits
    start, between, end = (ours.embed(torch.tensor(part)) for part in ([0], [7, 8], [9, 10, 11]))
    rows = torch.cat([start, pages[0], between, pages[1], end])[None]
    assert apart(ours(rows), expected) < LOGITS


def test_prefix_reused_is_prefix_recomputed(ours: DeepseekOcrForConditionalGeneration) -> None:
    rows = torch.randn(1, 90, ours.config.decoder.hidden_size)
    whole, cache = ours(rows), ours.new_cache()
    parts = [ours(rows[:, begin:end], cache=cache) for begin, end in ((0, 40), (40, 41), (41, 42), (42, 90))]
    assert cache.length == 90
    assert apart(torch.cat(parts, 1), whole) < 1e-5
    assert apart(ours(rows, logits_to_keep=1), whole[:, -1:]) < 1e-5


def test_the_window_of_unlimited_ocr() -> None:
    config = DeepseekOcrConfig.tiny("unlimited-ocr")
    config = replace(config, decoder=replace(config.decoder, sliding_window=16))
    ours = random_model(config, seed=1)
    theirs = oracle(ours)
    ids = torch.randint(2, 900, (1, 70))
    with torch.inference_mode():
        first = theirs(input_ids=ids[:, :40], use_cache=True)
        second = theirs(input_ids=ids[:, 40:41], past_key_values=first.past_key_values, use_cache=True)
    rows = ours.embed(ids[0])[None]
    assert apart(ours(rows[:, :40], prompt_length=40), first.logits) < LOGITS
    assert apart(ours(rows[:, :41], prompt_length=40)[:, -1:], second.logits) < LOGITS
    full = random_model(config.full_attention(), seed=1)
    assert not torch.allclose(full(rows)[:, -1], ours(rows, prompt_length=20)[:, -1], atol=1e-3)  # the window does something


def test_positions_end(ours: DeepseekOcrForConditionalGeneration) -> None:
    rows = torch.zeros(1, ours.config.max_position_embeddings + 1, ours.config.decoder.hidden_size)
    with pytest.raises(ValueError, match="8193 is beyond the model's 8192"):
        ours(rows)


@pytest.mark.parametrize("shape", [(3, 640, 640), (1, 3, 640, 512), (1, 1, 640, 640), (1, 3, 600, 600)])
def test_pixels_of_another_shape(ours: DeepseekOcrForConditionalGeneration, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="S a multiple of 64"):
        ours.deep_encoder(torch.zeros(shape))

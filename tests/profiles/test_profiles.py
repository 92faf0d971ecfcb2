from __future__ import annotations

import importlib
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory import OpticalMemory
from optical_memory.errors import UnknownName
from optical_memory.pages.tiers import Tier
from optical_memory.profiles.formulas import PatchFormula, TileFormula
from optical_memory.profiles.markdown_table import markdown_tables
from optical_memory.profiles.profile import Limits, Rung
from optical_memory.profiles.registry import OWN_FILE, profile_for_model, shipped_profiles
from optical_memory.readers import ReaderProfile, known_readers, load_profiles, profile_of

ROOT = Path(__file__).parent.parent.parent
SHIPPED = list(shipped_profiles())


def picture_tokens(reader: str, width: int, height: int) -> int:
    return profile_of(reader).picture_tokens(width, height)


def near(estimate: int, billed: float) -> bool:
    return abs(estimate - billed) <= 0.02 * billed


# -- published examples ------------------------------------------------------------------------------------------------------------------


def test_deepseek_ocr_is_charged_its_real_sequence_lengths() -> None:
    """arXiv 2510.18234 and the published processing code: n(n + 1) + 1."""
    profile = profile_of("deepseek-ocr")
    assert [profile.page_tokens(1280, 1280, tier) for tier in Tier] == [73, 111, 273, 421, 693]


@pytest.mark.parametrize(
    ("reader", "size", "tokens"),
    [
        ("claude", (1000, 1000), 1296),
        ("claude", (1092, 1092), 1521),
        ("claude", (3840, 2160), 1560),
        ("claude-high-resolution", (1000, 1000), 1296),
        ("claude-high-resolution", (1920, 1080), 2691),
        ("claude-high-resolution", (3840, 2160), 4784),
    ],
)
def test_anthropics_published_examples(reader: str, size: tuple[int, int], tokens: int) -> None:
    """platform.claude.com, build-with-claude/vision: the table of sizes and visual tokens of both tiers of models."""
    exact = profile_of(reader).formula.model_copy(update={"extra": 0})
    assert exact.picture_tokens(*size) == tokens
    assert near(picture_tokens(reader, *size), tokens)


def test_anthropics_published_example_of_resizing() -> None:
    """platform.claude.com, build-with-claude/vision-coordinates: 1075 x 1520 becomes 924 x 1307; 4K 2576 x 1449 or 1456 x 819."""
    standard, high = profile_of("claude").formula, profile_of("claude-high-resolution").formula
    assert standard.seen_size(1075, 1520) == (924, 1307)
    assert (high.seen_size(3840, 2160), standard.seen_size(3840, 2160)) == ((2576, 1449), (1456, 819))
    assert standard.seen_size(28, 29) == (28, 29)
    assert standard.seen_size(2, 100_000)[0] == 1


def test_openais_published_examples_of_tiles() -> None:
    """developers.openai.com, guides/images-vision: 1024 x 1024 and 2048 x 4096 at high detail, 4096 x 8192 at low."""
    formula = TileFormula(base=85, tile=170)
    assert formula.picture_tokens(1024, 1024) == 765
    assert formula.picture_tokens(2048, 4096) == 1105
    assert formula.low_tokens() == 85
    assert profile_of("gpt-4o").page_tokens(1024, 1024, Tier.TINY) == 85, "detail: low is the base alone"


def test_openais_published_examples_of_patches() -> None:
    """developers.openai.com, guides/images-vision: 1024 x 1024 is 1,024 patches; 1800 x 2400 is shrunk to 1056 x 1408, 1,452 patches."""
    formula = PatchFormula(resize="shrink", patch=32, max_side=2048, max_patches=1536)
    assert formula.picture_tokens(1024, 1024) == 1024
    assert formula.seen_size(1800, 2400) == (1056, 1408)
    assert formula.picture_tokens(1800, 2400) == 1452
    assert picture_tokens("gpt-5-mini", 1800, 2400) == 2353, "the same, times 1.62"


@pytest.mark.parametrize(
    ("size", "billed"),
    [((256, 256), 77), ((512, 512), 308), ((768, 768), 692), ((1024, 1024), 1229), ((1280, 720), 1104), ((1920, 1080), 2448)],
)
def test_what_openai_billed_for_gpt_5_5(size: tuple[int, int], billed: int) -> None:
    """huggingface.co, datasets/JOHNISKING/image-token-cost: input tokens that the API reported, without the prompt's."""
    assert picture_tokens("gpt-5.4", *size) == billed


def test_googles_published_example_of_tiles() -> None:
    """ai.google.dev, image-understanding: 258 tokens up to 384 px on both sides; 960 x 540 has crop units of 360 px, 3 x 2 tiles."""
    assert picture_tokens("gemini-2.5", 384, 384) == 258
    assert picture_tokens("gemini-2.5", 960, 540) == 6 * 258


def test_googles_published_token_counts_of_media_resolutions() -> None:
    """ai.google.dev, media-resolution: Gemini 3 at LOW, MEDIUM, HIGH and ULTRA_HIGH; Gemini 2.5 at LOW and MEDIUM."""
    three, two = profile_of("gemini-3"), profile_of("gemini-2.5")
    assert [three.page_tokens(1024, 600, tier) for tier in three.rungs] == [280, 560, 1120, 2240]
    assert [three.rung(tier).media_resolution for tier in three.rungs] == ["LOW", "MEDIUM", "HIGH", "ULTRA_HIGH"]
    assert three.page_tokens(1024, 1024, Tier.BASE) == three.picture_tokens(64, 64) == 1_120
    assert [two.page_tokens(1024, 1024, tier) for tier in two.rungs] == [64, 256, 4 * 258]


@pytest.mark.parametrize(
    "size", [(28, 28), (1024, 1024), (640, 333), (4000, 6000), (50, 3000), (1, 1), (9000, 9000), (24, 2988), (20, 1571), (512, 27)]
)
def test_qwen_and_glm_round_as_transformers_does(size: tuple[int, int]) -> None:
    """transformers, models qwen2_vl and glm4v: `smart_resize` with the published limits."""
    pytest.importorskip("transformers", reason="transformers is not installed: pip install optical-memory[vlm]")
    qwen = importlib.import_module("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    glm = importlib.import_module("transformers.models.glm4v.image_processing_pil_glm4v").smart_resize
    width, height = size
    for reader, patch, least in (("qwen2.5-vl", 28, 4), ("qwen3-vl", 32, 64)):
        tall, wide = qwen(height, width, factor=patch, min_pixels=least * patch**2, max_pixels=16384 * patch**2)
        assert profile_of(reader).formula.seen_size(width, height) == (wide, tall)
        assert picture_tokens(reader, width, height) == wide * tall // patch**2 + 2
    tall, wide = glm(2, height, width, 2, factor=28, min_pixels=112 * 112, max_pixels=28 * 28 * 15000)
    assert profile_of("glm-4v").formula.seen_size(width, height) == (wide, tall)


PIXELS = [(512, 512), (640, 640), (1024, 1024), (1280, 1280), (512, 2048), (1092, 1092), (1152, 1536), (1536, 1536)]
NARROW = [(24, 2988), (2988, 24), (100, 100), (700, 333), (3000, 200), (4000, 3000), (20, 1571), (512, 27), (11, 9)]


@pytest.mark.parametrize(
    ("reader", "markers", "tokens"),
    [
        ("glm-5v", 2, [361, 529, 1369, 2116, 1406, 1521, 2310, 3025, 107, 107, 16, 300, 864, 7931]),
        ("kimi", 4, [361, 529, 1369, 2116, 1406, 1521, 2310, 3025, 107, 107, 16, 300, 864, 4200]),
        ("paddleocr-vl", 2, [324, 529, 1369, 2116, 1314, 1521, 2255, 2916, 308, 308, 196, 300, 749, 2961]),
        ("minimax-m3", 2, [324, 529, 576, 576, 576, 576, 540, 576, 107, 107, 16, 300, 552, 540]),
        ("internvl", 2, [256, 1280, 2560, 2560, 1280, 2560, 3328, 2560, 3328, 3328, 256, 768, 3328, 3328]),
        ("lightonocr", 2, [324, 529, 1369, 2116, 770, 1521, 2255, 3025]),
        ("deepseek-ocr-2", 0, [257, 257, 833, 833, 833, 833, 1121, 833]),
    ],
)
def test_soft_tokens_that_image_processors_made(reader: str, markers: int, tokens: list[int]) -> None:
    """Recorded with transformers 5.24.0 and torchvision 0.28, for Kimi and MiniMax; class defaults, InternVL 448 px, 1 to 12 tiles."""
    assert [picture_tokens(reader, *size) - markers for size in (PIXELS + NARROW)[: len(tokens)]] == tokens


@pytest.mark.parametrize("reader", ["glm-5v", "paddleocr-vl", "internvl", "deepseek-ocr-2", "lightonocr", "mistral-3"])
def test_soft_tokens_of_the_real_image_processors(reader: str) -> None:
    count = {
        "glm-5v": patches("glm5_next", "Glm5Next", 2),
        "paddleocr-vl": patches("paddleocr_vl", "PaddleOCRVL", 2),
        "internvl": tiles_of_internvl,
        "deepseek-ocr-2": tiles_of_deepseek_ocr_2,
        "lightonocr": lambda width, height: math.prod(grid_of_pixtral(width, height)) + 2,
        "mistral-3": lambda width, height: grid_of_pixtral(width, height)[0] * (grid_of_pixtral(width, height)[1] + 1),
    }[reader]
    sizes = random.Random(reader)
    drawn = [(sizes.randint(28, 4000), sizes.randint(28, 4000)) for _ in range(200)] + [
        (sizes.randint(9, 60), sizes.randint(9, 900)) for _ in range(200)
    ]
    for size in PIXELS + NARROW + drawn:
        if max(size) < 200 * min(size):  # some refuse others
            assert picture_tokens(reader, *size) == count(*size), size


def test_a_picture_for_gemma_4_has_no_more_tokens_than_are_counted() -> None:
    shrunk = module_of("gemma4").get_aspect_ratio_preserving_size
    for size in PIXELS:
        height, width = shrunk(size[1], size[0], patch_size=16, max_patches=280 * 9, pooling_kernel_size=3)
        assert picture_tokens("gemma-4", *size) - 26 <= height * width // 48**2 <= picture_tokens("gemma-4", *size) - 2


def module_of(model: str) -> Any:
    pytest.importorskip("transformers", reason="transformers is not installed: pip install optical-memory[vlm]")
    return importlib.import_module(f"transformers.models.{model}.image_processing_pil_{model}")


def patches(model: str, name: str, markers: int) -> Callable[[int, int], int]:
    processor = getattr(module_of(model), f"{name}ImageProcessorPil")()
    return lambda width, height: int(processor.get_number_of_image_patches(height, width, {}) // processor.merge_size**2 + markers)


def tiles_of_internvl(width: int, height: int) -> int:
    processor = module_of("got_ocr2").GotOcr2ImageProcessorPil
    made = processor(crop_to_patches=True, min_patches=1, max_patches=12, size={"height": 448, "width": 448})
    return int(256 * made.get_number_of_image_patches(height, width, {}) + 2)


def tiles_of_deepseek_ocr_2(width: int, height: int) -> int:
    module = module_of("deepseek_ocr2")
    made = module.DeepseekOcr2ImageProcessorPil
    if max(width, height) <= made.tile_size:
        return 257
    columns, rows = module.get_optimal_tiled_canvas((height, width), (made.tile_size, made.tile_size), made.min_patches, made.max_patches)
    return int(257 + 144 * columns * rows)


def grid_of_pixtral(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of tokens of two by two patches of 14 px, at most 1,540 px long."""
    picture = np.broadcast_to(np.uint8(0), (3, height, width))
    tall, wide = module_of("pixtral").get_resize_output_image_size(picture, (1540, 1540), (14, 14), "channels_first")
    return tall // 28, wide // 28


# -- what all profiles promise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_a_fainter_tier_is_never_dearer(name: str) -> None:
    profile = shipped_profiles()[name]
    for size in ((1280, 1280), (1024, 300), (300, 1024)):
        costs = [profile.page_tokens(*size, tier) for tier in profile.rungs]
        assert costs == sorted(costs)
    assert list(profile.rungs) == sorted(profile.rungs)


@pytest.mark.parametrize("name", SHIPPED)
def test_no_rung_in_use_shows_smaller_letters_than_are_read_there(name: str) -> None:
    profile = shipped_profiles()[name]
    style = profile.page_style()
    for tier in profile.ladder:
        scales = [shown / whole for shown, whole in zip(profile.shown_size(*style.pixel_size, tier), style.pixel_size, strict=True)]
        width, height = (size * scale for size, scale in zip(style.cell, scales, strict=True))
        assert width * height >= (profile.rung(tier).cell_area or 0) * 0.999


@pytest.mark.parametrize("name", SHIPPED)
def test_the_server_leaves_a_page_as_it_is_sent(name: str) -> None:
    profile = shipped_profiles()[name]
    for tier in profile.ladder if profile.page else ():
        sent = profile.shown_size(*profile.page_style().pixel_size, tier)
        assert profile.formula.seen_size(*sent) in (sent, None)
        assert max(sent) <= (profile.limits.max_side or max(sent)) and max(sent) <= (profile.limits.many_side or max(sent))


@pytest.mark.parametrize("name", SHIPPED)
@given(width=st.integers(40, 2048), height=st.integers(40, 2048))
def test_what_is_cut_off_a_page_is_never_paid_for(name: str, width: int, height: int) -> None:
    profile = shipped_profiles()[name]
    style = profile.page_style()
    if not style.crop:
        return
    canvas = style.pixel_size
    for tier in profile.rungs:
        cut = profile.page_tokens(min(width, canvas[0]), min(height, canvas[1]), tier, max(canvas))
        assert cut <= profile.page_tokens(*canvas, tier)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_profile_is_dated_and_has_a_source_and_evidence(name: str) -> None:
    profile = shipped_profiles()[name]
    assert len(profile.as_of) == 7 and profile.source and profile.evidence
    assert profile.models or name == "deepseek-ocr-on-vllm"
    assert profile.cache == type(profile.cache)() or profile.cache.source
    assert all(rung.evidence for rung in profile.rungs.values() if not rung.default), "what is off says why"


@pytest.mark.parametrize("name", SHIPPED)
def test_no_rung_in_use_is_shrunk_below_the_provider_without_saying_so(name: str) -> None:
    profile = shipped_profiles()[name]
    if profile.limits.no_resize is None:
        return
    side = profile.limits.no_resize
    assert profile.formula.seen_size(side, side) == (side, side), "the largest square that stays as it is"
    assert profile.formula.seen_size(side + 64, side + 64) != (side + 64, side + 64)


def test_mini_and_nano_models_are_given_text() -> None:
    for model in ("gpt-4o-mini", "gpt-5-mini", "gpt-4.1-nano", "o4-mini-2025-04-16"):
        profile = profile_for_model(model)
        assert profile is not None and profile.ladder == ()
        memory = OpticalMemory("s", store="memory://", reader=profile)
        memory.extend([("user" if n % 2 else "assistant", f"word {n} " * 200) for n in range(40)])
        context = memory.context()
        assert context.pages == () and memory.pages() == [], "and nothing is drawn"
        assert memory.context(2_000).usage.prompt_tokens <= 2_000
    asked = profile_of("gpt-5-mini").allowing("small")
    assert asked.ladder == (Tier.SMALL,)


def test_the_tables_in_the_docs_are_the_data() -> None:
    page = (ROOT / "docs" / "readers.md").read_text("utf-8")
    assert f"<!-- profiles -->\n{markdown_tables()}<!-- /profiles -->" in page, "run: make docs"


# -- prices of caches --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "read", "write"),
    [
        ("claude-sonnet-5.5", 0.1, 1.25),
        ("claude-fable-5.1", 0.025, 1.25),
        ("claude-fable-5.2", 0.025, 1.25),
        ("claude-mythos-5.1", 0.025, 1.25),
        ("claude-opus-5.5", 0.05, 1.25),
        ("claude-haiku-5.5", 0.1, 1.25),
        ("gpt-5.5", 0.1, 1.0),
        ("gpt-5.6", 0.1, 1.25),
        ("gpt-6.2", 0.1, 1.25),
        ("gpt-6.1-terra", 0.05, 1.25),
        ("gemini-4", 0.1, 1.0),
    ],
)
def test_prices_of_autumn_2026(model: str, read: float, write: float) -> None:
    assert (profile_of(model).cache.read, profile_of(model).cache.write) == (read, write)


@pytest.mark.parametrize(
    ("model", "above", "factor"), [("gpt-6-sol", 272_000, 2), ("gpt-6.1-terra", 272_000, 2), ("claude-haiku-5-5", 100_000, 5)]
)
def test_a_longer_request_costs_more_as_a_whole(model: str, above: int, factor: float) -> None:
    prices = profile_of(model).cache
    assert (prices.factor(above), prices.factor(above + 1)) == (1, factor)


def test_a_picture_for_gpt_5_6_keeps_its_size() -> None:
    formula = profile_of("gpt-5.6").formula
    assert formula.seen_size(4000, 4000) == (4000, 4000)
    assert formula.picture_tokens(3200, 3200) == 12_000
    assert profile_of("gpt-5.4").picture_tokens(3200, 3200) == 3_000


# -- names of models ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "reader"),
    [
        ("anthropic/claude-sonnet-4-5", "claude"),
        ("claude-3-5-sonnet-20241022", "claude"),
        ("claude-opus-4-20250514", "claude"),
        ("claude-opus-4-7", "claude-high-resolution"),
        ("us.anthropic.claude-opus-4-8-v1:0", "claude-high-resolution"),
        ("anthropic/claude-opus-4.7", "claude-high-resolution"),
        ("claude-sonnet-5", "claude-high-resolution"),
        ("claude-fable-5", "claude-high-resolution"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("qwen2_5_vl", "qwen2.5-vl"),
        ("qwen2.5vl:7b", "qwen2.5-vl"),
        ("ollama_chat/qwen2.5vl:72b-q4_K_M", "qwen2.5-vl"),
        ("qwen25vl", "qwen2.5-vl"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl"),
        ("qwen3-vl:8b", "qwen3-vl"),
        ("qwen3vl", "qwen3-vl"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4.1", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4.1-mini", "gpt-5-mini"),
        ("gpt-5", "gpt-5"),
        ("gpt-5-2025-08-07", "gpt-5"),
        ("openai/gpt-5-mini", "gpt-5-mini"),
        ("gpt-5.2", "gpt-5.2"),
        ("gpt-5.4", "gpt-5.4"),
        ("gpt-5.5-2026-04-23", "gpt-5.4"),
        ("gpt-5.4-mini", "gpt-5-mini"),
        ("gpt-5.6-sol", "gpt-5.6"),
        ("gpt-5.6-mini", "gpt-5-mini"),
        ("gpt-6", "gpt-6"),
        ("openai/gpt-6-sol-2026-10-01", "gpt-6"),
        ("gpt-6.1", "gpt-6"),
        ("gpt-6.1-terra", "gpt-6.1-terra"),
        ("gpt-6.2-luna", "gpt-6"),
        ("gpt-6-mini", "gpt-5-mini"),
        ("gpt-6.1-nano", "gpt-5-nano"),
        ("claude-fable-5-2", "claude-fable-5.1"),
        ("claude-fable-5-20260401", "claude-high-resolution"),
        ("claude-mythos-5.1", "claude-fable-5.1"),
        ("anthropic.claude-opus-5-5-v1:0", "claude-opus-5.5"),
        ("claude-haiku-5.5", "claude-haiku-5.5"),
        ("Qwen/Qwen3.5-9B", "qwen3.5"),
        ("qwen3.8:32b", "qwen3.5"),
        ("Qwen/Qwen3-8B", None),
        ("zai-org/GLM-5V", "glm-5v"),
        ("glm-5.1v-turbo", "glm-5v"),
        ("moonshotai/Kimi-K2.5", "kimi"),
        ("kimi-k3", "kimi"),
        ("PaddlePaddle/PaddleOCR-VL", "paddleocr-vl"),
        ("lightonai/LightOnOCR-2-1B", "lightonocr"),
        ("mistral-small-3.2", "mistral-3"),
        ("OpenGVLab/InternVL3_5-8B", "internvl"),
        ("deepseek-ai/DeepSeek-OCR-2", "deepseek-ocr-2"),
        ("google/gemma-3-27b-it", "gemma-3"),
        ("gemma4:12b", "gemma-4"),
        ("MiniMax-M3-VL", "minimax-m3"),
        ("grok-4.6", "grok-4"),
        ("xai/grok-4-fast", "grok-4"),
        ("deepseek-ai/DeepSeek-OCR", "deepseek-ocr"),
        ("gpt-4omni", None),
        ("gemini-2.5-flash", "gemini-2.5"),
        ("models/gemini-3-pro-preview", "gemini-3"),
        ("gemini-3.5-flash", "gemini-3.5"),
        ("gemini-4-argon", "gemini-3.5"),
        ("vertex_ai/gemini-4.1-pro", "gemini-3.5"),
        ("THUDM/GLM-4.1V-9B-Thinking", "glm-4v"),
        ("glm-4v-plus", "glm-4v"),
        ("llama-3", None),
        ("", None),
    ],
)
def test_the_reader_of_a_model_by_its_name(model: str, reader: str | None) -> None:
    profile = profile_for_model(model)
    assert (profile.name if profile else None) == reader


# -- your own ----------------------------------------------------------------------------------------------------------------------------


def test_readers_of_your_own() -> None:
    own = ReaderProfile(
        name="mine", as_of="2026-11", source="me", formula=TileFormula(base=1, tile=2), ladder=["base", "tiny"], floor="tiny"
    )
    assert profile_of(own) is own
    assert own.ladder == (Tier.TINY, Tier.BASE)
    assert (own.below(Tier.BASE), own.below(Tier.TINY)) == (Tier.TINY, None)
    with pytest.raises(UnknownName, match=r"'gpt-9'.*deepseek-ocr"):
        profile_of("gpt-9")
    with pytest.raises(UnknownName, match="gpt-9"):
        OpticalMemory("s", store="memory://", reader="gpt-9")


def test_a_profile_is_changed_into_another() -> None:
    claude = profile_of("claude")
    assert claude.ladder == (Tier.SMALL, Tier.BASE)
    assert claude.allowing("tiny").ladder == (Tier.TINY, Tier.SMALL, Tier.BASE)
    assert claude.allowing("tiny").fingerprint != claude.fingerprint
    assert claude.limited(max_pictures=5).limits == Limits(**{**claude.limits.model_dump(), "max_pictures": 5})
    assert claude.limited(max_pictures=5).page_limit == 5
    assert claude.unasked() is claude
    assert profile_of("gemini-3").unasked().ladder == (Tier.BASE,)
    assert profile_of("gemini-3").allowing("gundam").unasked().ladder == (Tier.BASE,)
    with pytest.raises(ValueError, match="claude has no rung gundam; it has tiny, small, base"):
        claude.allowing("gundam")


def test_a_file_of_your_own_is_read_and_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "profiles.toml"
    file.write_text(
        """
        [claude]
        as_of = "2027-01"
        source = "me"
        formula = { kind = "flat", tokens = 7 }
        [mine]
        as_of = "2027-01"
        source = "me"
        models = ['my-\\w+']
        formula = { kind = "patch", patch = 28, max_patches = 100 }
        [mine.rungs]
        base = { detail = "low", cell = [8, 16] }
        tiny = { default = false }
        """,
        "utf-8",
    )
    assert profile_of("claude").as_of != "2027-01"
    assert load_profiles(file)["claude"].picture_tokens(9, 9) == 7
    monkeypatch.setenv(OWN_FILE, str(file))
    assert profile_of("claude").as_of == "2027-01"
    assert {"mine", "gpt-4o"} <= set(known_readers())
    mine = profile_for_model("my-model")
    assert mine is not None and mine.name == "mine" and mine.ladder == (Tier.BASE,)
    assert mine.rungs == {Tier.TINY: Rung(default=False), Tier.BASE: Rung(detail="low", cell=(8, 16))}
    assert [*mine.rungs] == [Tier.TINY, Tier.BASE]


def test_a_profile_is_like_another(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        """
        [near]
        like = "claude"
        as_of = "2027-01"
        models = ['near-\\d']
        cache = { read = 0.5 }
        limits = { max_pictures = 5 }
        rungs = { base = { side = 1092, cell = 300 } }
        [nearer]
        like = "near"
        ladder = ["base"]
        """,
        "utf-8",
    )
    claude, near, nearer = profile_of("claude"), load_profiles(file)["near"], load_profiles(file)["nearer"]
    assert (near.as_of, near.models, near.formula, near.page) == ("2027-01", (r"near-\d",), claude.formula, claude.page)
    assert near.cache == claude.cache.model_copy(update={"read": 0.5})
    assert near.limits == claude.limits.model_copy(update={"max_pictures": 5})
    assert near.rungs == {**claude.rungs, Tier.BASE: Rung(side=1092, cell=300)}
    assert (nearer.rungs, nearer.cache, nearer.models) == ({Tier.BASE: Rung()}, near.cache, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nlike = 'claud'", r"own\.toml: \[a\] like: no profile 'claud' above it; known: claude, "),
        ("[a", r"own\.toml: "),
        ("a = 1", r"own\.toml: 'a' is no table"),
        ("[a]\nas_of = '1'\nsource = 's'", r"own\.toml: \[a\] formula: Field required"),
        ("[a]\nas_of = '1'\nsource = 's'\nformula = {kind = 'flat', tokens = 0}", r"own\.toml: \[a\] formula\.flat\.tokens: "),
        ("[a]\nas_of = '1'\nsource = 's'\nformula = {kind = 'flat', tokens = 1}\nrungs = {huge = {}}", r"\[a\] rungs: .*'huge'.*tiny"),
        (
            "[a]\nas_of = '1'\nsource = 's'\nformula = {kind = 'flat', tokens = 1}\nrungs = {base = {edge = 3}}",
            r"\[a\] rungs\.base\.edge:",
        ),
        ("[a]\nas_of = '1'\nsource = 's'\nformula = {kind = 'flat', tokens = 1}\nladder = 3", r"\[a\] the table: .*ladder"),
        ("[a]\nas_of = '1'\nsource = 's'\nformula = {kind = 'flat', tokens = 1}\nmodels = ['(']", r"\[a\] models: .*'\('"),
        ("[a]\nas_of = '1'\nsource = 's'\nformula = {kind = 'flat', tokens = 1}\nprice = 1", r"\[a\] price: "),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        load_profiles(file)
    with pytest.raises(FileNotFoundError):
        load_profiles(tmp_path / "none.toml")


@pytest.mark.parametrize("reader", ["claude", "qwen3-vl", "gpt-5", "deepseek-ocr"])
def test_a_changed_profile_has_a_ladder_of_its_own(reader: str) -> None:
    profile = profile_of(reader)
    before = profile.ladder
    for changed in (profile.allowing("base"), profile.limited(max_side=600), profile.model_copy(update={"rungs": {}})):
        assert changed.ladder == ReaderProfile.ladder.func(changed), "not that of the profile that it was made from"  # type: ignore[attr-defined]
    assert profile.ladder == before

from __future__ import annotations

import pytest

from optical_memory.errors import UnknownName
from optical_memory.readers import ReaderProfile, known_readers, profile_of
from optical_memory.readers.base import PatchFormula, TileFormula
from optical_memory.readers.profiles import profile_for_model
from optical_memory.tiers import Tier


def test_deepseek_ocr_is_charged_its_real_sequence_lengths() -> None:
    profile = profile_of("deepseek-ocr")
    assert [profile.page_tokens(1280, 1280, tier) for tier in Tier] == [73, 111, 273, 421, 693]


def test_anthropics_published_formula() -> None:
    formula = PatchFormula(patch=28, max_side=1568, max_patches=1568)
    assert formula.picture_tokens(1000, 1000) == 36 * 36
    assert formula.picture_tokens(28, 29) == 2
    assert formula.picture_tokens(4000, 4000) == 39 * 39, "the largest square within 1568"


def test_openais_published_examples() -> None:
    """The two examples of OpenAI's vision guide: 1024 x 1024 and 2048 x 4096 at high detail."""
    formula = TileFormula(base=85, tile=170)
    assert formula.picture_tokens(1024, 1024) == 765
    assert formula.picture_tokens(2048, 4096) == 1105


@pytest.mark.parametrize("name", known_readers())
def test_a_fainter_tier_is_never_dearer(name: str) -> None:
    profile = profile_of(name)
    costs = [profile.page_tokens(1280, 1280, tier) for tier in profile.ladder]
    assert costs == sorted(costs)
    assert profile.as_of and profile.source


def test_readers_of_your_own() -> None:
    own = ReaderProfile(
        name="mine", as_of="2026-11", source="me", formula=TileFormula(base=1, tile=2), ladder=["base", "tiny"], floor="tiny"
    )
    assert profile_of(own) is own
    assert own.ladder == (Tier.TINY, Tier.BASE)
    assert (own.below(Tier.BASE), own.below(Tier.TINY)) == (Tier.TINY, None)
    with pytest.raises(UnknownName, match=r"'gpt-9'.*deepseek-ocr"):
        profile_of("gpt-9")


@pytest.mark.parametrize(
    ("model", "reader"),
    [
        ("anthropic/claude-sonnet-4-5", "claude"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("deepseek-ai/DeepSeek-OCR", "deepseek-ocr"),
        ("gpt-4omni", None),
        ("models/gemini-3-pro-preview", "gemini-3"),
        ("llama-3", None),
    ],
)
def test_the_reader_of_a_model_by_its_name(model: str, reader: str | None) -> None:
    profile = profile_for_model(model)
    assert (profile.name if profile else None) == reader


def test_gemini_3_charges_every_picture_alike() -> None:
    profile = profile_of("gemini-3")
    assert profile.page_tokens(1024, 1024, Tier.BASE) == profile.picture_tokens(64, 64) == 1_120

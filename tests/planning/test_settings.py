from __future__ import annotations

from typing import Any

import pytest

from optical_memory import BestUse, ByAge, Tier
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.profile import LegibilityCurve, ReaderProfile
from optical_memory.profiles.registry import profile_of


def settings(profile: ReaderProfile | str = "deepseek-ocr", **options: Any) -> ViewSettings:
    return ViewSettings.of(profile_of(profile) if isinstance(profile, str) else profile, **options)


@pytest.mark.parametrize(
    ("reader", "shape"), [("deepseek-ocr", (Tier.TINY,)), ("tesseract", (Tier.TINY,)), ("rapidocr", ()), ("claude", ())]
)
def test_pages_are_abridged_only_where_the_reader_reads_too_little_of_a_shrunk_one(reader: str, shape: tuple[Tier, ...]) -> None:
    assert settings(reader).shape == shape
    assert settings(reader, shape="auto").shape == shape
    assert settings(reader, shape=()).shape == () and settings(reader, shape=["tiny"]).shape == (Tier.TINY,)


def test_a_measured_curve_decides_whether_pages_are_abridged() -> None:
    read = LegibilityCurve(by="letter", points=((7.0, 0.95), (14.0, 1.0)), basis="measured")
    better = profile_of("deepseek-ocr").model_copy(update={"legibility": read})
    assert settings(better).shape == ()


def test_the_policy_depends_on_whether_there_is_a_budget() -> None:
    assert settings().policy_within(4_000) == BestUse()
    assert settings().policy_within(None) == ByAge()
    assert settings(forgetting=ByAge(gundam=2)).policy_within(4_000) == ByAge(gundam=2)

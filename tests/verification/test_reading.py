"""Reading back with the real Tesseract what the real Pillow renderer drew."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from optical_memory import ByAge, OpticalMemory, Page, PageStyle, Turn, WaterMarks
from optical_memory.pages.tiers import Tier
from optical_memory.readers.tesseract import OcrReader, has_language
from optical_memory.verification.reading import ByReading

pytestmark = pytest.mark.skipif(not has_language(), reason="no Tesseract with English here: apt install tesseract-ocr")

AT_TINY = ByAge(gundam=0, large=0, base=0, small=0, tiny=1_000)
LARGE_LETTERS = PageStyle(width=360, height=360, columns=1)  # 14 of 360 px: 20 px at Tiny
WORDS = ["river", "stone", "garden", "window", "market", "morning", "letter", "paper", "bridge", "silver", "winter", "simple", "quiet"]


def prose(count: int, words: int = 30) -> list[tuple[str, str]]:
    chance = random.Random(1)
    return [("user" if n % 2 else "assistant", " ".join(chance.choices(WORDS, k=words)) + ".") for n in range(1, count + 1)]


def hexadecimal(count: int) -> list[tuple[str, str]]:
    chance = random.Random(2)
    return [("user" if n % 2 else "assistant", " ".join(f"{chance.getrandbits(48):012x}" for _ in range(12))) for n in range(1, count + 1)]


def memory_of(turns: list[tuple[str, str]], store: str = "memory://", **options: object) -> OpticalMemory:
    marks = WaterMarks(high=300, low=100)
    memory = OpticalMemory("s", **{"store": store, "renderer": "pillow", "forgetting": AT_TINY, "marks": marks, **options})  # type: ignore[arg-type]
    memory.extend(turns)
    return memory


def first_page(memory: OpticalMemory) -> tuple[Page, list[Turn]]:
    memory.context()
    page = memory.pages()[0]
    return page, memory.turns(page.first_turn, page.last_turn + 1)


@pytest.mark.slow
def test_random_hexadecimal_is_refused_at_tiny_and_shown_sharper_or_as_text() -> None:
    turns = hexadecimal(14)
    assert {part.tier for part in memory_of(turns).context().pages} == {Tier.TINY}
    memory = memory_of(turns, verify=True)
    context = memory.context()
    assert all(part.tier > Tier.TINY for part in context.pages)
    shown = {segment.turn for part in context.pages for segment in part.page.segments} | {turn.number for turn in context.turns}
    assert shown == set(range(1, 15)), "nothing is left out for it"
    found = {(each.key, each.tier): each for each in memory.verifications()}
    refused = [each for each in found.values() if each.tier == Tier.TINY]
    assert refused and not any(each.passed for each in refused)
    assert all(found[part.page.key, part.tier].passed for part in context.pages)
    assert memory.stats().pages_verified == len(found)


def test_a_sparse_page_in_large_letters_is_read_at_tiny() -> None:
    memory = memory_of(prose(16), verify="ocr", style=LARGE_LETTERS)
    context = memory.context()
    assert context.pages and {part.tier for part in context.pages} == {Tier.TINY}
    assert {each.tier for each in memory.verifications()} == {Tier.TINY}
    assert all(each.passed and each.segments_asked and each.error_rate < 0.05 for each in memory.verifications())


def test_a_page_is_read_once_ever(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.sqlite3"
    with memory_of(prose(20), url, verify=True, style=LARGE_LETTERS) as memory:
        first = memory.context()
        assert memory.stats().pages_verified > 0
        kept = memory.verifications()
    with memory_of([], url, verify=True, style=LARGE_LETTERS) as again:
        again.pin(20)  # a turn that is text; it makes another plan
        assert [part.page.key for part in again.context().pages] == [part.page.key for part in first.pages]
        assert again.context().plan.epoch == first.plan.epoch + 1
        assert again.stats().pages_verified == 0
        assert again.verifications() == kept


def test_results_are_erased_with_their_page(tmp_path: Path) -> None:
    with memory_of(prose(20), f"sqlite:///{tmp_path}/m.sqlite3", verify=True, style=LARGE_LETTERS) as memory:
        page = memory.context().pages[0].page
        assert page.key in {each.key for each in memory.verifications()}
        memory.erase(page.first_turn)
        assert page.key not in {each.key for each in memory.verifications()}
        assert memory.verifications(), "those of other pages stay"
        memory.erase()
        assert memory.verifications() == []
        assert {trace.place: trace.clean for trace in memory.prove_erased().traces}["pages"]


def test_without_the_program_all_stays_text_and_one_warning_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    memory = memory_of(prose(30), verify=True, style=LARGE_LETTERS)
    with pytest.warns(RuntimeWarning, match=r"verifier 'ocr' failed \(ProgramNotFound: .*tesseract") as caught:
        context = memory.context()
        memory.append(("user", "and now?"))
        memory.pin(2)
        memory.context()
    assert len([warning for warning in caught if "verifier" in str(warning.message)]) == 1
    assert context.pages == () and context.usage.turns_left_out == 0
    stats = memory.stats()
    assert stats.verify_failures > 0 and stats.pages_verified == 0
    assert memory.verifications() == []


def test_the_middle_of_a_long_turn_is_looked_for_in_it() -> None:
    chance = random.Random(3)
    long = ". ".join(f"{chance.choice(WORDS)} {chance.choice(WORDS)} {n}" for n in range(600))
    memory = memory_of([("user", "go"), ("assistant", long), *prose(12)], style=LARGE_LETTERS)
    memory.context()
    middle = next(page for page in memory.pages() if page.segments[0].continued and page.segments[-1].continues)
    turns = memory.turns(2, 3)
    assert ByReading().verify(middle, turns, Tier.BASE).passed
    other = [turns[0].model_copy(update={"content": " ".join(chance.choices(WORDS, k=1_200))})]
    assert not ByReading().verify(middle, other, Tier.BASE).passed


def test_what_is_not_on_the_page_fails_it() -> None:
    page, turns = first_page(memory_of(prose(20), style=LARGE_LETTERS))
    assert ByReading().verify(page, turns, Tier.BASE).score == 1
    changed = [turn.model_copy(update={"content": " ".join(reversed(str(turn.content).split()))}) for turn in turns]
    found = ByReading().verify(page, changed, Tier.BASE)
    assert (found.segments_read, found.passed) == (0, False)
    assert found.error_rate > 0.3


def test_strings_of_the_sidecar_are_asked_for() -> None:
    page, turns = first_page(memory_of([("user", "The booking is QX-77419 for 1,234.50 EUR."), *prose(12)], style=LARGE_LETTERS))
    assert page.sidecar
    found = ByReading().verify(page, turns, Tier.LARGE)
    assert found.strings_asked == found.strings_read == len(page.sidecar)


def test_any_reader_that_transcribes_will_do() -> None:
    page, turns = first_page(memory_of(prose(12), style=LARGE_LETTERS))
    mine = ByReading(OcrReader(), name="mine")
    found = mine.verify(page, turns, Tier.BASE)
    assert found.passed and found.verifier == "mine"
    assert ByReading(OcrReader(), floor=0.9).fingerprint != ByReading(OcrReader()).fingerprint
    with pytest.raises(ValueError, match=r"a share from 0 to 1; got 60"):
        ByReading(floor=60)

"""Tesseract as a reader, the real program; where it is missing these are skipped with that reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from optical_memory import OpticalMemory
from optical_memory.calibration.asking import TranscribingAsker
from optical_memory.calibration.eye_charts import ChartName, draw
from optical_memory.calibration.scoring import Answered
from optical_memory.errors import ProgramNotFound, ReaderError
from optical_memory.pages.page import PageStyle
from optical_memory.pages.tiers import Tier
from optical_memory.planning.triggers import WaterMarks
from optical_memory.profiles.registry import profile_of
from optical_memory.readers import open_reader
from optical_memory.readers.columns import letter_size, text_columns
from optical_memory.readers.tesseract import OcrReader, has_language
from optical_memory.renderers.base import open_renderer
from optical_memory.renderers.png import decode_grey, resize
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import Turn
from tests.remembered import REMEMBERED

needs_tesseract = pytest.mark.skipif(not has_language(), reason="no Tesseract with English here: apt install tesseract-ocr")
SENTENCE = "The parcel for platform {} left the harbour before noon and nobody signed for it."


def picture(count: int, tier: Tier, font_size: float = 14.0) -> bytes:
    """A page of `count` sentences, shown at a tier."""
    turns = [Turn(number=at, role="user" if at % 2 else "assistant", content=SENTENCE.format(100 + at)) for at in range(1, count + 1)]
    style = PageStyle(font_size=font_size, code_size=font_size)
    page = open_renderer("pillow").render(exchanges_of(turns), style)[0]
    return resize(page.png, tier.side, style.faint_levels if tier.side < page.width else style.grey_levels)


@needs_tesseract
def test_a_page_of_two_columns_is_read_column_by_column() -> None:
    said = " ".join(OcrReader().read_picture(picture(50, Tier.BASE)).split())
    places = [said.find(f"platform {100 + at}") for at in range(1, 50)]
    assert sum(place >= 0 for place in places) >= 47
    assert [place for place in places if place >= 0] == sorted(place for place in places if place >= 0)


@needs_tesseract
@pytest.mark.parametrize("tier", [Tier.TINY, Tier.BASE])
def test_heads_begin_with_their_number(tier: Tier) -> None:
    lines = OcrReader().read_picture(picture(50, tier)).splitlines()
    heads = [line for line in lines if re.search(r"(user|assistant) The", line)]
    assert len(heads) >= 45
    assert sum(re.match(r"#\d+ (user|assistant) The", line) is not None for line in heads) >= len(heads) - 2, "the bar is no text"


@needs_tesseract
@pytest.mark.parametrize("kind", ["names", "numbers"])
def test_numbers_of_large_letters_are_read_at_tiny(kind: str) -> None:
    chart = draw(ChartName(kind, Tier.TINY, 18.0, 1), open_renderer("chromium"), profile_of("deepseek-ocr"), seed=0, probes=40)
    lines = OcrReader().read_picture(chart.page.picture_of(chart.page, Tier.TINY)).splitlines()
    read = {line.split()[0] for line in lines if re.match(r"#\d+ (user|assistant) ", line)}
    missed = [probe.number for probe in chart.probes if f"#{probe.number}" not in read]
    assert len(missed) <= 1, f"of {len(chart.probes)} numbers: a bar that blurs is read as a digit"


@needs_tesseract
def test_points_of_an_enlarged_page_are_no_colons() -> None:
    chart = draw(ChartName("numbers", Tier.LARGE, 14.0, 1), open_renderer("pillow"), profile_of("deepseek-ocr"), seed=0, probes=40)
    answers = TranscribingAsker(open_reader("tesseract")).ask(chart).answers
    exact = sum(Answered(probe.number, probe.text, answers.get(probe.number)).is_exact for probe in chart.probes)
    assert exact >= 36, f"{exact} of 40; it was 10 with letters as large as smaller ones are brought to"


@needs_tesseract
def test_a_page_of_a_memory_is_transcribed_at_a_tier() -> None:
    memory = OpticalMemory("ocr", store="memory://", renderer=REMEMBERED, marks=WaterMarks(high=600, low=100))
    for at in range(30):
        memory.append({"role": "user", "content": SENTENCE.format(300 + at)})
        memory.append({"role": "assistant", "content": "Noted."})
    memory.context(600)
    reader = open_reader("tesseract")
    page = memory.pages()[0]
    assert "platform 300" in " ".join(reader.transcribe(page, tier="base").split())
    reader.close()


@needs_tesseract
def test_words_have_boxes_and_confidences() -> None:
    found = OcrReader().words(picture(50, Tier.BASE))
    parcels = [word for word in found if word.text == "parcel"]
    assert len(parcels) > 40
    assert {word.box.left < 512 for word in parcels} == {True, False}, "both columns, in pixels of the picture"
    assert all(0 <= word.confidence <= 100 for word in parcels)
    assert all(5 < word.box.height < 25 for word in parcels)


@pytest.mark.parametrize("tier", [Tier.TINY, Tier.SMALL, Tier.BASE, Tier.LARGE])
def test_columns_are_found_by_their_hairline(tier: Tier) -> None:
    (_, cut), (again, right) = text_columns(decode_grey(picture(60, tier)))
    assert abs(cut - tier.side / 2) <= 2 and again == cut + 1 and right == tier.side
    assert text_columns(decode_grey(picture(3, tier))) == [(0, tier.side)]


def test_a_hairline_at_the_edge_of_a_cut_column_has_nothing_beside_it() -> None:
    column = Image.new("L", (40, 100), "white")
    column.paste(200, (39, 0, 40, 100))
    assert text_columns(column) == [(0, 39)]


@pytest.mark.parametrize("font_size", [9.0, 14.0, 24.0])
@pytest.mark.parametrize("tier", [Tier.TINY, Tier.SMALL, Tier.BASE, Tier.LARGE])
def test_letters_are_measured(tier: Tier, font_size: float) -> None:
    image = decode_grey(picture(60, tier, font_size))
    left, right = text_columns(image)[0]
    assert letter_size(image.crop((left, 0, right, image.height))) == pytest.approx(font_size * tier.side / 1024, rel=0.45)


@needs_tesseract
def test_it_reads_and_does_not_answer() -> None:
    memory = OpticalMemory("none", store="memory://", renderer=REMEMBERED)
    with pytest.raises(ReaderError, match="answers no questions"):
        OcrReader().answer(memory.context(), "Who?")


@needs_tesseract
def test_a_blank_picture_has_no_words() -> None:
    from PIL import Image

    reader = OcrReader()
    assert reader.transcribe(Image.new("L", (300, 300), 255)) == ""
    with pytest.raises(ValueError, match="no PNG"):
        reader.read_picture(b"nothing")


@needs_tesseract
def test_data_that_is_missing_names_its_package() -> None:
    with pytest.raises(ProgramNotFound, match="apt install tesseract-ocr-xx-yyy"):
        OcrReader("eng+xx_yyy")


def test_a_program_that_is_missing_names_its_package() -> None:
    with pytest.raises(ProgramNotFound, match="apt install tesseract-ocr"):
        OcrReader(binary="/nowhere/tesseract")


def program(folder: Path, body: str) -> Path:
    """A program that knows English and does `body` when it is to read."""
    path = folder / "reads"
    path.write_text(f'#!/bin/sh\n[ "$1" = --list-langs ] && printf "List:\\neng\\n" && exit 0\n{body}\n')
    path.chmod(0o755)
    return path


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    reader = OcrReader(binary=program(tmp_path, "exec sleep 30"), timeout=0.3)
    with pytest.raises(ReaderError, match="larger timeout"):
        reader.read_picture(picture(3, Tier.TINY))


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    reader = OcrReader(binary=program(tmp_path, "echo out of paper >&2; exit 3"))
    with pytest.raises(ReaderError, match="status 3: out of paper"):
        reader.read_picture(picture(3, Tier.TINY))

"""RapidOCR as a reader, the real networks."""

from __future__ import annotations

import io
import itertools

import pytest
from PIL import Image

from optical_memory import OpticalMemory
from optical_memory.errors import ReaderError
from optical_memory.pages.page import PageStyle
from optical_memory.pages.tiers import Tier
from optical_memory.readers import open_reader
from optical_memory.readers.columns import strips
from optical_memory.readers.rapidocr import RapidOcrReader
from optical_memory.renderers.base import open_renderer
from optical_memory.renderers.png import resize
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import Turn

SENTENCE = "The parcel for platform {} left the harbour before noon and nobody signed for it."


@pytest.fixture(scope="module")
def reader() -> RapidOcrReader:
    return RapidOcrReader()


def picture(sentences: list[str], tier: Tier, style: PageStyle | None = None) -> bytes:
    """A page of sentences, shown at a tier."""
    style = style or PageStyle()
    turns = [Turn(number=at, role="user", content=sentence) for at, sentence in enumerate(sentences, 1)]
    page = open_renderer("pillow").render(exchanges_of(turns), style)[0]
    return resize(page.png, tier.side, style.faint_levels if tier.side < page.width else style.grey_levels)


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_a_page_of_two_columns_is_read_column_by_column(reader: RapidOcrReader) -> None:
    said = squeezed(reader.read_picture(picture([SENTENCE.format(100 + at) for at in range(40)], Tier.TINY)))
    places = [said.find(f"platform{100 + at}") for at in range(40)]
    assert sum(place >= 0 for place in places) >= 39
    assert [place for place in places if place >= 0] == sorted(place for place in places if place >= 0)


def test_chinese_is_read_beside_english(reader: RapidOcrReader) -> None:
    said = squeezed(reader.read_picture(picture(["我们明天上午十点在北京南站见面。", "The train leaves at ten."], Tier.BASE)))
    assert "北京南站" in said and "trainleavesatten" in said


def test_grey_and_palette_pictures_are_read_alike(reader: RapidOcrReader) -> None:
    words = Image.open(io.BytesIO(picture([SENTENCE.format(7)], Tier.TINY))).convert("L").crop((0, 0, 512, 96))
    grey, palette = io.BytesIO(), io.BytesIO()
    words.save(grey, "PNG")
    words.convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(palette, "PNG")
    said = reader.read_picture(grey.getvalue())
    assert "platform" in said and reader.read_picture(palette.getvalue()) == said


def test_a_tall_picture_is_read_at_the_size_of_its_letters(reader: RapidOcrReader) -> None:
    lines = picture([SENTENCE.format(100 + at) for at in range(4)], Tier.SMALL)
    part = Image.open(io.BytesIO(lines)).convert("L").crop((0, 0, 320, 200))
    tall = Image.new("L", (320, 4_000), 255)
    tall.paste(part, (0, 3_700))
    file = io.BytesIO()
    tall.save(file, "PNG")
    assert "platform" in reader.read_picture(file.getvalue(), letter=8.75)


def test_nothing_is_read_on_a_blank_page(reader: RapidOcrReader) -> None:
    file = io.BytesIO()
    Image.new("L", (512, 512), 255).save(file, "PNG")
    assert reader.read_picture(file.getvalue()) == ""


def test_it_is_opened_by_name_and_answers_no_questions() -> None:
    with OpticalMemory("r", store="memory://", renderer="pillow", reader="rapidocr") as memory:
        memory.append(("user", "hello"))
        opened = open_reader("rapidocr", threads=1)
        with pytest.raises(ReaderError, match="transcribe"):
            opened.answer(memory.context(), "Who?")
        opened.close()
    with pytest.raises(ValueError, match="-1"):
        RapidOcrReader(threads=-1)


def test_strips_are_cut_between_lines() -> None:
    column = Image.new("L", (50, 1_000), 255)
    for top in range(5, 1_000, 20):
        column.paste(0, (0, top, 50, top + 12))
    edges = strips(column, 310)
    assert edges[0][0] == 0 and edges[-1][1] == 1_000
    assert all(below[0] == above[1] for above, below in itertools.pairwise(edges))
    assert all(bottom - top <= 310 for top, bottom in edges)
    rows = column.resize((1, 1_000), Image.Resampling.BOX).tobytes()
    assert all(rows[bottom] == 255 for _, bottom in edges[:-1])


def test_a_strip_without_white_rows_is_cut_all_the_same() -> None:
    assert strips(Image.new("L", (5, 100), 0), 40) == [(0, 40), (40, 80), (80, 100)]

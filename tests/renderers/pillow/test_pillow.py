"""The embedded renderer: whatever is said, pages come out whole, in order, and the same every time."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import struct
import subprocess
import sys
import threading
import weakref
import zlib
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from optical_memory.pages.page import Box, PageStyle
from optical_memory.renderers.base import RenderedPage, Renderer, open_renderer
from optical_memory.renderers.pillow.renderer import PillowRenderer
from optical_memory.renderers.png import decode_grey
from optical_memory.renderers.typography.fonts import BUNDLED, FontBook
from optical_memory.renderers.typography.word_masks import shared_words
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import ImageContent, TextContent, Turn
from tests.sampling import examples

SMALL = PageStyle(width=512, height=320, scale=1.0)
RENDERER = PillowRenderer(fonts=())


def conversation(*texts: str) -> list[Turn]:
    return [Turn(number=number, role="user" if number % 2 else "assistant", content=text) for number, text in enumerate(texts, 1)]


def draw(
    turns: Sequence[Turn], style: PageStyle = SMALL, *, renderer: PillowRenderer = RENDERER, seal_last: bool = True
) -> list[RenderedPage]:
    return renderer.render(exchanges_of(turns), style, seal_last=seal_last)


def check_whole(pages: Sequence[RenderedPage], turns: Sequence[Turn], style: PageStyle) -> None:
    """Every turn has its segment, in order; boxes lie on the page and do not overlap in a column."""
    width, height = style.pixel_size
    seen = [segment.turn for page in pages for segment in page.segments]
    assert sorted(set(seen)) == [turn.number for turn in turns]
    assert seen == sorted(seen)
    for page in pages:
        assert (page.width, page.height) == (width, height)
        assert 0.0 <= page.fill <= 1.0
        boxes = [box for segment in page.segments for box in segment.boxes]
        assert all(box.left >= 0 and box.top >= 0 and box.width > 0 and box.height > 0 for box in boxes)
        assert all(box.left + box.width <= width and box.top + box.height <= height for box in boxes)
        assert boxes == sorted(boxes, key=lambda box: (box.left, box.top))
        assert not any(overlap(first, second) for first, second in pairwise(boxes))
    assert_continued(pages)


def overlap(first: Box, second: Box) -> bool:
    return first.left == second.left and second.top < first.top + first.height


def assert_continued(pages: Sequence[RenderedPage]) -> None:
    for before, after in pairwise(pages):
        goes_on = before.last_turn == after.first_turn
        assert before.segments[-1].continues is goes_on
        assert after.segments[0].continued is goes_on


MARKUP = ["word ", "# ", "\n", "\n\n", "- ", "> ", "| a | b |\n|---|---|\n", "```\n", "$x^2$", "**", "`"]
SCRIPTS = ["مرحبا ", "שלום ", "中文，", "ไทย", "👩\u200d💻", "\u202e", "e\u0301", "\x00"]
ANY_TEXT = st.text(max_size=400) | st.lists(st.sampled_from(MARKUP + SCRIPTS), max_size=60).map("".join)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ANY_TEXT, min_size=1, max_size=8))
def test_any_text_is_drawn_whole_and_in_order(texts: list[str]) -> None:
    turns = conversation(*texts)
    check_whole(draw(turns), turns, SMALL)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 30_000,
        "中" * 5_000,
        "Z" + "\u0335\u0321\u0353" * 5_000,
        "\u202eabc \u2066def " * 500,
        "\ud800\udfff lone",
        "|" + "h|" * 40 + "\n|" + "-|" * 40 + "\n" + ("|" + "cell|" * 40 + "\n") * 20,
        "| a | b |\n|---|---|\n| " + "tall " * 4_000 + " | x |\n",
        "```python\n" + "def f(x): return x  # comment\n" * 900 + "```",
        "> " * 30 + "deep",
        "".join("  " * depth + "- item\n" for depth in range(40)),
        "# heading\n" * 200,
        "\u05d0" * 3_000,
        "$" + "\\frac{1}{" * 100 + "}" * 100 + "$",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_awkward_text_is_drawn_whole(text: str) -> None:
    turns = conversation("before", text, "after")
    check_whole(draw(turns), turns, SMALL)


def test_a_very_long_turn_runs_over_many_pages() -> None:
    turns = conversation("go", "All work and no play makes a dull page. " * 10_000)
    pages = draw(turns, PageStyle(scale=1.0))
    check_whole(pages, turns, PageStyle(scale=1.0))
    assert len(pages) > 30
    assert all(page.fill > 0.9 for page, after in pairwise(pages) if page.section == after.section)


def test_no_ink_stands_outside_the_columns() -> None:
    turns = conversation("W" * 2_000, "\u0e44\u0e17\u0e22" * 300, "| a | b |\n|---|---|\n| " + "w" * 500 + " | x |", "**bold** " * 300)
    width, height = SMALL.pixel_size
    for page in draw(turns):
        image = decode_grey(page.png)
        left = min(box.left for segment in page.segments for box in segment.boxes)
        assert Image.eval(image.crop((0, 0, left - 2, height)), lambda grey: 255 - grey).getbbox() is None
        assert Image.eval(image.crop((width - left + 2, 0, width, height)), lambda grey: 255 - grey).getbbox() is None


def test_the_same_turns_give_the_same_bytes_in_another_process() -> None:
    turns = conversation("Hello **world** `code`", "مرحبا 中文 $x^2$ \ue000")
    script = (
        "import sys, hashlib\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from tests.renderers.pillow.test_pillow import conversation, draw\n"
        "from optical_memory.renderers.pillow.renderer import PillowRenderer\n"
        "turns = conversation('Hello **world** `code`', '\\u0645\\u0631\\u062d\\u0628\\u0627 \\u4e2d\\u6587 $x^2$ \\ue000')\n"
        "renderer = PillowRenderer()\n"
        "print(hashlib.sha256(draw(turns, renderer=renderer)[0].png).hexdigest(), renderer.fingerprint)\n"
    )
    renderer = PillowRenderer()
    mine = hashlib.sha256(draw(turns, renderer=renderer)[0].png).hexdigest()
    done = subprocess.run([sys.executable, "-c", script, "."], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [mine, renderer.fingerprint]


def test_a_run_drawn_alone_has_the_same_bytes() -> None:
    turns = conversation(*(f"Turn {number}. " + "Some words of it. " * (number * 7 % 40) for number in range(1, 60)))
    exchanges = exchanges_of(turns)
    together = RENDERER.render(exchanges, SMALL)
    for group in unit_aligned_runs(together):
        numbers = {segment.turn for page in group for segment in page.segments}
        own = [
            exchange for exchange in (tuple(unit for unit in exchange if unit[0].number in numbers) for exchange in exchanges) if exchange
        ]
        alone = RENDERER.render(own, SMALL)
        assert [(page.png, page.segments) for page in alone] == [(page.png, page.segments) for page in group]


def unit_aligned_runs(pages: Sequence[RenderedPage]) -> list[list[RenderedPage]]:
    groups: list[list[RenderedPage]] = []
    for page in pages:
        if not groups or (not page.segments[0].continued and starts_a_run(groups[-1])):
            groups.append([])
        groups[-1].append(page)
    assert len(groups) > 3
    return groups


def starts_a_run(group: Sequence[RenderedPage]) -> bool:
    """A page that ends early was ended on purpose; a full one may simply flow on."""
    return group[-1].fill < 0.97


def test_unsealed_pages_stay_back_and_sealed_ones_do_not_change() -> None:
    turns = conversation(*("Some words of it. " * 30 for _ in range(30)))
    everything = draw(turns)
    for length in (3, 11, 20, 29):
        sealed = draw(turns[:length], seal_last=False)
        assert [page.png for page in sealed] == [page.png for page in everything[: len(sealed)]]
    assert len(draw(turns, seal_last=False)) >= len(everything) - 2
    assert draw(turns[:1], seal_last=False) == []


def test_nothing_gives_no_pages() -> None:
    assert RENDERER.render([], SMALL) == []


def test_missing_glyphs_are_counted_and_drawn() -> None:
    plain, private = draw(conversation("a a a"))[0], draw(conversation("a \ue000\ue001 a"))[0]
    assert plain.missing_glyphs == 0
    assert private.missing_glyphs == 2
    assert ink(private) > ink(plain) + 50


@pytest.mark.parametrize(
    "text", ["e\u0301", "\u2764\ufe0f", "\u200b\u2060", "soft\u00adhyphen", "\U0001f469\u200d\U0001f4bb", "\u0645\u200c\u0627"]
)
def test_what_is_invisible_is_not_missing(text: str) -> None:
    assert draw(conversation(text))[0].missing_glyphs == 0


def ink(page: RenderedPage) -> int:
    return sum(count * (255 - grey) for grey, count in enumerate(decode_grey(page.png).histogram())) // 255


def png_bytes(size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (90, 90, 90)).save(out, "PNG")
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that claims ten thousand million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [png_bytes((40, 20)), png_bytes((3000, 2)), png_bytes((2, 3000)), bomb(), b"\x89PNG\r\n\x1a\nnot at all", b"GIF89a"]
)
def test_pictures_of_any_kind_are_drawn_or_noted(data: bytes) -> None:
    picture = ImageContent(media_type="image/png", data=base64.b64encode(data).decode())
    turns = [Turn(number=1, role="user", content=(TextContent(text="See"), picture)), Turn(number=2, role="assistant", content="I see")]
    pages = draw(turns)
    check_whole(pages, turns, SMALL)
    assert ink(pages[0]) > ink(draw(conversation("See", "I see"))[0])


def test_a_good_picture_is_grey_on_the_page() -> None:
    picture = ImageContent(media_type="image/png", data=base64.b64encode(png_bytes((40, 20))).decode())
    page = draw([Turn(number=1, role="user", content=(picture,))])[0]
    greys = decode_grey(page.png).getcolors()
    assert greys is not None and any(count >= 40 * 20 and 70 < int(str(grey)) < 110 for count, grey in greys)


def test_many_threads_draw_the_same_page() -> None:
    turns = conversation("Threads " * 40, "中文 العربية " * 20)
    renderer = PillowRenderer()
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(draw(turns, renderer=renderer)[0].png)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1


def test_it_draws_again_after_close() -> None:
    renderer = PillowRenderer(fonts=())
    before = draw(conversation("x"), renderer=renderer)
    renderer.close()
    assert draw(conversation("x"), renderer=renderer) == before


def test_renderers_with_the_same_fonts_share_their_words() -> None:
    book = shared_words(FontBook(()))
    draw(conversation("a word that was never drawn: antidisestablishmentarianism"), renderer=PillowRenderer(fonts=()))
    assert any("antidisestablishmentarianism" in shelf for shelf in book._words.values())
    assert shared_words(FontBook(())) is book
    assert shared_words(FontBook([BUNDLED["mono"]])) is not book


def test_words_last_as_long_as_a_renderer_that_drew_them() -> None:
    renderer = PillowRenderer(fonts=[BUNDLED["mono"]])
    draw(conversation("x"), renderer=renderer)
    words = weakref.ref(shared_words(FontBook([BUNDLED["mono"]])))
    renderer.close()
    assert words() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_words_of_its_own() -> None:
    book = shared_words(FontBook(()))
    with book._lock:  # as if another thread drew
        child = os.fork()
        if child == 0:
            os._exit(0 if shared_words(FontBook(())) is not book else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_page_too_small_for_text_is_refused() -> None:
    with pytest.raises(ValueError, match="smaller font"):
        draw(conversation("x"), PageStyle(width=60, height=40))


def test_it_is_found_by_name() -> None:
    renderer = open_renderer("pillow")
    assert isinstance(renderer, Renderer) and renderer.name == "pillow"


def test_fingerprint_depends_on_the_fonts() -> None:
    assert PillowRenderer(fonts=()).fingerprint == RENDERER.fingerprint
    from optical_memory.renderers.typography.fonts import BUNDLED

    assert PillowRenderer(fonts=[BUNDLED["sans"]]).fingerprint != RENDERER.fingerprint


@pytest.mark.parametrize("columns", [1, 2, 3])
@pytest.mark.parametrize("scale", [0.8, 1.0, 1.25])
def test_columns_and_scales(columns: int, scale: float) -> None:
    style = PageStyle(width=700, height=400, scale=scale, columns=columns)
    turns = conversation(*("Some words of it. " * 40 for _ in range(7)))
    pages = draw(turns, style)
    check_whole(pages, turns, style)
    assert len({box.left for page in pages for segment in page.segments for box in segment.boxes}) == columns

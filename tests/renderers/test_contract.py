"""What every renderer promises, asked of each one that this machine can run."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.base import Batches, RenderedPage, Renderer, fills, open_renderer, render_each
from optical_memory.renderers.chromium.finding import BROWSER_VARIABLE, find_browser
from optical_memory.renderers.geometry import Canvas
from optical_memory.turns.exchanges import Exchange, exchanges_of
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import ImageContent, TextContent, ToolCall, Turn
from tests.sampling import examples, mostly_slow

DATA = Path(__file__).parent.parent / "data"
STYLE = PageStyle(scale=1.0)
SMALL = PageStyle(width=480, height=320, scale=1.0)
RENDERERS = ["bitmap", "chromium", "pillow"]


def conversation(name: str, turns: int) -> list[Exchange]:
    held = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    messages = held["messages"] if isinstance(held, dict) else held
    return exchanges(*(turn_of(message) for message in messages[:turns]))


def exchanges(*turns: Turn) -> list[Exchange]:
    return exchanges_of([turn.model_copy(update={"number": number}) for number, turn in enumerate(turns, start=1)])


def said(*texts: str) -> list[Exchange]:
    return exchanges(*(Turn(role=("user", "assistant")[place % 2], content=text) for place, text in enumerate(texts)))


def numbers(given: Sequence[Exchange]) -> list[int]:
    return [turn.number for exchange in given for unit in exchange for turn in unit]


def image(page: RenderedPage) -> Image.Image:
    return Image.open(BytesIO(page.png)).convert("L")


def ink(page: RenderedPage, darker_than: int = 160) -> Image.Image:
    """White where something dark stands."""
    return image(page).point([255 if value < darker_than else 0 for value in range(256)])


def check_pages(pages: Sequence[RenderedPage], given: Sequence[Exchange], style: PageStyle) -> None:
    """Order, boxes, continuation and ink of sealed pages."""
    drawn = [segment.turn for page in pages for segment in page.segments]
    assert sorted(set(drawn)) == numbers(given)
    assert drawn == sorted(drawn)
    width, height = style.pixel_size
    for page in pages:
        assert (page.width, page.height) == (width, height) == image(page).size
        assert 0 < page.fill <= 1
        boxes = [box for segment in page.segments for box in segment.boxes]
        assert all(box.left >= 0 and box.top >= 0 and box.width > 0 and box.height > 0 for box in boxes)
        assert all(box.left + box.width <= width and box.top + box.height <= height for box in boxes)
        for one, next_one in pairwise(boxes):  # reading order: down a column, then the next column
            same_column = next_one.left < one.left + one.width
            assert next_one.top >= one.top + one.height - 1 if same_column else next_one.left > one.left
        outside = ink(page)
        for box in boxes:  # a mark above a capital may reach a little over its line
            outside.paste(0, (box.left - 1, box.top - 3, box.left + box.width + 1, box.top + box.height + 3))
        assert without_rules(outside).getbbox() is None, "ink outside the boxes"
    for before, after in pairwise(pages):
        assert before.segments[-1].continues == after.segments[0].continued
        assert not after.segments[0].continued or before.last_turn == after.first_turn


def dark(inked: Image.Image, row: int) -> int:
    """How many pixels of a row have ink."""
    return inked.width - inked.crop((0, row, inked.width, row + 1)).histogram()[0]


def without_rules(picture: Image.Image) -> Image.Image:
    """Without the lines that part exchanges: rows of pixels that are dark over a third of the page and more."""
    for row in range(picture.height):
        if dark(picture, row) > picture.width / 3:
            picture.paste(0, (0, row, picture.width, row + 1))
    return picture


def no_line_is_cut(page: RenderedPage, style: PageStyle) -> None:
    """A line cut by the end of its column would leave much ink in the column's last row of pixels; a whole one only tips of letters."""
    _, height = style.pixel_size
    bottom = height - round(style.margin * style.scale)
    inked = ink(page)
    rows = [dark(inked, row) for row in range(bottom - 20, height)]
    assert rows[19] <= 0.25 * max(rows[:19])
    assert not any(rows[20:])


TALKS = {"assistant-chats": 60, "coding-agent": 50, "travel-chat-chinese": 160, "reasoning-maths-code": 60}


@pytest.mark.parametrize("name", mostly_slow(TALKS, quick=["coding-agent", "travel-chat-chinese"]))
def test_real_conversations(renderer: Renderer, name: str) -> None:
    given = conversation(name, TALKS[name])
    pages = renderer.render(given, STYLE)
    assert len(pages) > 1
    check_pages(pages, given, STYLE)
    for page in pages:
        no_line_is_cut(page, STYLE)
    assert sum(page.fill for page in pages[:-1]) / (len(pages) - 1) > 0.8


def test_the_picture_is_grey_at_two_bits(renderer: Renderer) -> None:
    (page,) = renderer.render(said("Hello"), STYLE)
    assert page.png[24:26] == bytes([2, 0])  # bit depth, colour type (PNG specification, 11.2.2)
    assert len(set(image(page).tobytes())) <= 4


def test_nothing_gives_no_pages(renderer: Renderer) -> None:
    assert renderer.render([], STYLE) == []


@pytest.mark.parametrize("content", ["", "  \n", "\0", "\ud800", "a\u200b", "<!-- -->", "\u202e"])
def test_a_turn_without_words_still_has_its_place(renderer: Renderer, content: str) -> None:
    given = said("before", content, "after")
    pages = renderer.render(given, STYLE)
    check_pages(pages, given, STYLE)


def test_lengths_scale_with_the_canvas(renderer: Renderer) -> None:
    given = said("One line. " * 30, "Two lines. " * 30)
    (small,), (large,) = renderer.render(given, STYLE), renderer.render(given, PageStyle(scale=2.0))
    for one, other in zip(small.segments, large.segments, strict=True):
        assert other.box.height == pytest.approx(2 * one.box.height, abs=8)
        assert other.box.width == pytest.approx(2 * one.box.width, abs=8)


def test_a_turn_longer_than_a_page_goes_on(renderer: Renderer) -> None:
    given = said("Tell me.", "\n\n".join(f"Paragraph {n}: " + "words and more words " * 12 for n in range(60)), "Thanks.")
    pages = renderer.render(given, SMALL)
    check_pages(pages, given, SMALL)
    long = [segment for page in pages for segment in page.segments if segment.turn == 2]
    assert len(long) > 5
    assert [segment.continued for segment in long] == [False] + [True] * (len(long) - 1)
    assert [segment.continues for segment in long] == [True] * (len(long) - 1) + [False]
    for page in pages:
        no_line_is_cut(page, SMALL)


def runs_of(pages: Sequence[RenderedPage]) -> list[list[RenderedPage]]:
    """Pages from one that begins with a new turn to the next such."""
    runs: list[list[RenderedPage]] = []
    for page in pages:
        if not page.segments[0].continued:
            runs.append([])
        runs[-1].append(page)
    return runs


def part(given: Sequence[Exchange], first: int, last: int) -> list[Exchange]:
    """The units whose turns are numbered `first` to `last`."""
    kept = [tuple(unit for unit in exchange if first <= unit[0].number and unit[-1].number <= last) for exchange in given]
    return [exchange for exchange in kept if exchange]


@pytest.mark.parametrize(
    ("name", "turns", "style"),
    [pytest.param("assistant-chats", 70, STYLE, marks=pytest.mark.slow), ("coding-agent", 40, STYLE), ("assistant-chats", 30, SMALL)],
)
def test_a_run_drawn_alone_has_the_same_bytes(renderer: Renderer, name: str, turns: int, style: PageStyle) -> None:
    given = conversation(name, turns)
    runs = runs_of(renderer.render(given, style))
    assert len(runs) > 2
    for run in runs:
        alone = renderer.render(part(given, run[0].first_turn, run[-1].last_turn), style)
        assert [(page.png, page.segments) for page in alone] == [(page.png, page.segments) for page in run]


@pytest.mark.parametrize("style", [STYLE, SMALL])
def test_what_is_not_sealed_is_a_beginning_of_what_is(renderer: Renderer, style: PageStyle) -> None:
    given = conversation("assistant-chats", 30)
    sealed = renderer.render(given, style)
    unsealed = renderer.render(given, style, seal_last=False)
    assert len(unsealed) < len(sealed)
    assert unsealed == sealed[: len(unsealed)]
    assert not sealed[len(unsealed)].segments[0].continued


def test_the_same_bytes_again_and_in_another_process(renderer: Renderer) -> None:
    given = conversation("reasoning-maths-code", 20)
    pages = renderer.render(given, STYLE)
    assert renderer.render(given, STYLE) == pages
    program = (
        "import hashlib, sys\nsys.path.insert(0, '.')\nfrom optical_memory.renderers import open_renderer\n"
        "from tests.renderers.test_contract import STYLE, conversation\n"
        f"renderer = open_renderer({renderer.name!r})\n"
        "pages = renderer.render(conversation('reasoning-maths-code', 20), STYLE)\n"
        "print(renderer.fingerprint, hashlib.sha256(b''.join(page.png for page in pages)).hexdigest())\n"
        "renderer.close()"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, env=environment, check=False)
    assert other.stdout.split() == [renderer.fingerprint, hashlib.sha256(b"".join(page.png for page in pages)).hexdigest()], other.stderr


def test_inside_a_running_loop_and_from_many_threads(renderer: Renderer) -> None:
    given = said("One question", "and one answer, " * 40)
    (expected,) = renderer.render(given, STYLE)

    async def inside() -> list[RenderedPage]:
        return renderer.render(given, STYLE)

    assert asyncio.run(inside()) == [expected]
    with ThreadPoolExecutor(8) as pool:
        assert all(pages == [expected] for pages in pool.map(lambda _: renderer.render(given, STYLE), range(16)))


def test_it_can_be_used_again_after_close(renderer: Renderer) -> None:
    before = renderer.render(said("Hello"), STYLE)
    renderer.close()
    renderer.close()
    assert renderer.render(said("Hello"), STYLE) == before


def _row(word: str) -> str:
    return "|".join(f"{word}{n}" for n in range(40))


AWKWARD = {
    "unbroken": "x" * 30_000,
    "code of one line": "```\n" + "f(" * 3_000 + "\n```",
    "wide table": "\n".join([_row("column"), "---|" * 40, *[_row("value")] * 5]),
    "tall row": "| a | b |\n|---|---|\n| " + "long cell " * 900 + " | c |",
    "300 rows": "| n | square |\n|---|---|\n" + "\n".join(f"| {n} | {n * n} |" for n in range(300)),
    "zalgo": "z" + "".join(chr(0x300 + n % 0x70) for n in range(300)) + "algo",
    "right to left": "مرحبا بالعالم، هذا نص طويل باللغة العربية. " * 40 + "\u202eabc\u202c שלום עולם",
    "scripts": "हिन्दी தமிழ் বাংলা ไทย 日本語 한국어 中文 Ελληνικά Русский 👩‍👩‍👧‍👦 🏳️‍🌈 ∑∫√",
    "deep": ">" * 200 + " quote\n" + "".join("  " * n + "- item\n" for n in range(60)),
    "maths": r"$$\sum_{i=0}^{n} \frac{a_i}{b_i} = \int_0^1 x^2\,dx$$ and $\href{http://example.invalid}{x}$ and $$" + "x+" * 400 + "1$$",
    "carriage returns": "a\r\nb\rc\x0bd\x0ce\x85f\u2028g",
    "bell": "".join(map(chr, range(32))) + "\x7f\ufffe\uffff\ud800\udc00",
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_content_stays_in_its_column(renderer: Renderer, kind: str) -> None:
    given = said("before", AWKWARD[kind], "after")
    pages = renderer.render(given, STYLE)
    check_pages(pages, given, STYLE)


def test_a_huge_turn(renderer: Renderer) -> None:
    given = exchanges(Turn(role="user", content="log?"), Turn(role="assistant", content="2026-01-01 INFO something happened\n" * 4_000))
    pages = renderer.render(given, STYLE)
    check_pages(pages[:2], exchanges_of([turn for exchange in given for unit in exchange for turn in unit]), STYLE)
    assert pages[-1].last_turn == 2


def picture(size: tuple[int, int], kind: str = "PNG") -> str:
    out = BytesIO()
    (Image.linear_gradient("L").resize(size) if max(size) < 5_000 else Image.new("1", size)).save(out, kind)
    return base64.b64encode(out.getvalue()).decode()


PICTURES = {
    "small": picture((40, 30)),
    "jpeg": picture((400, 300), "JPEG"),
    "very wide": picture((3000, 4)),
    "very tall": picture((4, 3000)),
    "larger than a column": picture((1500, 1500)),
    "too many pixels": picture((9000, 9000)),
    "cut off": picture((400, 300))[:400],
    "no picture": base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"nothing" * 9).decode(),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_fit_or_become_a_note(renderer: Renderer, kind: str) -> None:
    shown = Turn(role="user", content=(TextContent(text="Look:"), ImageContent(media_type="image/png", data=PICTURES[kind])))
    given = exchanges(shown, Turn(role="assistant", content="I see."))
    pages = renderer.render(given, STYLE)
    check_pages(pages, given, STYLE)


def test_pictures_never_part(renderer: Renderer) -> None:
    """A black picture shows as a whole: its ink has the same height wherever it stands."""
    out = BytesIO()
    Image.new("L", (100, 100)).save(out, "PNG")
    content = ImageContent(media_type="image/png", data=base64.b64encode(out.getvalue()).decode())
    given = exchanges(*(Turn(role="user", content=(TextContent(text="word " * (20 * n)), content)) for n in range(1, 9)))
    pages = renderer.render(given, SMALL)
    check_pages(pages, given, SMALL)
    blocks = sum(_black_blocks(page) for page in pages)
    assert blocks == 8


def _black_blocks(page: RenderedPage) -> int:
    """How many 90 x 90 squares without a light pixel stand on a page, counted once each."""
    from PIL import ImageFilter

    eroded = ink(page)
    for _ in range(45):  # the same as MinFilter(91), eight times faster
        eroded = eroded.filter(ImageFilter.MinFilter(3))
    count = 0
    while box := eroded.getbbox():
        eroded.paste(0, (box[0], box[1], box[2], box[1] + 60) if box[2] - box[0] < 60 else (box[0], box[1], box[0] + 60, eroded.height))
        count += 1
    return count


def test_tool_calls_and_results(renderer: Renderer) -> None:
    call = ToolCall(id="c1", name="look_up", arguments='{"id": "QX-77419", "deep": {"list": [1, 2, 3]}}')
    asked, answered = Turn(role="assistant", tool_calls=(call,)), Turn(role="tool", tool_call_id="c1", content='{"a": 1}')
    (page,) = renderer.render(exchanges(Turn(role="user", content="?"), asked, answered), STYLE)
    assert [segment.turn for segment in page.segments] == [1, 2, 3]


IBAN = "US122000000121212121212"
LISTINGS = {
    "listing": "```python\n"
    + "\n".join(f"self.file_permissions_mode = getattr(settings, 'MODE_{n}', None)  # cannot" for n in range(60))
    + "\n```",
    "spans": " ".join(f"see `settings.FILE_UPLOAD_PERMISSIONS_{n}` and `grep -type f -o`" for n in range(60)),
    "links": " ".join(f"https://example.com/path-{n}/to/the-page?from=2024-05-{10 + n}&user=mia_li_{n}" for n in range(60)),
    "table": f"| a | b |\n|---|---|\n| {IBAN} {IBAN} | " + "words in the other cell " * 20 + f"/usr/lib/python3/dist-packages/{IBAN} |",
}
RESULTS = {
    "json": json.dumps([{"recipient": IBAN, "scheduled_departure_time_est": f"{n}:30:00", "date": "2024-05-20"} for n in range(10, 60)]),
    "yaml": "\n".join(f"- recipient: {IBAN}\n  amount: {n}.50\n  subject: cannot say (really-{n})" for n in range(90)),
    "paths": "\n".join(f"./tests/file_uploads/test_{n}/upload-handler.py" for n in range(90)),
    "log": "\n".join(f"12:30:{n} [worker-{n}] request_id={IBAN}{n} took?{n}|ms" for n in range(10, 60)),
}


def breaks_of(renderer: Renderer, messages: Sequence[dict[str, object]], folder: Path) -> dict[str, int]:
    """Count the breaks inside words on pages drawn in a process of their own."""
    file = folder / "turns.json"
    file.write_text(json.dumps({"messages": messages}), "utf-8")
    root = Path(__file__).parents[2]
    command = [sys.executable, "benchmarks/_rows.py", renderer.name, str(file)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return dict(json.loads(done.stdout))


def test_words_break_after_separators_only(renderer: Renderer, tmp_path: Path) -> None:
    arguments = json.dumps({"recipient": IBAN, "note": 'it "can"not be split ' * 20})
    call = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": arguments}}
    messages: list[dict[str, object]] = [{"role": "user", "content": text} for text in LISTINGS.values()]
    for text in RESULTS.values():
        messages += [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c1", "content": text}]
    found = breaks_of(renderer, messages, tmp_path)
    assert not found.get("middle", 0)
    assert not found.get("marked", 0)
    assert found["separator"] > 50


def test_words_wider_than_a_line_are_cut_with_marks(renderer: Renderer, tmp_path: Path) -> None:
    blob = hashlib.sha512(b"1").hexdigest() * 20
    text = f"see {blob} and `{blob}`\n\n- item {blob}\n\n```\n{blob}\n```"
    found = breaks_of(renderer, [{"role": "user", "content": text}, {"role": "assistant", "content": blob}], tmp_path)
    assert not found.get("middle", 0)
    assert found["marked"] > 100


def test_the_mark_of_a_cut_is_drawn_at_the_end_of_each_row(renderer: Renderer) -> None:
    """Low lines have ink below the letters only; a mark has its own higher."""
    fence = "" if renderer.name == "bitmap" else "```\n"  # it draws what was typed, fences too
    (page,) = renderer.render(said("x", fence + "_" * 200 + fence[::-1]), STYLE)
    box = page.segments[1].box
    inked = ink(page, 230).crop((box.left, box.top, box.left + box.width, box.top + box.height))
    line = Canvas(STYLE).code_line
    rows = [inked.crop((0, top, inked.width, top + line - 5)) for top in range(inked.height - 4 * line, inked.height, line)]
    starts = [found[0] if (found := row.getbbox()) else -1 for row in rows]
    assert starts[-1] == -1
    assert all(start > 0.9 * inked.width for start in starts[1:-1]), starts


def test_other_words_give_another_picture(renderer: Renderer) -> None:
    (one,), (other,) = renderer.render(said("The 7:40 train"), STYLE), renderer.render(said("The 7:48 train"), STYLE)
    assert ImageChops.difference(image(one), image(other)).getbbox() is not None


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=400), min_size=1, max_size=6))
def test_any_text_is_drawn(renderer: Renderer, texts: list[str]) -> None:
    given = said(*texts)
    check_pages(renderer.render(given, SMALL), given, SMALL)


@pytest.mark.parametrize("style", [PageStyle(width=40), PageStyle(columns=60), PageStyle(height=20), PageStyle(columns=0)])
def test_a_canvas_without_room_is_refused(renderer: Renderer, style: PageStyle) -> None:
    with pytest.raises(ValueError, match="PageStyle"):
        renderer.render(said("Hello"), style)


def test_the_fingerprint_passes_over_a_font_that_is_gone(renderer: Renderer, tmp_path: Path) -> None:
    fonts = tmp_path / ".fonts"
    fonts.mkdir()
    fonts.joinpath("gone.ttf").symlink_to(tmp_path / "nowhere.ttf")
    program = f"from optical_memory.renderers import open_renderer; print(open_renderer({renderer.name!r}).fingerprint)"
    browser = find_browser()
    environment = {**os.environ, "HOME": str(tmp_path), BROWSER_VARIABLE: str(browser.path if browser else "")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert len(done.stdout.strip()) == len(renderer.fingerprint), done.stderr


def test_long_arguments_begin_on_the_row_of_their_tools_name(renderer: Renderer) -> None:
    canvas = Canvas(STYLE)
    call = ToolCall(id="c1", name="look_up", arguments=json.dumps({"text": "x" * int(5.5 * canvas.row_width)}))
    asked, answered = Turn(role="assistant", tool_calls=(call,)), Turn(role="tool", tool_call_id="c1", content="found")
    (page,) = renderer.render(exchanges(asked, answered), STYLE)
    assert 5.5 * canvas.line < page.segments[0].box.height < 6.5 * canvas.line


def test_the_fingerprint_is_short_and_steady(renderer: Renderer) -> None:
    assert renderer.fingerprint == renderer.fingerprint == open_renderer(renderer.name).fingerprint
    assert 8 <= len(renderer.fingerprint) <= 64


def test_pieces_drawn_at_once_are_drawn_as_each_alone(renderer: Renderer) -> None:
    longer = said(*(f"Turn {place} " + "of a piece that fills more than a page. " * 9 for place in range(9)))
    pieces = [said("One.", "Two."), longer, said("# A heading", "and `code`"), said("naïve 我们 🚆", "x" * 300)]
    alone = [renderer.render(piece, SMALL) for piece in pieces]
    assert len(alone[1]) > 1
    assert fills(renderer, pieces, SMALL) == [pages[0].fill if len(pages) == 1 else None for pages in alone]
    assert fills(renderer, pieces[::-1], SMALL)[::-1] == fills(renderer, pieces, SMALL)
    assert render_each(renderer, pieces, SMALL) == alone
    assert render_each(renderer, [], SMALL) == [] == fills(renderer, [], SMALL)


def test_what_was_tried_for_one_style_is_not_taken_for_another(renderer: Renderer) -> None:
    if not isinstance(renderer, Batches):
        return  # draws each anew
    pieces = [conversation("reasoning-maths-code", 6), said("What is left?", "the ferry leaves at nine " * 60)]
    styles = [STYLE, replace(STYLE, font_size=20.0), replace(STYLE, width=700, height=900)]
    together = [renderer.fills(pieces, style) for style in styles]
    for style, found in zip(styles, together, strict=True):
        drawn = [renderer.render(piece, style) for piece in pieces]
        assert found == [pages[0].fill if len(pages) == 1 else None for pages in drawn]
    assert len({fills[1] for fills in together}) == 3


BEGINNINGS = {  # letters, and a sign that is set on each
    "Tamil": ("கசடதபறயரலவளழஞஙணநமன", "ு"),
    "Devanagari": ("कखगघचछजझटठडढतथदध", "ु"),
    "Thai": ("กขคงจฉชซญดตถทธน", "ุ"),
    "Arabic": ("ببتجحدرسصطعفقكل", "ُ"),
    "Hebrew": ("אבגדהוזחטיכלמנסע", "ִ"),
}


@pytest.mark.parametrize("code", mostly_slow([False, True], quick=[False], daily=[]), ids=["prose", "code"])
@pytest.mark.parametrize("script", mostly_slow(BEGINNINGS, quick=["Tamil"]))
def test_words_are_drawn_whatever_letter_they_begin_with(renderer: Renderer, script: str, code: bool) -> None:
    """A font that has a letter or two of a script must not draw a word of it: what it lacks would be boxes, all alike."""
    letters, sign = BEGINNINGS[script]
    words = [f"`{letter}{sign}`" if code else f"{letter}{sign}" for letter in dict.fromkeys(letters)]
    pages = [page for word in words for page in renderer.render(said(word), STYLE)]
    if any(page.missing_glyphs for page in pages):
        return  # no font for the script here, and the page says so
    assert len({page.png for page in pages}) == len(words)

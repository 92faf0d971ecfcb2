from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from optical_memory.errors import BrowserNotFound, RenderError
from optical_memory.pages.page import PageStyle
from optical_memory.pages.pagination import Measured
from optical_memory.renderers.base import RenderedPage, Renderer
from optical_memory.renderers.chromium.browser import Session, Tab
from optical_memory.renderers.chromium.finding import BROWSER_VARIABLE, browser_version, find_browser
from optical_memory.renderers.chromium.mathml import to_mathml
from optical_memory.renderers.chromium.page_breaks import Fragment, Plan, fragments_of
from optical_memory.renderers.chromium.renderer import BATCH, SLOTS, ChromiumRenderer, _batch_end, _Unit
from optical_memory.renderers.geometry import Canvas
from optical_memory.turns.exchanges import Exchange, exchanges_of
from optical_memory.turns.turn import Turn
from tests.sampling import mostly_slow

pytest.importorskip("playwright", reason="the chromium extra is not installed")
pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")

STYLE = PageStyle(scale=1.0)
SMALL = PageStyle(width=480, height=320, scale=1.0)


@pytest.fixture(scope="module")
def renderer() -> Iterator[ChromiumRenderer]:
    opened = ChromiumRenderer()
    yield opened
    opened.close()


def said(*texts: str) -> list[Exchange]:
    turns = enumerate(texts, start=1)
    return exchanges_of([Turn(number=number, role="user" if number % 2 else "assistant", content=text) for number, text in turns])


def grey(page: RenderedPage) -> Image.Image:
    return Image.open(BytesIO(page.png)).convert("L")


def browsers() -> list[int]:
    """Ids of the browser processes, not of their helpers, that descend from this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        shell = command[0].endswith(b"/sh")  # Debian's command is a script that waits for the browser
        helper = any(part.startswith(b"--type=") for part in command)
        if b"--remote-debugging-pipe" in command and not shell and not helper and _ours(parent):
            found.append(int(folder.name))
    return found


def _ours(process: int) -> bool:
    while process > 1 and process != os.getpid():
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process == os.getpid()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@linux_only
def test_a_killed_browser_is_started_again(renderer: ChromiumRenderer) -> None:
    before = renderer.render(said("Hello", "world"), STYLE)
    killed = browsers()
    assert len(killed) == 1
    os.kill(killed[0], signal.SIGKILL)
    assert renderer.render(said("Hello", "world"), STYLE) == before
    assert browsers() != killed


@linux_only
@pytest.mark.endurance
@pytest.mark.parametrize("delay", mostly_slow([0.02, 0.15, 0.4, 0.9], quick=[0.15, 0.4], daily=[]))
def test_a_browser_killed_in_the_middle_of_a_job(renderer: ChromiumRenderer, delay: float) -> None:
    """Whatever it was at: opening a tab, laying out, capturing."""
    given = said(*(f"Number {n}. " + "Many words follow here. " * 80 for n in range(200)))
    expected = renderer.render(given, STYLE)
    killed = browsers()
    timer = threading.Timer(delay, lambda: os.kill(killed[0], signal.SIGKILL))
    timer.start()
    assert renderer.render(given, STYLE) == expected
    timer.join()  # a fast machine is done before


@linux_only
def test_a_browser_killed_while_a_tab_opens(renderer: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright never answers a request for a page that its browser was killed over."""
    expected = renderer.render(said("Hello"), STYLE)
    open_tab, others, killed = Session._new_tab, browsers(), list[int]()

    async def killing(session: Session) -> Tab:
        if not killed:
            killed.extend(process for process in browsers() if process not in others)
            os.kill(killed[0], signal.SIGKILL)
        return await open_tab(session)

    monkeypatch.setattr(Session, "_new_tab", killing)
    found = find_browser()
    assert found is not None
    alone = ChromiumRenderer(browser=str(found.path))  # named by its path: a browser of its own, without a tab yet
    assert alone.render(said("Hello"), STYLE) == expected
    alone.close()
    assert len(killed) == 1


@linux_only
def test_one_browser_for_all_renderers_and_none_after_the_last() -> None:
    """In a process of its own, since other tests may hold a browser."""
    script = (
        "from optical_memory.renderers.chromium.renderer import BATCH, ChromiumRenderer, _batch_end, _Unit\n"
        "from tests.renderers.chromium.test_chromium import STYLE, browsers, said\n"
        "one, other = ChromiumRenderer(), ChromiumRenderer()\n"
        "counts = []\n"
        "for step in (lambda: other.render(said('a'), STYLE), lambda: one.render(said('a'), STYLE), other.close, one.close):\n"
        "    step()\n"
        "    counts.append(len(browsers()))\n"
        "print(counts)\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[1, 1, 1, 0]", done.stderr


@linux_only
def test_a_forked_child_draws_with_its_own_browser(renderer: ChromiumRenderer) -> None:
    (expected,) = renderer.render(said("forked"), STYLE)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            (page,) = renderer.render(said("forked"), STYLE)
            os.write(writing, b"same" if page == expected else b"other")
            renderer.close()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        assert answer.read() == b"same"
    os.waitpid(child, 0)
    assert renderer.render(said("forked"), STYLE) == [expected]


def test_the_process_ends_without_waiting_and_leaves_nothing() -> None:
    program = (
        "from optical_memory.renderers import open_renderer; from optical_memory.pages.page import PageStyle\n"
        "from optical_memory.turns.exchanges import exchanges_of; from optical_memory.turns.turn import Turn\n"
        "import glob, os, tempfile\n"
        "pages = open_renderer('chromium').render(exchanges_of([Turn(number=1, role='user', content='x')]), PageStyle())\n"
        "print(len(pages), len(glob.glob(os.path.join(tempfile.gettempdir(), 'optical-memory-*'))) > 0)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split()[0] == "1"
    assert done.stderr == ""
    assert time.monotonic() - began < 20


def test_every_slot_draws_the_same(renderer: ChromiumRenderer) -> None:
    """The same words on three pages that are captured in one picture, each in a colour of its own; with emoji and maths."""
    words = "Same 😀 ❤️ words, ½ $x^2_i$ and `code` → ✓ " * 24
    pages = renderer.render(exchanges_of([Turn(number=number, role="user", content=words) for number in range(1, SLOTS + 1)]), SMALL)
    assert [page.first_turn for page in pages] == [page.last_turn for page in pages] == [1, 2, 3]
    pictures = [grey(page).crop((0, 30, SMALL.width, SMALL.height)) for page in pages]
    for picture in pictures[1:]:
        assert ImageChops.difference(pictures[0], picture).getbbox() is None


def test_emoji_beside_plain_turns_leave_them_alone(renderer: ChromiumRenderer) -> None:
    """Emoji switch a filter on for all that is captured with them; it must not change a pixel of the rest."""
    plain = "Plain words. " * 200
    without = renderer.render(said(plain), STYLE)
    together = renderer.render(said(plain, "😀 " * 3000), STYLE)
    assert grey(together[0]).crop((0, 0, 500, 300)).tobytes() == grey(without[0]).crop((0, 0, 500, 300)).tobytes()


def test_styles_take_turns_in_one_tab(renderer: ChromiumRenderer) -> None:
    given = said("words " * 900)
    first = renderer.render(given, STYLE)
    for style in (SMALL, PageStyle(scale=1.25), PageStyle(columns=3, scale=1.0)):
        pages = renderer.render(given, style)
        assert {box.width for page in pages for segment in page.segments for box in segment.boxes} == {Canvas(style).column_width}
    assert renderer.render(given, STYLE) == first


def test_characters_without_a_font_are_counted_where_their_turn_begins(renderer: ChromiumRenderer) -> None:
    unassigned = "\U000e0fff\U0003fffd"  # no character of Unicode 17; the first one is ignorable
    (page,) = renderer.render(said("plain", f"é → 中 😀 {unassigned * 3}\u200d"), STYLE)
    assert page.missing_glyphs == 3


def test_formulas_are_set_and_hostile_ones_are_words(renderer: ChromiumRenderer) -> None:
    assert to_mathml(r"\frac{a}{b}").startswith('<math display="inline" alttext="\\frac{a}{b}">')
    source = r'\href{javascript:alert(1)}{x}\class{" onclick="x}{y}\style{background:url(//h)}{z}\text{<img src=x>}'
    hostile = to_mathml(source)
    assert "<img" not in hostile and "href=" not in hostile and "onclick" not in hostile.replace("&quot; onclick=&quot;x", "")
    assert to_mathml("x" * 3000).startswith("<code")
    assert to_mathml(r"\frac") == '<code dir="ltr">\\frac</code>'


def test_a_wide_formula_falls_back_to_its_source(renderer: ChromiumRenderer) -> None:
    pages = renderer.render(said("$$" + "x+" * 300 + "1$$"), STYLE)
    right = max(box.left + box.width for box in pages[0].segments[0].boxes)
    assert right <= STYLE.width
    assert len({grey(pages[0]).crop((0, row, 500, row + 1)).tobytes() for row in range(30, 120)}) > 5  # several rows, not one


def test_missing_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(BROWSER_VARIABLE, "no-such-browser")
    with pytest.raises(BrowserNotFound, match=r"'no-such-browser' is no executable.*playwright install"):
        ChromiumRenderer()
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 3\n")
    fake.chmod(0o755)
    broken = ChromiumRenderer(browser=str(fake))
    with pytest.raises(BrowserNotFound, match="does not start"):
        broken.render(said("x"), STYLE)
    broken.close()


def test_finding_prefers_setting_then_environment_then_playwrights_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def executable(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho 'Fake 1.2'\n")
        path.chmod(0o755)
        return path

    on_path = executable(tmp_path / "bin" / "chromium")
    executable(tmp_path / "own/chromium_headless_shell-900/chrome-linux/headless_shell")
    newest = executable(tmp_path / "own/chromium_headless_shell-1200/chrome-linux/headless_shell")
    monkeypatch.delenv(BROWSER_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "nothing"))
    found = find_browser()
    assert found and (found.path, found.source) == (on_path, "path")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "own"))
    found = find_browser()
    assert found and (found.path, found.source) == (newest, "playwright")
    monkeypatch.setenv(BROWSER_VARIABLE, "chromium")
    found = find_browser()
    assert found and (found.path, found.source) == (on_path, "environment")
    found = find_browser(str(newest))
    assert found and (found.path, found.source) == (newest, "setting")
    assert browser_version(newest) == "Fake 1.2"


def test_auto_takes_chromium_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    from optical_memory.renderers import auto

    auto._said.clear()
    with caplog.at_level("INFO"):
        opened: list[Renderer] = [auto.open_auto(), auto.open_auto()]
    assert [renderer.name for renderer in opened] == ["chromium", "chromium"]
    assert len([record for record in caplog.records if "drawn by Chromium" in record.message]) == 1


def test_auto_takes_pillow_where_the_browser_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from optical_memory.renderers import auto

    stub = tmp_path / "chromium-browser"
    stub.write_text("#!/bin/sh\necho 'requires the chromium snap to be installed' >&2\nexit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv(BROWSER_VARIABLE, str(stub))
    auto._said.clear()
    assert auto.open_auto().name == "pillow"
    [record] = [record for record in caplog.records if "drawn by Pillow" in record.message]
    assert "does not start" in record.message and str(stub) in record.message


def test_a_layout_error_is_a_render_error(renderer: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optical_memory.renderers.chromium.renderer.document", lambda canvas: "<!doctype html><p>no slots here")
    with pytest.raises(RenderError, match="layout failed"):
        renderer.render(said("x"), STYLE)


def stack(*columns: int) -> list[list[Fragment]]:
    """A unit of one turn that stands in these columns."""
    return [[Fragment(column, 0.0, 0.0, 100.0, 50.0) for column in columns]]


def test_a_unit_that_spilled_begins_a_page() -> None:
    canvas = Canvas(SMALL)
    plan = Plan([Measured(canvas.capacity * 0.5, 0), Measured(canvas.capacity * 0.45, 1)], canvas)
    assert plan.starts() == [0]
    assert plan.correct([0], [stack(0), stack(1, 2)])
    assert plan.starts() == [0, 1]
    assert not plan.correct([0, 1], [stack(0), stack(1)])


def test_an_overlong_unit_is_laid_out_with_what_follows() -> None:
    units = [_Unit("x" * length, index, (index + 1,)) for index, length in enumerate([10 * BATCH, *[BATCH // 9] * 30])]
    assert 4 < _batch_end(units, 0, BATCH) < 10


def test_a_unit_at_the_top_of_a_page_begins_it() -> None:
    canvas = Canvas(SMALL)
    plan = Plan([Measured(canvas.capacity * 1.9, 0), Measured(canvas.capacity * 0.05, 1)], canvas)
    assert plan.starts() == [0]
    assert plan.correct([0], [stack(0, 1, 2, 3), stack(4)])
    assert plan.starts() == [0, 1]


def test_a_first_unit_that_takes_more_than_measured_counts_as_such() -> None:
    canvas = Canvas(SMALL)
    plan = Plan([Measured(canvas.capacity * 0.9, 0), Measured(canvas.capacity * 0.1, 1)], canvas)
    assert plan.correct([0], [stack(0, 1, 2), stack(2)])
    assert plan.heights[0] > canvas.capacity
    assert plan.starts() == [0]


def test_fragments_fall_into_columns() -> None:
    canvas = Canvas(STYLE)
    rects = [0.0, 5.0, 501.0, 1012.0, float(canvas.pitch), 0.0, canvas.pitch + 501.0, 0.0]
    assert [fragment.column for fragment in fragments_of(rects, canvas)] == [0]  # the second one is empty
    assert [fragment.column for fragment in fragments_of(rects[4:], canvas)] == [1]

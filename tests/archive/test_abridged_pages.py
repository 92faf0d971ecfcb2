"""Importance-shaped pages: what stands on them, that they cost nothing, and that they stay what they are."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from optical_memory import OpticalMemory
from optical_memory.archive.abridged_pages import CALLS, LEFT_OUT, TRIALS, shaped, shares_of
from optical_memory.errors import ProgramNotFound, RenderError
from optical_memory.evaluation.layouts import ShapedLayouts
from optical_memory.evaluation.policies import AtOneTier
from optical_memory.pages.page import Page, PageStyle
from optical_memory.pages.tiers import Tier
from optical_memory.planning.triggers import WaterMarks
from optical_memory.readers.prompts import picture_of
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.base import RenderedPage, Renderer, fills, open_renderer, render_each
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.png import resize
from optical_memory.stores import open_store
from optical_memory.turns.exchanges import Exchange, exchanges_of
from optical_memory.turns.redaction import Secrets
from optical_memory.turns.turn import ImageContent, TextContent, ToolCall, Turn
from tests.sampling import examples

MARKS = WaterMarks(high=400, low=50)
FILLER = "Thanks so much, that sounds awesome, and I am so glad to hear it, since it was really lovely to talk with you again today!"


@pytest.fixture(scope="module")
def drawing() -> Renderer:
    return open_renderer("pillow")


def talk(count: int = 120) -> list[Turn]:
    """A chat in which every third turn says something, among words that say nothing."""
    texts = [f"{FILLER} The locker of gate {n} opens with {1000 + 37 * n}." if n % 3 == 0 else FILLER for n in range(1, count + 1)]
    return [Turn(role="user" if n % 2 else "assistant", content=text) for n, text in enumerate(texts)]


def faint(drawing: Renderer | str, turns: Sequence[Turn] = (), **options: object) -> OpticalMemory:
    """A memory whose pages are all at Tiny."""
    setting = {"store": "memory://", "forgetting": AtOneTier(Tier.TINY), "marks": MARKS, **options}
    memory = OpticalMemory("a", renderer=drawing, **setting)  # type: ignore[arg-type]
    memory.extend(turns or talk())
    return memory


def shown(memory: OpticalMemory) -> list[Page]:
    return [part.page for part in memory.context().pages]


class Watching:
    """A renderer that remembers the turns that it was given last and that went on one page."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer, self.name, self.fingerprint = renderer, renderer.name, renderer.fingerprint
        self.turns: list[Turn] = []

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        pages = self._renderer.render(exchanges, style, seal_last=seal_last)
        if len(pages) == 1:
            self.turns = [turn for exchange in exchanges for unit in exchange for turn in unit]
        return pages

    def close(self) -> None:
        self._renderer.close()


class Counting:
    """A renderer that counts what it draws and lays out at once."""

    def __init__(self, renderer: Renderer, broken: str = "") -> None:
        self._renderer, self._broken, self.name, self.fingerprint = renderer, broken, renderer.name, renderer.fingerprint
        self.drawn: list[int] = []
        self.tried: list[int] = []
        self.rendered = 0

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        self.rendered += 1
        return self._renderer.render(exchanges, style, seal_last=seal_last)

    def render_each(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[list[RenderedPage]]:
        self.drawn.append(len(pieces))
        return render_each(self._renderer, pieces, style)

    def fills(self, pieces: Sequence[Sequence[Exchange]], style: PageStyle) -> list[float | None]:
        self.tried.append(len(pieces))
        if self._broken and any(self._broken in turn.text for piece in pieces for exchange in piece for unit in exchange for turn in unit):
            raise RenderError("the test broke this page")
        return fills(self._renderer, pieces, style)

    def close(self) -> None:
        self._renderer.close()


def test_pages_are_laid_out_together_and_each_is_drawn_once(drawing: Renderer) -> None:
    renderer = Counting(drawing)
    memory = faint(renderer, talk(240))
    pages = memory.context().pages
    assert len(pages) > 2 and renderer.drawn == [len(pages)]
    assert renderer.tried[0] == len(pages) and len(renderer.tried) <= TRIALS
    alone = [memory._builder._open_archive().shaped([part.page]) for part in pages]
    together = memory._builder._open_archive().shaped([part.page for part in pages])
    assert together == {key: png for each in alone for key, png in each.items()}


def test_lost_pages_are_drawn_in_one_go_and_stay_in_the_store(drawing: Renderer) -> None:
    renderer, store = Counting(drawing), open_store("memory://")
    memory = faint(renderer, talk(240), store=store, shape=())
    pictures = [part.image() for part in memory.context().pages]
    names = store.names(memory.session, "picture/")
    store.discard(memory.session, names)
    renderer.drawn, renderer.rendered = [], 0
    again = OpticalMemory("a", store=store, renderer=renderer, forgetting=AtOneTier(Tier.TINY), marks=MARKS, shape=())
    assert [part.image() for part in again.context().pages] == pictures
    assert len(renderer.drawn) == 1 and not renderer.rendered
    assert store.names(memory.session, "picture/") == names


def test_a_shaped_picture_stays_in_the_store_where_the_whole_page_is_lost(drawing: Renderer) -> None:
    store = open_store("memory://")
    memory = faint(drawing, store=store)
    pictures = [part.image() for part in memory.context().pages]
    store.discard(memory.session, store.names(memory.session, "picture/"))
    again = OpticalMemory("a", store=store, renderer=drawing, forgetting=AtOneTier(Tier.TINY), marks=MARKS)
    assert [part.image() for part in again.context().pages] == pictures
    assert len(store.names(memory.session, "picture/")) == len(pictures)
    assert again.stats().pages_redrawn == 0


def test_a_page_that_cannot_be_abridged_does_not_spoil_the_others(drawing: Renderer) -> None:
    whole = shown(faint(drawing, talk(240)))
    first = f"{1000 + 37 * 3}"
    broken = shown(faint(Counting(drawing, broken=first), talk(240)))
    same = [one.image("tiny") == other.image("tiny") for one, other in zip(whole, broken, strict=True)]
    assert not same[0] and all(same[1:])


def laid_out(drawing: Renderer, memory: OpticalMemory, page: Page) -> list[Turn]:
    """The turns as they stand on the shaped page."""
    run = [each for each in memory.pages() if each.key.rpartition("-")[0] == page.key.rpartition("-")[0]]
    turns = memory.turns(run[0].first_turn, run[-1].last_turn + 1)
    watching = Watching(drawing)
    assert shaped(watching, PageStyle(), page, shares_of(page, run, turns))
    return watching.turns


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pillow", "chromium"])
def test_a_shaped_page_gives_facts_back_at_least_as_well_as_a_shrunk_one(name: str) -> None:
    try:
        engine = OcrReader()
    except ProgramNotFound as exc:
        pytest.skip(str(exc))
    if name == "chromium" and not find_browser():
        pytest.skip("no Chromium here")
    found = {}
    for shape in ((), (Tier.TINY,)):
        page = shown(faint(name, shape=shape))[0]
        text = engine.transcribe(page, tier=Tier.TINY)
        facts = {f"{1000 + 37 * n}" for n in range(page.first_turn, page.last_turn) if n % 3 == 0}
        found[shape] = len(facts & set(re.findall(r"\d+", text))) / len(facts)
    assert found[(Tier.TINY,)] >= max(0.9, found[()]), found


def test_what_says_nothing_leaves_and_its_number_stays(drawing: Renderer) -> None:
    memory = faint(drawing)
    page = shown(memory)[0]
    turns = laid_out(drawing, memory, page)
    numbers = {turn.number for turn in turns}
    assert {number for number in range(page.first_turn, page.last_turn) if number % 3 == 0} <= numbers
    assert len(numbers) < len(page.segments)
    for turn in turns:
        for first, last in re.findall(rf"#(\d+)(?:-#(\d+))? {LEFT_OUT}", turn.text):
            numbers |= set(range(int(first), int(last or first) + 1))
    assert numbers == {segment.turn for segment in page.segments}


def test_a_shaped_page_has_the_size_and_the_price_of_a_shrunk_one(drawing: Renderer) -> None:
    plain, shape = (shown(faint(drawing, shape=shape))[0] for shape in ((), ("tiny",)))
    assert plain.key == shape.key
    assert plain.tokens("tiny") == shape.tokens("tiny")
    pictures = [Image.open(io.BytesIO(page.image("tiny"))) for page in (plain, shape)]
    assert pictures[0].size == pictures[1].size
    assert plain.image("tiny") != shape.image("tiny")
    assert plain.image("small") == shape.image("small")
    assert picture_of(plain, "tiny").content != picture_of(shape, "tiny").content  # its vision tokens are others
    assert picture_of(plain, "small").content == picture_of(shape, "small").content


def test_the_model_is_told_and_a_switch_makes_another_plan(drawing: Renderer) -> None:
    store = open_store("memory://")
    shaping, plain = faint(drawing, store=store), None
    context = shaping.context()
    assert LEFT_OUT in context.framing
    plain = OpticalMemory("a", store=store, renderer=drawing, forgetting=AtOneTier(Tier.TINY), marks=MARKS, shape=())
    other = plain.context()
    assert LEFT_OUT not in other.framing
    assert other.plan.reason == "settings changed"
    assert [part.page.key for part in context.pages] == [part.page.key for part in other.pages]


def test_two_processes_and_a_lost_picture_give_the_same_bytes(drawing: Renderer, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    first = faint(drawing, store=url)
    pictures = [part.image() for part in first.context().pages]
    names = first._store.names(first.session, "picture/")
    first._store.discard(first.session, [name for name in names if name.endswith("-shaped")])
    second = OpticalMemory("a", store=url, renderer=open_renderer("pillow"), forgetting=AtOneTier(Tier.TINY), marks=MARKS)
    assert [part.image() for part in second.context().pages] == pictures


def test_erasing_a_turn_takes_the_shaped_pictures_with_it(drawing: Renderer) -> None:
    memory = faint(drawing)
    page = shown(memory)[0]
    assert memory._store.names(memory.session, f"picture/{page.key}/512-shaped")
    memory.erase(page.first_turn)
    assert not memory._store.names(memory.session, f"picture/{page.key}/")


def test_secrets_are_masked_on_shaped_pages(drawing: Renderer) -> None:
    secret = "hunter2-of-the-harbour"
    turns = [*talk(60), Turn(role="user", content=f"The gate of the harbour opens with password={secret} at 7:40."), *talk(60)]
    kept = faint(drawing, turns, redact=Secrets(detector=None), keep_secrets_in_log=True)
    masked = [turn.model_copy(update={"content": Secrets(detector=None).redact(turn.text)}) for turn in turns]
    before = faint(drawing, masked)
    assert secret in kept.turns(61, 62)[0].text
    assert [page.image("tiny") for page in shown(kept)] == [page.image("tiny") for page in shown(before)]


def test_a_page_with_a_picture_on_it_is_only_shrunk(drawing: Renderer) -> None:
    file = io.BytesIO()
    Image.new("L", (40, 40), 90).save(file, "PNG")
    image = ImageContent(media_type="image/png", data=base64.b64encode(file.getvalue()).decode())
    turns = [Turn(role="user", content=(TextContent(text="Look."), image)), *talk(120)]
    plain, shape = (shown(faint(drawing, turns, shape=shape))[0].image("tiny") for shape in ((), ("tiny",)))
    assert plain == shape


def test_tool_calls_are_drawn_word_for_word(drawing: Renderer) -> None:
    call = ToolCall(id="c", name="run_it", arguments='{"path": "/srv/_a_/b*c*.py"}')
    turns = [Turn(number=1, role="user", content="Run it."), Turn(number=2, role="assistant", tool_calls=(call,))]
    turns.append(Turn(number=3, role="tool", tool_call_id="c", content='{"status": "done", "code": 7}'))
    rendered = drawing.render(exchanges_of(turns), PageStyle())[0]
    page = Page("k-0", 1, rendered.segments, 10, (), rendered.width, rendered.height)
    watching = Watching(drawing)
    assert shaped(watching, PageStyle(), page, shares_of(page, [page], turns))
    assert f'{CALLS}\nrun_it({{"path":"/srv/_a_/b*c*.py"}})' in watching.turns[1].text
    assert (watching.turns[2].name, watching.turns[2].text) == ("run_it", '{"status":"done","code":7}')


@settings(max_examples=examples(30), deadline=None)
@given(
    st.lists(st.text(max_size=400) | st.sampled_from(["```\ncode();\n", "~~~", "| a | b |\n|--|--|\n| 1 | 2 |", FILLER * 30]), max_size=12)
)
def test_any_turns_go_on_one_picture_of_the_pages_size(drawing: Renderer, texts: list[str]) -> None:
    turns = [Turn(number=n, role="user" if n % 2 else "assistant", content=text) for n, text in enumerate(["Hello.", *texts], 1)]
    run = drawing.render(exchanges_of(turns), PageStyle())
    pages = [Page(f"k-{n}", n, each.segments, 10, (), each.width, each.height) for n, each in enumerate(run)]
    for page in pages:
        drawn = shaped(drawing, PageStyle(), page, shares_of(page, pages, turns))
        assert drawn is None or (drawn.width, drawn.height) == (page.width, page.height)
        again = shaped(drawing, PageStyle(), page, shares_of(page, pages, turns))
        assert (again and again.png) == (drawn and drawn.png)


def test_the_evaluation_looks_at_the_picture_that_the_memory_shows(drawing: Renderer) -> None:
    memory = faint(drawing)
    page = shown(memory)[0]
    layouts = ShapedLayouts(memory.pages, memory.turns(), drawing, PageStyle())
    assert layouts(page, Tier.TINY).abridged
    assert not layouts(page, Tier.SMALL).abridged
    drawn = layouts.drawn(page)
    assert drawn and resize(drawn.png, page.size(Tier.TINY), PageStyle().faint_levels) == page.image(Tier.TINY)


def test_an_unknown_tier_is_named() -> None:
    with pytest.raises(ValueError, match="'huge'"):
        OpticalMemory("a", store="memory://", shape=["huge"])

"""A message of a megabyte: only the part of it that a context shows is drawn; the rest when it is wanted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from optical_memory import Context, OpticalMemory, WaterMarks
from optical_memory.errors import BudgetTooSmall
from optical_memory.pages.page import Page, PageStyle
from optical_memory.profiles.registry import profile_of
from optical_memory.renderers.base import RenderedPage, open_renderer
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.stores.base import open_store
from optical_memory.turns.exchanges import Exchange
from tests.sampling import mostly_slow
from tests.support import RuledRenderer

MEGABYTE = 1_000_000
LONG = 300_000  # bytes: more than the budgets of these tests show
WORDS = "lorem ipsum dolor sit amet "
KINDS = {
    "lines": "line {} says nothing of any use to anybody\n",
    "one line": "word{} and ",
    "ideographs": "的一是不了{}人我在有他。",
    "short paragraphs": "p{}\n\n",
    "table": "|{}|b|\n",
    "one word": "x",
}


class Watching:
    """A renderer, and how many characters it was given."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self.characters = 0
        self.name, self.fingerprint = renderer.name, renderer.fingerprint

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        self.characters += sum(len(turn.text) for exchange in exchanges for unit in exchange for turn in unit)
        pages: list[RenderedPage] = self._renderer.render(exchanges, style, seal_last=seal_last)
        return pages

    def close(self) -> None:
        self._renderer.close()


def text_of(kind: str, size: int = MEGABYTE) -> str:
    piece = KINDS[kind]
    return "".join(piece.replace("{}", str(number)) for number in range(size // len(piece.encode())))


def fill(memory: OpticalMemory, text: str, *, after: int = 20) -> None:
    memory.extend([("user", "Begin."), ("assistant", "Yes?"), ("user", text)])
    memory.extend([("user" if number % 2 else "assistant", f"{number} " + WORDS * 30) for number in range(after)])


def ruled(text: str, *, after: int = 20, **options: Any) -> OpticalMemory:
    setting = {"store": "memory://", "shape": (), "marks": WaterMarks(high=400, low=100), "renderer": RuledRenderer(rows=9_000), **options}
    memory = OpticalMemory("s", **setting)
    fill(memory, text, after=after)
    return memory


def shown(context: Context) -> list[Page]:
    return [part.page for part in context.pages]


def of_message(pages: Sequence[Page]) -> list[Page]:
    return [page for page in pages if page.section]


@pytest.fixture(params=["pillow", "chromium"])
def watching(request: pytest.FixtureRequest) -> Iterator[Watching]:
    if request.param == "chromium":
        pytest.importorskip("playwright", reason="the chromium extra is not installed")
        if find_browser() is None:
            pytest.skip("no Chromium on this machine")
    opened = Watching(open_renderer(request.param))
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", mostly_slow(KINDS, quick=("lines",), daily=("ideographs",)))
def test_what_no_page_shows_is_not_laid_out(watching: Watching, kind: str) -> None:
    memory = OpticalMemory("s", store="memory://", renderer=watching, shape=())  # type: ignore[arg-type]
    text = text_of(kind)
    fill(memory, text)
    context = memory.context(2_500)
    pages = sum(context.usage.pages_by_tier.values())
    assert 2_200 <= context.usage.prompt_tokens <= 2_500, "a page and its exact strings take 173 at the most"
    assert of_message(shown(context))
    assert memory.stats().pages_sealed <= 2 * pages + 10, "some more than are shown, which may be worth more at a smaller tier"
    assert watching.characters < len(text) / 2


def test_laid_out_text_grows_with_what_is_shown_not_with_the_message() -> None:
    for size in (MEGABYTE, 3 * MEGABYTE):
        renderer = Watching(RuledRenderer(rows=9_000))
        ruled(text_of("lines", size), renderer=renderer).context(2_000)
        assert renderer.characters <= MEGABYTE / 3


def test_the_newest_part_is_shown() -> None:
    memory = ruled(text_of("lines", LONG))
    context = memory.context(3_000)
    pages = of_message(shown(context))
    assert [page.segments[-1].continues for page in pages] == [True] * (len(pages) - 1) + [False]
    assert all(page.segments[0].continued for page in pages)
    assert 3 not in {number for first, last in context.plan.left_out for number in range(first, last + 1)}


@pytest.mark.parametrize("store", mostly_slow(["memory://", "sqlite"], quick=["sqlite"]))
def test_a_larger_budget_draws_more_and_keeps_what_was_drawn(store: str, tmp_path: Any) -> None:
    memory = ruled(text_of("lines", LONG), store="memory://" if store == "memory://" else f"sqlite:///{tmp_path / 'a.db'}")
    numbers: dict[str, int] = {}
    drawn = 0
    for budget in (1_500, 3_000, 6_000, 20_000):
        context = memory.context(budget)
        assert context.usage.prompt_tokens <= budget
        pages = memory.pages()
        assert memory.stats().pages_sealed == len(pages) >= drawn
        drawn = len(pages)
        found = {page.key: page.index for page in pages}
        assert {key: found[key] for key in numbers} == numbers  # no page is drawn anew, and none gets another number
        numbers = found
        assert sorted(numbers.values()) == list(dict.fromkeys(sorted(numbers.values())))
        assert {page.key: page.index for page in shown(context)}.items() <= numbers.items()
    drawn_all = {page.key: page.index for page in memory.pages(draw=True)}
    assert {key: drawn_all[key] for key in numbers} == numbers
    whole = of_message(memory.pages())
    assert whole[0].section == 1
    assert not whole[0].segments[0].continued
    assert sum(page.text_tokens for page in whole) == memory._builder.pricing.cost(memory.recall([3])[0])


@pytest.mark.slow
def test_the_same_pages_in_one_step_and_in_many() -> None:
    text = text_of("lines", 400_000)
    stepwise, at_once = ruled(text), ruled(text)
    for budget in (1_500, 4_000, 20_000):
        stepwise.context(budget)
    at_once.context(20_000)
    known = {page.key for page in at_once.pages()}
    assert {page.key for page in of_message(stepwise.pages())} <= known
    assert [page.segments for page in of_message(stepwise.pages())] == [page.segments for page in of_message(at_once.pages())]


def test_a_pinned_message_is_drawn_whole() -> None:
    memory = ruled(text_of("lines", LONG))
    memory.pin(3)
    context = memory.context(30_000)
    pages = of_message(shown(context))
    assert pages[0].section == 1
    assert not pages[0].segments[0].continued
    with pytest.raises(BudgetTooSmall):
        memory.context(2_000)


def test_numbers_stay_after_all_is_drawn() -> None:
    memory = ruled(text_of("lines", LONG))
    memory.context(1_500)
    numbers = {page.key: page.index for page in memory.pages(draw=True)}
    assert len(set(numbers.values())) == len(numbers)
    context = memory.context(20_000)
    assert {page.key: page.index for page in shown(context)}.items() <= numbers.items()
    assert {page.key: page.index for page in memory.pages(draw=True)} == numbers


def test_lost_images_are_drawn_again_section_by_section() -> None:
    renderer = Watching(RuledRenderer(rows=9_000))
    memory = ruled(text_of("lines", LONG), renderer=renderer)
    memory.context(3_000)
    pages = of_message(memory.pages())
    before = {page.key: page.image("gundam") for page in pages}
    memory._store.discard(memory.session, [name for name in memory._store.names(memory.session, "picture/") if pages[-1].key in name])
    memory._builder._composer.forget()
    renderer.characters = 0
    assert pages[-1].image("gundam") == before[pages[-1].key]
    assert 0 < renderer.characters < MEGABYTE / 8


def test_a_shorter_record_beside_the_longer_one_takes_no_image_with_it() -> None:
    memory = ruled(text_of("lines", LONG))
    memory.context(1_500)
    short = {name: data for name, data in memory._store.get(memory.session, memory._store.names(memory.session, "run/")).items()}
    memory.context(6_000)
    pages = memory.pages()
    memory._store.put(memory.session, short)  # as of another process that drew less of it
    assert [page.key for page in memory.pages()] == [page.key for page in pages]
    names = memory._store.names(memory.session, "picture/")
    assert all(f"picture/{page.key}/sealed" in names for page in pages)
    assert memory.context(6_000).usage.prompt_tokens <= 6_000


def test_erasing_a_message_takes_all_its_pages() -> None:
    memory = ruled(text_of("lines", LONG))
    memory.context(1_500)
    memory.context(6_000)
    report = memory.erase([3])
    assert not of_message(memory.pages())
    assert report.pages >= 1
    assert memory.prove_erased(report.turns).is_complete
    assert memory.context(3_000).usage.prompt_tokens <= 3_000


@pytest.mark.slow
def test_secrets_are_masked_in_every_section() -> None:
    secret = "sk-ant-api03-" + "a1B2" * 24
    memory = ruled(text_of("lines", LONG) + f"the key is {secret}\n" + text_of("lines", 20_000), redact=True)
    memory.context(3_000)
    page = next(page for page in of_message(memory.pages())[::-1])
    turns = [turn.text for part in of_message(memory.pages()) for turn in memory._builder._open_archive().drawn_turns(part)]
    assert page.section
    assert turns
    assert not any(secret in text for text in turns)


def test_abridged_pages_of_a_section() -> None:
    renderer = open_renderer("pillow")
    memory = OpticalMemory("s", store="memory://", renderer=renderer)
    fill(memory, text_of("lines", LONG))
    context = memory.context(2_500)
    shaped = [part for part in context.pages if part.page.section and part.page.is_shaped(part.tier)]
    assert shaped
    assert all(part.page.image(part.tier) for part in shaped)
    turns = memory._builder._open_archive().drawn_turns(shaped[-1].page)
    assert sum(len(turn.text) for turn in turns) < MEGABYTE / 8


def test_a_renderer_that_fails_while_more_is_drawn_leaves_what_there_is() -> None:
    renderer = RuledRenderer(rows=9_000)
    memory = ruled(text_of("lines", LONG), renderer=renderer)
    few = shown(memory.context(2_000))
    renderer.broken = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        context = memory.context(8_000)
    assert context.usage.prompt_tokens <= 8_000
    assert {page.key for page in few} <= {page.key for page in memory.pages()}


def test_a_second_process_reads_the_same_pages(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'b.db'}"
    memory = ruled(text_of("lines", LONG), store=url)
    context = memory.context(4_000)
    other = OpticalMemory("s", store=open_store(url), shape=(), marks=WaterMarks(high=400, low=100), renderer=RuledRenderer(rows=9_000))
    again = other.context(4_000)
    assert [page.key for page in shown(again)] == [page.key for page in shown(context)]
    assert other.stats().pages_sealed == 0


def test_a_pin_of_more_pages_than_a_request_holds_says_so() -> None:
    """Its pages would be cheaper, but a request cannot hold them, so it is text; a shorter one is pages."""
    reader = profile_of("deepseek-ocr").limited(max_pictures=24)
    memory = OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=8_000), reader=reader)
    memory.extend([("user", "Show it."), ("assistant", "a line of the log that says little\n" * 8_000), *[("user", "go on")] * 4])
    memory.pin(2)
    with pytest.raises(BudgetTooSmall, match=r"Pinned turns have \d+ pages, more images than the reader takes in a request") as caught:
        memory.context(60_000)
    assert caught.value.unshown > 24
    memory.unpin(2)
    memory.extend([("assistant", "a line of the log that says little\n" * 3_000), *[("user", "go on")] * 4])
    memory.pin(7)
    context = memory.context(20_000)
    assert any(segment.turn == 7 for part in context.pages for segment in part.page.segments)
    with pytest.raises(BudgetTooSmall) as caught:
        memory.context(50)
    assert caught.value.unshown == 0 and "images" not in str(caught.value)

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from optical_memory import ByAge, OpticalMemory, Tier, WaterMarks
from optical_memory.context.messages.openai_anthropic import to_openai
from optical_memory.errors import BudgetTooSmall, InvalidTurn, TurnNotFound, UnknownName, UnknownToolCall
from optical_memory.pages.page import PageStyle
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.document.long_units import sections_of
from optical_memory.renderers.png import decode_grey
from optical_memory.stores import open_store
from optical_memory.turns.exchanges import Exchange, exchanges_of
from tests.support import RuledRenderer

MARKS = WaterMarks(high=300, low=60)
START = datetime(2026, 5, 1, 8, tzinfo=UTC)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def memory(url: str) -> Any:
    with OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS) as opened:
        yield opened


def chat(count: int, first: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "role": "user" if n % 2 else "assistant",
            "content": f"turn {n} speaks of QX-77{n:03} and nothing else. " * 5,
            "created_at": START + timedelta(minutes=n),
        }
        for n in range(first, first + count)
    ]


# -- the log -------------------------------------------------------------------------------------------------------------------------


def test_a_turn_is_kept_word_for_word(memory: OpticalMemory) -> None:
    message = {
        "role": "user",
        "content": "My train to Lyon is the 7:40, booking **QX-77419**.\n\n  é\0\ud800 ",
        "id": "m1",
        "created_at": "2026-05-01T07:40:00+02:00",
        "importance": 0.9,
        "metadata": {"channel": ["web", 1, None]},
        "annotations": [],
    }
    stored = memory.append(message)
    assert stored.number == 1
    assert memory.turns() == [stored]
    assert stored.content == message["content"]
    assert stored.metadata == message["metadata"]
    assert stored.extra == {"annotations": []}
    assert (stored.importance, stored.created_at) == (0.9, datetime.fromisoformat("2026-05-01T07:40:00+02:00"))


def test_a_turn_without_id_or_time_gets_them(memory: OpticalMemory) -> None:
    before = datetime.now(UTC)
    first, second = memory.extend([("user", "same"), ("user", "same")])
    assert first.id != second.id and (first.number, second.number) == (1, 2)
    assert first.created_at is not None and before <= first.created_at <= datetime.now(UTC)


def test_the_same_id_again_changes_nothing(memory: OpticalMemory) -> None:
    first = memory.append({"role": "user", "content": "first", "id": "m1"})
    again = memory.append({"role": "assistant", "content": "second", "id": "m1"})
    assert again == first
    assert len(memory) == 1


def test_a_batch_is_stored_whole_or_not_at_all(memory: OpticalMemory) -> None:
    with pytest.raises(InvalidTurn, match=r"^message 2 of 2: .*'robot'"):
        memory.extend([("user", "fine"), ("robot", "not")])
    with pytest.raises(TypeError, match=r"^message 2 of 3: cannot append 7"):
        memory.extend([("user", "fine"), 7, ("user", "fine")])  # type: ignore[list-item]
    with pytest.raises(UnknownToolCall, match=r"^message 2 of 2: .*'nobody'.*'alice'"):
        memory.extend([("user", "fine"), {"role": "tool", "tool_call_id": "nobody", "content": "r"}])
    assert memory.turns() == []
    assert memory.extend([]) == []


def test_a_result_may_come_much_later_than_its_call(memory: OpticalMemory, url: str) -> None:
    memory.append({"role": "assistant", "content": "", "tool_calls": [{"id": "c", "name": "f"}]})
    memory.extend(chat(10))
    other = OpticalMemory("alice", store=url)
    assert other.append({"role": "tool", "tool_call_id": "c", "content": "r"}).number == 12
    with pytest.raises(UnknownToolCall):
        OpticalMemory("bob", store=url).append({"role": "tool", "tool_call_id": "c", "content": "r"})


def test_turns_by_range(memory: OpticalMemory) -> None:
    memory.extend(chat(5))
    assert [turn.number for turn in memory.turns(2, 4)] == [2, 3]
    assert [turn.number for turn in memory.turns(start=4)] == [4, 5]
    assert [turn.number for turn in memory.turns(stop=2)] == [1]


def test_sessions_and_tenants_never_meet(url: str) -> None:
    for session, tenant in [("a", None), ("a", "t"), ("a/t", None), ("b", None)]:
        OpticalMemory(session, store=url, tenant=tenant).append(("user", f"{session} {tenant}"))
    assert [turn.content for turn in OpticalMemory("a", store=url, tenant="t").turns()] == ["a t"]
    assert OpticalMemory("a/t", store=url).append(("user", "x")).number == 2


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="''"):
        OpticalMemory("", store="memory://")
    with pytest.raises(UnknownName, match="'gpt-9'"):
        OpticalMemory(store="memory://", reader="gpt-9")
    with pytest.raises(UnknownName, match="mysql"):
        OpticalMemory(store="mysql://x")
    with pytest.raises(UnknownName, match="unknown renderer 'cromium'"):
        OpticalMemory(store="memory://", renderer="cromium")
    memory = OpticalMemory(store="memory://")
    for budget in (0, -1, 1.5, True, "4k"):
        with pytest.raises(ValueError, match="budget"):
            memory.context(budget)  # type: ignore[arg-type]


# -- the model's view ----------------------------------------------------------------------------------------------------------------


def test_a_short_session_is_all_text_and_draws_nothing(url: str) -> None:
    renderer = RuledRenderer()
    memory = OpticalMemory("alice", store=url, renderer=renderer)
    memory.extend([("user", "My train to Lyon is the 7:40."), ("assistant", "Noted.")])
    context = memory.context(budget=4_000)
    assert context.pages == () and context.framing == ""
    assert [turn.number for turn in context.turns] == [1, 2]
    assert context.usage.compression_ratio == 1.0
    assert renderer.calls == [] and memory.pages() == []


def test_a_growing_session_becomes_pages_that_fade() -> None:
    memory = OpticalMemory("alice", store="memory://", renderer=RuledRenderer(rows=5_000), marks=MARKS)
    memory.extend(chat(600))
    usage = memory.context().usage
    assert usage.compression_ratio > 2
    assert list(usage.pages_by_tier) == sorted(usage.pages_by_tier, reverse=True), "sharpest first"
    assert len(usage.pages_by_tier) >= 4
    assert usage.vision_tokens == sum(usage.vision_tokens_by_tier.values()) < usage.prompt_tokens
    assert "x); pages: 1 gundam, 2 large" in str(usage)


def test_a_renderer_that_fails_leaves_text_and_says_so(url: str) -> None:
    memory = OpticalMemory("alice", store=url, renderer=RuledRenderer(broken=True), marks=MARKS)
    memory.extend(chat(40))
    with pytest.warns(RuntimeWarning, match="stay text"):
        context = memory.context()
    assert len(context.turns) == 40 and context.pages == ()
    assert memory.stats().render_failures == 1


def test_a_budget_that_cannot_be_held_names_the_one_that_can(memory: OpticalMemory) -> None:
    memory.append(("user", "word " * 500))
    with pytest.raises(BudgetTooSmall, match="budget of 100") as caught:
        memory.context(100)
    assert memory.context(caught.value.needed).usage.prompt_tokens == caught.value.needed


def test_in_a_long_tool_loop_the_request_stays_text(memory: OpticalMemory) -> None:
    memory.append(("user", "Fix the bug in the parser."))
    for n in range(60):
        memory.append({"role": "assistant", "content": f"step {n}", "tool_calls": [{"id": f"c{n}", "name": "bash"}]})
        memory.append({"role": "tool", "tool_call_id": f"c{n}", "content": f"output {n} " * 20})
        context = memory.context(1_500)
        assert context.turns[0].content == "Fix the bug in the parser."
        assert context.usage.prompt_tokens <= 1_500
    assert context.pages and context.plan.epoch < 60
    memory.extend([("assistant", "Done."), *chat(60)])
    aged = OpticalMemory("alice", store=memory._store, renderer=RuledRenderer(rows=900), marks=MARKS, forgetting=ByAge())
    assert 1 not in [turn.number for turn in aged.context(1_500).turns], "once it is done it fades like everything else"


def test_pages_stay_as_they_were_sealed(memory: OpticalMemory) -> None:
    seen: dict[int, tuple[str, str]] = {}
    for start in range(0, 120, 10):
        memory.extend(chat(10, first=start + 1))
        memory.context()
        now = {page.index: (page.key, hashlib.sha256(page.image("gundam")).hexdigest()) for page in memory.pages()}
        assert {index: now.get(index) for index in seen} == seen
        seen = now
    assert len(seen) > 5
    assert [page.first_turn for page in memory.pages()] == sorted(page.first_turn for page in memory.pages())


def test_two_processes_make_the_same_pages(url: str, tmp_path: Path) -> None:
    script = (
        "import sys, hashlib\n"
        "from optical_memory import OpticalMemory, WaterMarks\n"
        "memory = OpticalMemory('x', store=sys.argv[1], renderer='pillow', marks=WaterMarks(high=300, low=60))\n"
        "memory.extend([('user' if n % 2 else 'assistant', f'turn **{n}** `QX-77{n:03}` 我们 ' * 30) for n in range(1, 30)])\n"
        "memory.context()\n"
        "print([(page.key, hashlib.sha256(page.image('small')).hexdigest()) for page in memory.pages()])\n"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", script, f"sqlite:///{tmp_path}/{n}.db"], capture_output=True, text=True, check=True).stdout
        for n in range(2)
    }
    assert len(outputs) == 1
    assert outputs.pop().count("'") >= 8


def test_pictures_that_were_lost_are_drawn_again(memory: OpticalMemory, url: str) -> None:
    memory.extend(chat(60))
    before = [part.image() for part in memory.context().pages]
    store = open_store(url)
    store.discard(memory.session, store.names(memory.session, "picture/"))
    other = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS)
    assert [part.image() for part in other.context().pages] == before
    assert other.stats().pages_redrawn > 0


@pytest.mark.parametrize("damage", ["gone", "garbled"])
def test_page_records_that_were_lost_are_sealed_again(memory: OpticalMemory, url: str, damage: str) -> None:
    memory.extend(chat(60))
    before = memory.context()
    store = open_store(url)
    name = store.names(memory.session, "run/")[1]
    if damage == "gone":
        store.discard(memory.session, [name])
    else:
        store.put(memory.session, {name: b"\x00garbled"})
    other = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS)
    after = other.context()
    assert [part.page.key for part in after.pages] == [part.page.key for part in before.pages]
    assert [part.image() for part in after.pages] == [part.image() for part in before.pages]


def test_all_page_records_may_be_lost(memory: OpticalMemory, url: str) -> None:
    memory.extend(chat(200))
    before = memory.context()
    store = open_store(url)
    names = store.names(memory.session, "run/")
    assert len(names) > 5
    store.discard(memory.session, names[:1])
    store.put(memory.session, dict.fromkeys(names[1:], b"\x00garbled"))
    after = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS).context()
    assert [part.image() for part in after.pages] == [part.image() for part in before.pages]


def test_pages_that_cannot_come_back_are_text(memory: OpticalMemory, url: str) -> None:
    memory.extend(chat(60))
    memory.context()
    store = open_store(url)
    store.discard(memory.session, store.names(memory.session, "picture/"))
    other = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS)
    other._builder.settings.renderer.broken = True  # type: ignore[attr-defined]
    with pytest.warns(RuntimeWarning, match="stay text"):
        context = other.context()
    assert len(context.turns) == 60


def test_a_damaged_plan_is_made_again(memory: OpticalMemory, url: str) -> None:
    memory.extend(chat(60))
    before = memory.context()
    open_store(url).put(memory.session, {"plan/deepseek-ocr": b"{"})
    after = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS).context()
    assert to_openai(after) == to_openai(before)


def test_each_reader_has_its_own_plan_over_the_same_pages(memory: OpticalMemory, url: str) -> None:
    memory.extend(chat(200))
    deepseek = memory.context()
    claude = OpticalMemory("alice", store=url, renderer=RuledRenderer(rows=900), marks=MARKS, reader="claude").context()
    assert {part.tier for part in claude.pages} <= {Tier.SMALL, Tier.BASE}
    assert memory.context() == deepseek


def test_pages_tell_size_and_price(memory: OpticalMemory) -> None:
    memory.extend(chat(60))
    memory.context()
    page = memory.pages()[0]
    assert page.size("small") == (640, 640) and page.tokens("small") == 111
    assert len({page.image(tier) for tier in Tier}) == 4, "Gundam and Large show the sealed picture"
    assert sum(page.text_tokens for page in memory.pages()) == sum(
        memory._builder.pricing.cost(turn) for turn in memory.turns(stop=memory.pages()[-1].last_turn + 1)
    )


# -- recall --------------------------------------------------------------------------------------------------------------------------


def test_recall_by_words_by_number_and_by_time(memory: OpticalMemory) -> None:
    memory.extend(chat(30))
    assert memory.recall("QX-77007")[0].number == 7
    assert [turn.number for turn in memory.recall([9, 2])] == [9, 2]
    assert [turn.number for turn in memory.recall(5)] == [5]
    assert len(memory.recall("nothing else", limit=3)) == 3
    since, until = START + timedelta(minutes=10), START + timedelta(minutes=12)
    assert [turn.number for turn in memory.recall(since=since, until=until)] == [10, 11]
    assert [turn.number for turn in memory.recall("turn", since=since, until=until, limit=1)] in ([10], [11])
    assert memory.recall("zebra") == []


def test_recall_with_the_exchange_around(memory: OpticalMemory) -> None:
    memory.extend([("user", "Which train?"), {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "name": "trains"}]}])
    memory.extend([{"role": "tool", "tool_call_id": "c", "content": "QX-1"}, ("assistant", "The QX-1."), ("user", "Thanks.")])
    assert [turn.number for turn in memory.recall([3], exchange=True)] == [1, 2, 3, 4]


def test_a_number_that_is_not_there_is_named(memory: OpticalMemory) -> None:
    memory.append(("user", "x"))
    for number in (0, 2, -1):
        with pytest.raises(TurnNotFound, match=f"#{number}"):
            memory.recall([number])
    with pytest.raises(TurnNotFound):
        memory.pin(2)


def test_recall_of_what_is_no_number_or_time_is_a_type_error(memory: OpticalMemory) -> None:
    memory.append(("user", "x"))
    for wrong in (1.5, [1.5], ["1"]):
        with pytest.raises(TypeError, match="integer"):
            memory.recall(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'2026-05-01'"):
        memory.recall("x", since="2026-05-01")  # type: ignore[arg-type]
    assert [turn.number for turn in memory.recall(range(1, 2))] == [1]


# -- pins and erasure ----------------------------------------------------------------------------------------------------------------


def test_an_overlong_turn_is_laid_out_once_with_what_follows() -> None:
    renderer = RuledRenderer(rows=5_000)
    memory = OpticalMemory("alice", store="memory://", renderer=renderer, marks=MARKS, shape=())
    memory.extend([("user", "base64 " * 60_000), *chat(60)])
    assert memory.context().pages
    [unit] = [unit for exchange in exchanges_of(memory.turns(1, 2)) for unit in exchange]
    assert 1 <= [first for first, _ in renderer.calls].count(1) <= len(sections_of(unit))


class Meddling(RuledRenderer):
    """While it draws for the first time, another process does something."""

    meddle: Callable[[], object] | None = None

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        pages, meddle, self.meddle = super().render(exchanges, style, seal_last=seal_last), self.meddle, None
        if meddle:
            meddle()
        return pages


@pytest.mark.parametrize("numbers", [[5], None], ids=["a turn", "the session"])
def test_what_is_erased_while_it_is_drawn_comes_on_no_page(url: str, tmp_path: Path, numbers: list[int] | None) -> None:
    renderer = Meddling(rows=900)
    memory, other = (OpticalMemory("alice", store=url, renderer=drawing, marks=MARKS) for drawing in (renderer, RuledRenderer(rows=900)))
    memory.extend(chat(40))
    renderer.meddle = lambda: other.erase(numbers)
    memory.context()
    assert not any(segment.turn == 5 for page in memory.pages() for segment in page.segments)
    memory.close(), other.close()
    assert not any(b"QX-77005" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_pin_brings_a_page_back_and_holds_it(memory: OpticalMemory) -> None:
    memory.extend(chat(200))
    assert memory.context(900).pages[0].page.first_turn > 1
    memory.pin(1)
    context = memory.context(900)
    assert context.pages[0].page.first_turn == 1 and context.pages[0].tier >= Tier.SMALL
    assert memory.turns(1, 2)[0].pinned
    memory.unpin(1)
    assert memory.context(900).pages[0].page.first_turn > 1


def test_erasing_removes_every_byte(url: str, tmp_path: Path) -> None:
    memory = OpticalMemory("alice", store=url, renderer="pillow", marks=MARKS)
    memory.extend(chat(40))
    secret = memory.append({"role": "user", "content": "the vault opens with zebra-4471-ÄÖ", "metadata": {"note": "zebrafinch"}})
    memory.extend(chat(40, first=42))
    memory.context()
    [page] = [page for page in memory.pages() if page.first_turn <= secret.number <= page.last_turn]
    pictures = [page.image(tier) for tier in Tier]
    assert _holds(tmp_path, b"zebra-4471") and _holds(tmp_path, pictures[0][-90:-30])
    report = memory.erase([secret.number])
    assert report.turns == (secret.number,) and report.pages >= 1
    assert not _holds(tmp_path, b"zebra")
    assert not any(_holds(tmp_path, picture[-90:-30]) for picture in pictures)
    assert memory.recall("zebra") == []
    with pytest.raises(TurnNotFound):
        memory.recall([secret.number])
    after = memory.context()
    assert secret.number not in {segment.turn for part in after.pages for segment in part.page.segments}
    assert memory.append(("user", "next")).number == 82, "numbers are never given again"


def test_erasing_a_session_leaves_the_others(memory: OpticalMemory, url: str, tmp_path: Path) -> None:
    memory.extend(chat(60))
    memory.context()
    other = OpticalMemory("bob", store=url)
    other.append(("user", "I stay"))
    report = memory.erase()
    assert len(report.turns) == 60 and report.pages > 0
    assert memory.turns() == [] and memory.pages() == [] and memory.context().parts == ()
    assert not _holds(tmp_path, b"QX-77")
    assert [turn.content for turn in other.turns()] == ["I stay"]


def _holds(folder: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in folder.iterdir())


# -- the object ----------------------------------------------------------------------------------------------------------------------


def test_async_twins(memory: OpticalMemory) -> None:
    async def run() -> None:
        await memory.aappend(("user", "hello"))
        await memory.aextend(chat(30, first=2))
        context = await memory.acontext()
        assert context.pages and len(await memory.aturns()) == 31
        assert (await memory.arecall("QX-77007"))[0].number == 7
        await memory.apin(1)
        await memory.aunpin(1)
        assert (await memory.astats()).turns == 31
        assert len(await memory.apages()) == len(memory.pages())
        assert (await memory.aerase([1])).turns == (1,)

    asyncio.run(run())


def test_many_threads_use_one_memory(memory: OpticalMemory) -> None:
    def work(thread: int) -> None:
        for n in range(20):
            memory.append({"role": "user", "content": f"thread {thread} says {n} " * 20, "id": f"{thread}-{n}"})
            memory.context()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert [turn.number for turn in memory.turns()] == list(range(1, 81))
    assert [page.first_turn for page in memory.pages()] == sorted({page.first_turn for page in memory.pages()})


def test_two_processes_share_plan_and_pages(memory: OpticalMemory, url: str) -> None:
    memory.extend(chat(60))
    first = memory.context()
    renderer = RuledRenderer(rows=900)
    other = OpticalMemory("alice", store=url, renderer=renderer, marks=MARKS)
    assert other.context() == first and renderer.calls == []
    other.extend(chat(40, first=61))
    assert other.context().plan.epoch == 2
    assert memory.context() == other.context()


def test_the_default_store_is_a_file_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with OpticalMemory("alice") as memory:
        memory.append(("user", "hello"))
        assert str(tmp_path) in repr(memory)
    assert list(tmp_path.rglob("memory.sqlite3"))


def test_a_page_that_is_not_full_is_cut_off_and_costs_less_where_area_is_billed() -> None:
    """A budget seals what does not fill a page: Claude is billed for what stands on it, DeepSeek-OCR for its square."""
    said = [("user" if n % 2 else "assistant", f"Turn {n}: the tram of {n} o'clock left from track {n * 7}. " * 3) for n in range(1, 60)]
    for reader in ("claude", "gpt-4o", "deepseek-ocr"):
        with OpticalMemory(reader, store="memory://", renderer="pillow", reader=reader, marks=WaterMarks(high=600, low=100)) as memory:
            memory.extend(said)
            context = memory.context(budget=1_700)
            style = memory.profile.page_style()
            pages = memory.pages()
            assert context.pages and pages
            sizes = [page.size(context.pages[0].tier) for page in pages]
            whole = memory.profile.shown_size(*style.pixel_size, context.pages[0].tier)
            for page, size in zip(pages, sizes, strict=True):
                picture = decode_grey(page.image(context.pages[0].tier))
                assert picture.size == size
                assert all(side <= most for side, most in zip(size, whole, strict=True))
                bottom = max(box.top + box.height for segment in page.segments for box in segment.boxes)
                assert bottom <= page.height <= (bottom + style.margin if style.crop else style.height)
                assert picture.point(lambda grey: 255 * (grey < 128)).getbbox() is not None
            assert any(size != whole for size in sizes) == style.crop

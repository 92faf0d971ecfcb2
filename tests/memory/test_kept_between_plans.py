"""What is kept between contexts and re-plans: pages are decoded, priced and captioned once, and the contexts are those of a new process."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from optical_memory import ByAge, Context, OpticalMemory
from optical_memory.archive import page_archive
from optical_memory.archive.codec import decode_pages
from optical_memory.planning import past
from optical_memory.profiles.pricing import Pricing
from optical_memory.stores import open_store
from optical_memory.stores.base import Store
from tests.support import RuledRenderer

BUDGETS = (6_000, 3_000)


def opened(store: Store, **options: Any) -> OpticalMemory:
    return OpticalMemory("kept", store=store, renderer=RuledRenderer(rows=3_000), **options)


def told(store: Store, turns: int = 240, **options: Any) -> OpticalMemory:
    memory = opened(store, **options)
    memory.extend(
        [("user" if n % 2 else "assistant", f"Turn {n} of room QX-{n:05d}: " + "words that fill a page. " * 12) for n in range(turns)]
    )
    return memory


def shown(context: Context) -> object:
    return context.framing, [(part.tier, part.page.key, part.text, part.tokens) for part in context.pages], context.usage


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often records are decoded for planning, and labels made and priced."""
    counted: Counter[str] = Counter()
    price, caption = Pricing.message, past.page_text

    def decoding(data: bytes, *, boxes: bool = True) -> Any:
        counted["decoded"] += not boxes
        return decode_pages(data, boxes=boxes)

    def pricing(self: Pricing, text: str) -> int:
        counted["priced"] += 1
        return price(self, text)

    def captioning(page: Any) -> str:
        counted["captioned"] += 1
        return caption(page)

    monkeypatch.setattr(page_archive, "decode_pages", decoding)
    monkeypatch.setattr(Pricing, "message", pricing)
    monkeypatch.setattr(past, "page_text", captioning)
    return counted


def test_a_replan_reads_and_prices_only_pages_that_are_new(calls: Counter[str]) -> None:
    store = open_store("memory://")
    memory = told(store)
    memory.context(BUDGETS[0])
    memory.pages(draw=True)
    for budget in BUDGETS * 2:
        memory.context(budget)
    assert calls["decoded"] and calls["captioned"]
    calls.clear()
    replanned = [memory.context(budget) for budget in BUDGETS * 2]
    assert {context.plan.reason for context in replanned} == {"over budget", "budget grew"}
    assert not calls["decoded"] and not calls["captioned"]
    for context, budget in zip(replanned[-2:], BUDGETS, strict=True):
        assert shown(context) == shown(opened(store).context(budget))


def test_a_turn_more_prices_no_page_again(calls: Counter[str]) -> None:
    memory = told(open_store("memory://"), forgetting=ByAge())
    pages = memory.context().pages
    calls.clear()
    memory.append(("user", "And one turn more."))
    assert [part.page for part in memory.context().pages] == [part.page for part in pages]
    assert not calls


def test_what_is_kept_is_dropped_with_an_erased_turn() -> None:
    memory = told(open_store("memory://"))
    memory.context(BUDGETS[0])
    memory.pages(draw=True)
    memory.context(BUDGETS[1])
    memory.context(BUDGETS[0])
    archive = memory._builder._open_archive()
    assert any("QX-00007" in " ".join(page.sidecar) for _, pages in archive._decoded.values() for page in pages)
    memory.erase(8)
    assert not archive._decoded and not memory._builder._prices._beside
    assert "QX-00007" not in repr([shown(memory.context(budget)) for budget in BUDGETS])

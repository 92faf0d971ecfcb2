"""The inspector in a real browser: its views, live updates, the switch, erasing; who may look; and that no content runs there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from optical_memory import OpticalMemory
from optical_memory.pages.tiers import Tier
from optical_memory.server.inspector.session_view import SessionView
from optical_memory.stores.base import SessionId, open_store
from tests.remembered import REMEMBERED
from tests.sampling import mostly_slow

from .inspecting import a_browser, address_of, filled, inspected, watched
from .rig import claude, rig

TALK = {"name": "talk"}
VIEWS = {"overview": ("", {}), "session": ("session", TALK), "search": ("search", {**TALK, "q": "parcel"}), "requests": ("requests", {})}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return filled(tmp_path_factory.mktemp("inspected") / "store.db")


@pytest.fixture(scope="module")
def address(store: str) -> Iterator[str]:
    with inspected(store) as address:
        yield address


def a_page(store: str, session: str = "talk") -> str:
    """Key of the oldest page shown."""
    with closing(open_store(store)) as opened:
        plan = SessionView(opened, SessionId(session)).plan
        assert plan is not None
        return plan.pages[0].key


# -- what is seen ----------------------------------------------------------------------------------------------------------------------


def test_a_session_shows_its_past_as_its_plan_has_it(browser: Browser, store: str, address: str) -> None:
    with OpticalMemory("talk", store=store, renderer=REMEMBERED) as memory:
        context = memory.context(4_000)
    with watched(browser, address) as (page, seen):
        page.goto(address)
        page.get_by_role("link", name="talk", exact=True).click()
        cards = page.locator(".stretches .page")
        expect(cards).to_have_count(len(context.pages))
        for at, part in enumerate(context.pages):
            assert f"#{part.page.first_turn}–{part.page.last_turn} {part.tier.label}" in cards.nth(at).inner_text()
        expect(page.locator(".tiles")).to_contain_text(f"{context.usage.prompt_tokens:,}")
        expect(page.locator(".tiles")).to_contain_text(f"{context.usage.text_tokens:,}")
        assert not seen


@pytest.mark.parametrize("tier", mostly_slow([None, *Tier], quick=[None, Tier.TINY]))
def test_a_picture_is_the_one_that_the_model_gets(store: str, address: str, tier: Tier | None) -> None:
    with OpticalMemory("talk", store=store, renderer=REMEMBERED) as memory:
        part = memory.context(4_000).pages[0]
        wanted = part.page.image(tier or part.tier)
    query = {**TALK, "key": part.page.key, **({"tier": tier.label} if tier else {})}
    assert httpx.get(address_of(address, "picture", **query)).content == wanted


def test_a_page_stands_beside_its_words(browser: Browser, store: str, address: str) -> None:
    with watched(browser, address, viewport={"width": 1300, "height": 900}) as (page, seen):
        page.goto(address_of(address, "page", **TALK, key=a_page(store)))
        first = page.locator(".source article").first
        expect(first).to_contain_text("tells of parcel PX-")
        page.locator(".drawn rect").first.hover(force=True)
        expect(first).to_have_class(re.compile("on"))
        expect(page.locator(".sidecar code").first).to_have_text(re.compile("PX-"))
        page.get_by_role("link", name="tiny", exact=True).click()
        expect(page.locator("[aria-current]")).to_have_text("tiny")
        assert page.locator(".drawn img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 512
        assert not seen


def test_the_slider_goes_back_through_the_plans(browser: Browser, store: str, address: str) -> None:
    with closing(open_store(store)) as opened:
        past = SessionView(opened, SessionId("talk")).past
    assert len(past) >= 3
    with watched(browser, address) as (page, seen):
        page.goto(address_of(address, "session", **TALK))
        page.locator("#epoch").fill("0")
        expect(page.locator(".tiles")).to_contain_text(f"{past[0].plan.length} turns then")
        expect(page.locator(".stretches .page")).to_have_count(len(past[0].plan.pages))
        page.get_by_role("link", name="Back to now").click()
        expect(page.locator(".tiles")).not_to_contain_text("then")
        assert not seen


def test_turns_are_loaded_as_they_come_near_and_open_word_for_word(browser: Browser, address: str) -> None:
    with watched(browser, address) as (page, seen):
        page.goto(address_of(address, "session", **TALK))
        page.locator("#goto").fill("58")
        page.get_by_role("button", name="Go", exact=True).click()
        row = page.locator("#turn-58")
        expect(row).to_be_in_viewport()
        row.get_by_role("button").press("Enter")
        expect(row.locator("pre")).to_contain_text("Turn 58 tells of parcel PX-0057. " + "It went on by road. " * 40)
        assert not seen


def test_words_are_searched_as_recall_does(browser: Browser, store: str, address: str) -> None:
    with OpticalMemory("talk", store=store, renderer=REMEMBERED) as memory:
        wanted = [turn.number for turn in memory.recall("PX-0031", limit=50)]
    with watched(browser, address) as (page, seen):
        page.goto(address_of(address, "session", **TALK))
        page.get_by_label("Search the words").fill("PX-0031")
        page.get_by_role("button", name="Search").click()
        heads = [int(text.lstrip("#")) for text in page.locator(".found b").all_inner_texts()]
        assert heads == wanted and heads[0] == 32
        assert not seen


def test_a_session_that_grows_is_seen_growing(browser: Browser, tmp_path: Path) -> None:
    store = filled(tmp_path / "store.db", turns=40)
    with (
        inspected(store) as address,
        watched(browser, address) as (page, seen),
        OpticalMemory("talk", store=store, renderer=REMEMBERED) as memory,
    ):
        page.goto(address_of(address, "session", **TALK))
        expect(page.locator("#live")).to_have_text("Live")
        for at in range(40):
            memory.append(("user" if at % 2 == 0 else "assistant", f"News {at} of the harbour. " + "Ships came in. " * 60))
        context = memory.context(4_000)
        expect(page.locator(".tiles li").first).to_contain_text("80")
        expect(page.locator(".note").first).to_contain_text("Plan")
        newest = context.pages[-1].page
        expect(page.locator(".stretches .page").last).to_contain_text(f"#{newest.first_turn}–{newest.last_turn}")
        page.locator("#goto").fill("80")
        page.get_by_role("button", name="Go", exact=True).click()
        expect(page.locator("#turn-80")).to_contain_text("News 39 of the harbour.")
        assert not seen


def test_looking_changes_nothing(store: str, address: str) -> None:
    def held() -> dict[str, bytes]:
        with closing(open_store(store)) as opened:
            found: dict[str, bytes] = {}
            for name in ("talk", "<b>bad</b>"):
                session = SessionId(name)
                found |= {f"{name} {key}": data for key, data in opened.get(session, opened.names(session)).items()}
            return found

    before, key = held(), a_page(store)
    asked = [*VIEWS.values(), ("page", {**TALK, "key": key}), ("page", {**TALK, "key": key, "tier": "tiny"})]
    asked += [("picture", {**TALK, "key": key, "tier": tier.label}) for tier in Tier] + [("session/turns", {**TALK, "block": 0})]
    for path, query in asked:
        assert httpx.get(address_of(address, path, **query)).status_code == 200
    assert held() == before


# -- hostile content, and who may look -------------------------------------------------------------------------------------------------


def test_no_content_runs(browser: Browser, store: str, address: str) -> None:
    bad = {"name": "<b>bad</b>"}
    views = [*VIEWS.values(), ("session", bad), ("search", {**bad, "q": "evil"}), ("page", {**bad, "key": a_page(store, "<b>bad</b>")})]
    views += [("search", {**bad, "q": "<script>window.ran = 1</script>"}), ("session", {"name": "<script>window.ran=1</script>"})]
    for path, query in views:
        with watched(browser, address) as (page, seen):
            page.goto(address_of(address, path, **query))
            page.wait_for_timeout(300)
            if button := page.locator("button[data-turn]"):
                for at in range(min(4, button.count())):
                    button.nth(at).click()
                page.wait_for_timeout(200)
            assert page.evaluate("window.ran") is None
            assert page.locator("main iframe, main base, main style, main meta, main script, main [onerror], main [onload]").count() == 0
            assert page.url.startswith(address)
            assert not [each for each in seen if "404" not in each]


def test_a_policy_stands_on_every_answer(address: str) -> None:
    for path in ("", "session?name=talk", "static/inspector.js", "nowhere", "session?name=none", "session/turns?name=talk&block=x"):
        headers = httpx.get(f"{address}/inspect/{path}").headers
        assert "default-src 'none'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.test"},
        {"host": "127.0.0.1.evil.test"},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://["},
        {"host": "["},
    ],
)
def test_pages_of_other_sites_are_refused(store: str, address: str, headers: dict[str, str]) -> None:
    assert httpx.get(f"{address}/inspect/", headers=headers).status_code == 403
    body = {"name": "talk", "tenant": "", "numbers": None}
    assert httpx.post(f"{address}/inspect/erase", json=body, headers=headers).status_code == 403
    with closing(open_store(store)) as opened:
        assert opened.length(SessionId("talk")) == 60


def test_a_form_of_another_site_erases_nothing(store: str, address: str) -> None:
    headers = {"sec-fetch-site": "cross-site", "content-type": "text/plain"}
    body = json.dumps({"name": "talk", "tenant": "", "numbers": None})
    assert httpx.post(f"{address}/inspect/erase", content=body, headers=headers).status_code == 403
    with closing(open_store(store)) as opened:
        assert opened.length(SessionId("talk")) == 60


def test_with_a_token_nobody_looks_without_it(store: str, browser: Browser) -> None:
    with inspected(store, token="secret-of-the-house") as address:
        for path in ("/", "/inspect/", "/inspect/session?name=talk", "/inspect/?token=wrong", "/inspect/static/inspector.js"):
            assert httpx.get(address + path).status_code == 403
        assert httpx.get(f"{address}/inspect/", headers={"authorization": "Bearer secret-of-the-house"}).status_code == 200
        with watched(browser, address) as (page, seen):
            page.goto(f"{address}/?token=secret-of-the-house")
            expect(page.get_by_role("heading", name="Sessions")).to_be_visible()
            assert "secret" not in page.url and "secret" not in page.content()
            assert not seen


# -- erasing ---------------------------------------------------------------------------------------------------------------------------


def test_turns_are_erased_with_proof(browser: Browser, tmp_path: Path) -> None:
    store = filled(tmp_path / "store.db", turns=30)
    with inspected(store) as address, watched(browser, address) as (page, seen):
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address_of(address, "session", **TALK))
        page.get_by_label("Turns", exact=True).fill("4, 7-8")
        page.get_by_role("button", name="Erase these turns").click()
        expect(page.locator("#proof")).to_contain_text("3 turns and")
        expect(page.locator("#proof")).to_contain_text("clean: log: 3 turns are gone")
        expect(page.locator("#proof")).not_to_contain_text("there:")
        expect(page.locator("#turn-7")).to_contain_text("erased")
        with OpticalMemory("talk", store=store, renderer=REMEMBERED) as memory:
            assert {turn.number for turn in memory.turns()} == set(range(1, 31)) - {4, 7, 8}
        page.get_by_label("Turns", exact=True).fill("4, all of it")
        page.get_by_role("button", name="Erase these turns").click()
        expect(page.locator("#proof")).to_contain_text("Not erased: “all of it” names no turns")
        assert not seen


def test_a_turn_that_is_not_there_is_not_said_to_be_erased(browser: Browser, tmp_path: Path) -> None:
    store = filled(tmp_path / "store.db", turns=4)
    with inspected(store) as address, watched(browser, address) as (page, _):
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(address_of(address, "session", **TALK))
        for asked, number in ("2, 9999", 9999), ("0", 0):
            page.get_by_label("Turns", exact=True).fill(asked)
            page.get_by_role("button", name="Erase these turns").click()
            expect(page.locator("#proof")).to_contain_text(f"Not erased: no turn #{number}: this session has turns #1 to #4")
        with OpticalMemory("talk", store=store, renderer=REMEMBERED) as memory:
            assert len(memory.turns()) == 4


@pytest.mark.parametrize("path", ["", "session", "search"])
def test_no_name_is_shown_as_another(tmp_path: Path, path: str) -> None:
    name = "\u202eklat"  # reads talk where overrides of direction are obeyed
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with OpticalMemory(name, store=url, renderer=REMEMBERED) as memory:
        memory.append({"role": "user", "content": "Hello", "name": name})
    with inspected(url) as address:
        html = httpx.get(address_of(address, path, **({"name": name, "q": "hello"} if path else {}))).text
        assert "<bdi>‹U+202E›klat</bdi>" in html
        title = html.partition("<title>")[2].partition("</title>")[0]
        assert title and name not in title


def test_a_name_without_end_does_not_widen_the_list(browser: Browser, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with OpticalMemory("x" * 200, store=url, renderer=REMEMBERED) as memory:
        memory.append(("user", "Hello"))
    with inspected(url) as address, watched(browser, address, viewport={"width": 800, "height": 600}) as (page, _):
        page.goto(f"{address}/inspect/")
        box = page.get_by_role("columnheader", name="Turns").bounding_box()
        assert box is not None and box["x"] + box["width"] <= 800


def test_nothing_is_erased_where_that_is_off(store: str) -> None:
    with inspected(store, may_erase=False) as address:
        assert "Erase" not in httpx.get(address_of(address, "session", **TALK)).text
        assert httpx.post(f"{address}/inspect/erase", json={"name": "talk", "tenant": "", "numbers": None}).status_code == 403


BAD_NUMBERS = ("[]", '["1"]', "true")
NOT_UNDERSTOOD = ["", "[]", "{", '{"name": "talk"}', *(f'{{"name": "talk", "tenant": "", "numbers": {bad}}}' for bad in BAD_NUMBERS)]


@pytest.mark.parametrize("body", NOT_UNDERSTOOD)
def test_a_request_to_erase_that_is_not_understood_erases_nothing(store: str, address: str, body: str) -> None:
    assert httpx.post(f"{address}/inspect/erase", content=body).status_code == 422
    with closing(open_store(store)) as opened:
        assert opened.length(SessionId("talk")) == 60


# -- in front of the proxy -------------------------------------------------------------------------------------------------------------


def test_the_proxy_shows_its_conversations_and_is_switched(browser: Browser) -> None:
    with rig() as given, watched(browser, given.address) as (page, seen):
        for rounds in (20, 21):
            given.post("/v1/messages", claude(rounds), {"session_id": "house"})
        given.settled(2)
        page.goto(given.address)
        expect(page.get_by_role("heading", name="Conversations through the proxy")).to_be_visible()
        page.get_by_role("row").filter(has_text="claude-opus").get_by_role("link").first.click()
        expect(page.locator(".tiles")).to_contain_text("2 calls")
        page.get_by_role("link", name="its turns, word for word").click()
        expect(page.locator("#turn-1")).to_contain_text("Work on task")
        page.go_back()
        page.get_by_role("link", name="line 1").click()
        expect(page.locator(".stretches .page").first).to_be_visible()
        page.locator(".stretches .page a").first.click()
        assert page.locator(".drawn img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
        page.goto(f"{given.address}/inspect/")
        page.get_by_role("button", name="Switch all off").click()
        expect(page.get_by_role("button", name="Switch on")).to_be_visible()
        given.post("/v1/messages", claude(22), {"session_id": "house"})
        assert given.settled(3)[0]["reason"] == "switched off"
        page.goto(f"{given.address}/inspect/requests")
        expect(page.locator("tbody tr").first).to_contain_text("switched off")
        assert not seen


# -- for everybody ---------------------------------------------------------------------------------------------------------------------


LOOKS = [(390, "light"), (390, "dark"), (820, "light"), (1300, "light"), (1300, "dark")]


@pytest.mark.parametrize("look", mostly_slow(LOOKS, quick=[(390, "dark")], daily=[(1300, "light")]), ids=str)
def test_every_view_can_be_used_by_everybody(browser: Browser, store: str, address: str, look: tuple[int, str]) -> None:
    width, scheme = look
    views = [*VIEWS.values(), ("page", {**TALK, "key": a_page(store)})]
    for path, query in views:
        with watched(browser, address, viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True) as (page, _):
            page.goto(address_of(address, path, **query))
            page.wait_for_timeout(200)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the window"

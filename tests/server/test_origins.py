"""Who may use the proxy from a browser, and what can be switched by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import sync_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from optical_memory.renderers.chromium.finding import require_browser
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.proxy import api
from tests.server.rig import Rig, claude, rig


@pytest.fixture(scope="module")
def here() -> Iterator[Rig]:
    with rig() as made:
        yield made


FOREIGN = [
    {"origin": "http://evil.test"},
    {"origin": "https://evil.example:8723"},
    {"origin": "null"},
    {"origin": "http://["},
    {"origin": "http://127.0.0.1.evil.example"},
    {"host": "evil.example:8723"},
    {"host": "127.0.0.1.evil.example"},
    {"host": "evil.example.:8723"},
    {"host": "["},
    {"sec-fetch-site": "cross-site"},
]
KNOWN = [
    {"origin": "http://localhost:3000"},
    {"origin": "http://[::1]:3000", "sec-fetch-site": "cross-site"},
    {"origin": "vscode-file://vscode-app", "sec-fetch-site": "cross-site"},
    {"origin": "https://Chat.example.com"},
    {"host": "chat.example.com"},
    {"host": "host.docker.internal:8723"},
    {"host": "optical-memory:8723"},
    {"host": "[::1]:8723"},
]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/models", "/u/other/v1/chat/completions"])
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_pages_of_other_sites_send_nothing_on(here: Rig, headers: dict[str, str], path: str) -> None:
    before = len(here.upstream.seen)
    answer = here.post(path, claude(0, last="spend"), {"content-type": "text/plain", **headers})
    assert answer.status_code == 403 and "allow it with: --allow-origin" in answer.text.lower()
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert len(here.upstream.seen) == before


def test_programs_apps_and_pages_that_are_allowed_are_served() -> None:
    with rig(origins=["https://chat.example.com"]) as made:
        assert [made.post("/v1/messages", claude(0, last="hello"), headers).status_code for headers in KNOWN] == [200] * len(KNOWN)


def test_a_browser_lets_no_page_use_the_proxy(here: Rig) -> None:
    """A page of another site, and one whose name leads here."""
    before = len(here.upstream.seen)
    post = "url => fetch(url + '/v1/messages', {method: 'POST', body: '{}', mode: 'no-cors'}).then(() => 'sent', () => 'not sent')"
    rebound = here.address.replace("127.0.0.1", "evil.example")
    site = Starlette(routes=[Route("/", lambda request: HTMLResponse("<p>"))])
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1", "--disable-features=LocalNetworkAccessChecks"]
    with Serving(site) as serving, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_browser().path, args=arguments)
        page = browser.new_page()
        page.goto(serving.address.replace("127.0.0.1", "evil.example"))
        assert page.evaluate(post, here.address) == "sent"
        answer = page.goto(rebound + "/v1/models")
        assert answer is not None and answer.status == 403
        assert page.evaluate(post, rebound) == "sent"
        browser.close()
    assert len(here.upstream.seen) == before


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"model": "nobody-knows-it"}, "no model 'nobody-knows-it': no profile knows it, and no conversation has used it"),
        ({"conversation": "f" * 16}, "no conversation 'ffffffffffffffff'; GET /api/conversations lists them"),
    ],
)
def test_names_that_nobody_knows_are_not_switched(here: Rig, names: dict[str, str], problem: str) -> None:
    answer = here.post("/api/switch", {"on": False, **names})
    assert (answer.status_code, answer.json()) == (422, {"error": problem})
    switched = here.get("/api/switch")
    assert not switched["models"] and not switched["conversations"]


def test_names_that_are_switched_are_known_or_used_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(models={"tuned-*": "qwen3-vl"}) as made:
        made.post("/v1/messages", claude(0, last="hello", model="only-used"))
        made.settled(1)
        used = made.get("/api/conversations")[0]["conversation"]
        for names in ({"model": "only-used"}, {"model": "tuned-7"}, {"model": "claude-opus-4-8"}, {"conversation": used}):
            assert made.post("/api/switch", {"on": False, **names}).status_code == 200
        monkeypatch.setattr(api, "MOST_NAMES", 3)
        answer = made.post("/api/switch", {"on": False, "model": "tuned-8"})
        assert answer.status_code == 422 and "3 names are switched already" in answer.json()["error"]
        assert made.post("/api/switch", {"on": True, "model": "tuned-7"}).status_code == 200
        assert made.post("/api/switch", {"on": None, "model": "tuned-7"}).json()["models"] == {"only-used": False, "claude-opus-4-8": False}

"""Conversation content is hostile: nothing in it may make the browser ask for anything.

A real server listens on the loopback addresses and counts. The control shows that it would be asked: the same browser, given the same
vectors as raw HTML without our defences, does ask.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from optical_memory.pages.page import PageStyle
from optical_memory.renderers.chromium.browser import Engine, TabLost
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.chromium.stylesheet import document
from optical_memory.renderers.geometry import Canvas
from optical_memory.turns.exchanges import exchanges_of
from optical_memory.turns.turn import ImageContent, TextContent, ToolCall, ToolResultContent, Turn
from tests.sampling import mostly_slow

pytest.importorskip("playwright", reason="the chromium extra is not installed")
pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")

STYLE = PageStyle(scale=1.0)


class ServerOfSix(ThreadingHTTPServer):
    """On IPv6 alone, so that it can share a port with a server on IPv4."""

    address_family = socket.AF_INET6


def _has_ipv6() -> bool:
    """Whether this machine has ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = _has_ipv6()


class Listener:
    """A web server that remembers every path it was asked for, on 127.0.0.1 and, where the machine has it, on ::1."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        asked = self.paths

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.end_headers()

            do_POST = do_HEAD = do_OPTIONS = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the console."""

        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler)]
        self.port = self._servers[0].server_port
        if HAS_IPV6:
            self._servers.append(ServerOfSix(("::1", self.port), Handler))
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def bases(self) -> list[str]:
        """Its addresses, each of which is answered."""
        hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", *(["[::1]"] if HAS_IPV6 else [])]
        return [f"http://{host}:{self.port}" for host in hosts]

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()


def vectors(base: str) -> list[str]:
    """Markup and Markdown that would fetch something, run something or navigate, if it were taken for what it says."""
    return [*_elements(f"{base}/hit"), *_styles_and_media(f"{base}/hit"), *_scripts(f"{base}/hit"), *_escapes(f"{base}/hit")]


def _elements(u: str) -> list[str]:
    svg = base64.b64encode(f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{u}/svgdata"/></svg>'.encode()).decode()
    return [
        f'<img src="{u}/img">',
        f'<img srcset="{u}/srcset 1x">',
        f'<picture><source srcset="{u}/source"><img></picture>',
        f"<img src=x onerror=\"fetch('{u}/onerror')\">",
        f'<link rel="stylesheet" href="{u}/css">',
        f'<link rel="prefetch" href="{u}/prefetch"><link rel="preload" as="image" href="{u}/preload">',
        f'<link rel="dns-prefetch" href="{u}"><link rel="preconnect" href="{u}">',
        f'<link rel="icon" href="{u}/icon">',
        f'<link rel="manifest" href="{u}/manifest"><link rel="modulepreload" href="{u}/module">',
        f'<meta http-equiv="refresh" content="0;url={u}/refresh">',
        f'<iframe src="{u}/iframe"></iframe>',
        f'<iframe srcdoc="<img src={u}/srcdoc>"></iframe>',
        f'<object data="{u}/object"></object>',
        f'<embed src="{u}/embed">',
        f'<frameset><frame src="{u}/frame"></frameset>',
        f'<portal src="{u}/portal"></portal><fencedframe src="{u}/fenced"></fencedframe>',
        f'<svg><image href="{u}/svgimage"/></svg>',
        f'<svg><use href="{u}/use#a"/></svg>',
        f'<svg><style>@import "{u}/svgstyle";</style></svg>',
        f'<svg><foreignObject><img src="{u}/foreign"></foreignObject></svg>',
        f'<svg><script href="{u}/svgscript"></script></svg>',
        f'<svg><feImage href="{u}/feimage"/></svg>',
        f'<img src="data:image/svg+xml;base64,{svg}">',
    ]


def _styles_and_media(u: str) -> list[str]:
    return [
        f'<style>@import url("{u}/import");</style>',
        f"<style>body{{background:url({u}/background)}}</style>",
        f"<style>@font-face{{font-family:x;src:url({u}/font)}} *{{font-family:x}}</style>",
        f'<div style="background-image:url({u}/inline)">x</div>',
        f'<div style="list-style:url({u}/list);display:list-item;border-image:url({u}/border) 1">x</div>',
        f"<style>body::before{{content:url({u}/content)}}</style>",
        f"<style>html{{cursor:url({u}/cursor),auto;mask:url({u}/mask);filter:url({u}/filter#f)}}</style>",
        f'<video src="{u}/video" poster="{u}/poster" autoplay></video>',
        f'<audio src="{u}/audio" autoplay></audio><video><track src="{u}/track" default></video>',
        f'<form action="{u}/form"><input type="image" src="{u}/inputimage"></form><script>document.forms[0].submit()</script>',
        f'<base href="{u}/base/"><img src="relative">',
        f'<body background="{u}/bodyback">',
        f'<table background="{u}/tableback"><tr><td background="{u}/cellback">x</table>',
    ]


def _scripts(u: str) -> list[str]:
    return [
        f'<script src="{u}/script"></script>',
        f'<script>new WebSocket("{u.replace("http:", "ws:")}/ws")</script>',
        f'<script>navigator.sendBeacon("{u}/beacon"); new Image().src="{u}/newimage"; fetch("{u}/fetch")</script>',
        f'<script>location="{u}/location"</script>',
        f'<a href="{u}/ping" ping="{u}/ping2">a</a><a href="javascript:fetch(\'{u}/js\')">b</a>',
        f"<details open ontoggle=\"fetch('{u}/toggle')\">x</details><input autofocus onfocus=\"fetch('{u}/focus')\">",
        f'<math><maction actiontype="statusline" href="{u}/maction"><mi href="{u}/mihref">x</mi></maction></math>',
        f'<noscript><img src="{u}/noscript"></noscript><template><img src="{u}/template"></template>',
    ]


def _escapes(u: str) -> list[str]:
    """Ways out of the element, attribute, fence or formula that a text stands in."""
    return [
        f'</pre></article></section></div></body><img src="{u}/breakout">',
        f'"><img src="{u}/attribute"> \'><img src="{u}/single">',
        f'--><img src="{u}/comment"> ]]><img src="{u}/cdata"> </style></title></textarea><img src="{u}/rawtext">',
        f"![alt]({u}/markdown) ![ref][r]\n\n[r]: {u}/reference",
        f"[link](javascript:fetch('{u}/mdjs')) <{u}/autolink> [x]({u}/link \"title\" )",
        f"![a\"onerror=\"fetch('{u}/altattr')]({u}/alt)",
        f"$\\href{{{u}/texhref}}{{x}} \\url{{{u}/texurl}}$",
        f'$\\class{{x" style="background:url({u}/texclass)}}{{y}} \\style{{background:url({u}/texstyle)}}{{z}}$',
        f"$$\\text{{<img src={u}/textext>}} \\includegraphics{{{u}/texgraphics}} \\unicode{{x3c}}img$$",
        f'```html\n<img src="{u}/fence">\n```\n```python\nx = "<img src={u}/pygments>" # </pre><img src={u}/pygments2>\n```',
        f'```"><img src={u}/language>\ncode\n```',
        f'| <img src="{u}/cell"> | b |\n|---|---|\n| <iframe src="{u}/cell2"> | c |',
        f"- [ ] <img src={u}/task>\n> <img src={u}/quote>\n# <img src={u}/heading>",
        f"&lt;img src={u}/entity&gt; &#60;img src={u}/numeric&#62;",
        f'<xml:namespace ns=\'{u}/ns\'/><?xml-stylesheet href="{u}/xmlstyle"?><!DOCTYPE x SYSTEM "{u}/dtd">',
    ]


def turns_with(texts: list[str]) -> list[Turn]:
    """Each text in every place where a conversation can carry one."""
    turns: list[Turn] = []
    for text in texts:
        data = base64.b64encode(text.encode()).decode()
        call = ToolCall(id="c", name=text[:200], arguments=json.dumps({"html": text}))
        turns += [
            Turn(role="user", content=text, name=text[:60]),
            Turn(role="assistant", content=(TextContent(text=text), ImageContent(url=text)), tool_calls=(call,)),
            Turn(role="tool", content=text, tool_call_id="c", name=text),
            Turn(role="user", content=(ToolResultContent(tool_call_id="c", content=text), ImageContent(media_type=text, data=data))),
        ]
    return [turn.model_copy(update={"number": number}) for number, turn in enumerate(turns, start=1)]


def test_enough_vectors() -> None:
    assert len(vectors("http://127.0.0.1:1")) >= 40


def test_no_vector_reaches_a_server(listener: Listener) -> None:
    from optical_memory.renderers.chromium.renderer import ChromiumRenderer

    texts = [vector for base in listener.bases() for vector in vectors(base)]
    pages = ChromiumRenderer().render(exchanges_of(turns_with(texts)), STYLE)
    assert {segment.turn for page in pages for segment in page.segments} == set(range(1, 4 * len(texts) + 1))
    assert listener.paths == []


@pytest.mark.parametrize("policy", mostly_slow([True, False], quick=[True]), ids=["with the page's policy", "without it"])
def test_the_layers_hold_without_the_escaping(listener: Listener, policy: bool) -> None:
    """Raw HTML in the page that we draw on: what stands behind the escaping, and behind the content policy."""
    canvas = Canvas(STYLE)
    page = document(canvas) if policy else re.sub("<meta http-equiv[^>]*>", "", document(canvas))
    engine = Engine(None)
    lost: list[str] = []

    async def load(engine: Engine) -> None:
        session = await engine.session()
        for vector in (vector for base in listener.bases() for vector in vectors(base)):
            try:
                async with session.tab() as tab:
                    await tab.prepare(page, canvas.page_size, 3)
                    await tab.call("load", [[vector], [], []], False)
                    await tab.call("show", [[0, 100], None, None])
            except TabLost:  # it went elsewhere, to an error page
                lost.append(vector)
        await asyncio.sleep(0.5)

    engine.run(load)
    engine.stop()
    assert listener.paths == []
    assert len(lost) <= 2 * len(listener.bases()), lost


def test_control_the_same_vectors_reach_the_server_without_defences(listener: Listener) -> None:
    from playwright.sync_api import sync_playwright

    found = find_browser()
    assert found
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.path, chromium_sandbox=False)
        page = browser.new_page()
        staying = [vector for vector in vectors(listener.bases()[0]) if not re.search("refresh|location|submit", vector)]
        wanted = {"img", "css", "iframe", "svgimage", "import", "background", "video", "fetch"}
        wanted |= {f"address{at}" for at, _ in enumerate(listener.bases())}
        for pause in (0, 50, 200, 800):  # on a busy machine a vector may be replaced before its request has begun
            for vector in staying:
                page.set_content(vector, wait_until="commit")
                page.wait_for_timeout(pause)
            page.set_content("".join(f'<img src="{base}/hit/address{at}">' for at, base in enumerate(listener.bases())))
            page.wait_for_timeout(300 + pause)
            asked = {path.removeprefix("/hit/") for path in listener.paths}
            if wanted <= asked:
                break
        browser.close()
    assert wanted <= asked, asked

"""Secrets are masked wherever they are drawn, and nowhere in the store unless they are to be kept."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory import OpticalMemory, PageStyle, WaterMarks
from optical_memory.adapters.settings import AdapterSettings
from optical_memory.context.messages.openai_anthropic import to_openai
from optical_memory.errors import OpticalMemoryError, UnknownName
from optical_memory.memory.message_list import MessageListMemory
from optical_memory.pages.page import drawn_form
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.registry import profile_of
from optical_memory.renderers import open_renderer
from optical_memory.renderers.base import RenderedPage
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.stores import open_store
from optical_memory.turns.exchanges import Exchange
from optical_memory.turns.redaction import Redactor, Secrets, redacted_turn, redactor_of
from optical_memory.turns.turn import ReasoningContent, TextContent, ToolCall, Turn
from tests.planted import ANNOUNCED, LIBRARY_TOKENS, PRIVATE_KEYS, TOKENS
from tests.sampling import examples
from tests.support import RuledRenderer

MARKS = WaterMarks(high=300, low=60)
BUILT_IN = Secrets(detector=None)
ALL = {**TOKENS, **PRIVATE_KEYS}


def planted(kind: str, seed: int = 1) -> str:
    return ALL[kind](random.Random(seed))


def telling(secret: str) -> str:
    """A part of a secret that no mask holds: of a private key its third line."""
    return secret.split("\n")[2] if "\n" in secret else secret[-12:]


# -- texts ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("form", ["Here: {}, keep it.", 'client = Client("{}")\n', "| key | {} |", "{}", "(`{}`)"])
def test_every_kind_is_masked(kind: str, form: str) -> None:
    for seed in range(20):
        secret = planted(kind, seed)
        masked = BUILT_IN.redact(form.format(secret))
        assert telling(secret) not in masked
        assert re.fullmatch(re.escape(form).replace(r"\{\}", r"\[redacted:[a-z-]+\]"), masked), masked


@pytest.mark.parametrize("kind", ALL)
def test_secrets_inside_json_are_masked_and_it_stays_json(kind: str) -> None:
    text = json.dumps({"a": 1, "value": planted(kind), "nested": json.dumps({"value": planted(kind)})})
    masked = BUILT_IN.redact(text)
    assert telling(planted(kind)) not in masked
    assert json.loads(masked)["a"] == 1


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("gap", ["\n", " \\\n    ", "\r\n"])
def test_a_token_over_two_lines_is_masked(kind: str, gap: str) -> None:
    secret = planted(kind)
    cut = len(secret) * 2 // 3
    masked = BUILT_IN.redact(f"see {secret[:cut]}{gap}{secret[cut:]} there")
    assert telling(secret) not in masked and secret[:cut] not in masked
    assert masked.startswith("see [redacted:") and masked.endswith(" there")


@pytest.mark.parametrize("kind", ANNOUNCED)
def test_what_a_name_announces_is_masked(kind: str) -> None:
    masked = BUILT_IN.redact(ANNOUNCED[kind].format("pR4x9wQ2mz7tLk8vBn3s"))
    assert "pR4x" not in masked and "Bn3s" not in masked and "[redacted:" in masked


@pytest.mark.parametrize("kind", LIBRARY_TOKENS)
def test_the_library_adds_formats(kind: str) -> None:
    pytest.importorskip("detect_secrets", reason="needs the extra redaction")
    secret = LIBRARY_TOKENS[kind](random.Random(1))
    assert secret in BUILT_IN.redact(f"see {secret} there")
    assert re.fullmatch(r"see \[redacted:[a-z-]+\] there", Secrets().redact(f"see {secret} there"))


def test_a_private_key_cut_off_is_masked_as_far_as_it_goes() -> None:
    key = planted("RSA ")
    lines = key.split("\n")
    masked = BUILT_IN.redact("\n".join([*lines[:6], "... and so on"]))
    assert masked == "[redacted:private-key]\n... and so on"


@pytest.mark.parametrize(
    "text",
    [
        "order #W2378156, item 4202497723, user mia_li_3668, payment credit_card_4421486, flight HAT136",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8 and sha256:" + hashlib.sha256(b"x").hexdigest(),
        "123e4567-e89b-12d3-a456-426614174000 at /usr/lib/python3.11/site-packages/task-d41d8cd98f00b204e9800998ecf8427e.py",
        "data:image/png;base64," + base64.b64encode(random.Random(3).randbytes(30_000)).decode(),
        "max_tokens=4096, tokenizer: bpe, token = next(tokens), password: str, secret = os.environ['X'], api_key=settings.api.key2",
        "https://example.com:8080/a@b?page=2 and git@github.com:owner/repo.git and postgres://user:${PASSWORD}@host",
        "password: https://reset.example.com/a1b2c3d4",
        "docker run -u 1000:1000 image; the password is required",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Secrets(detector=None).redact(text) is text


def test_conversations_keep_their_words() -> None:
    masked = []
    for path in sorted((Path(__file__).parents[1] / "data").glob("*.json")):
        for message in json.loads(path.read_text("utf-8"))["messages"]:
            text = json.dumps(message, ensure_ascii=False)
            masked += [text] if BUILT_IN.redact(text) != text else []
    assert all("password-reset/token=" in text for text in masked)  # these are credentials


@settings(max_examples=examples(150), deadline=None)
@given(st.text(), st.sampled_from(sorted(ALL)), st.text(), st.integers(0, 50))
def test_a_secret_is_masked_whatever_stands_around(before: str, kind: str, after: str, seed: int) -> None:
    secret = planted(kind, seed)
    glued = kind in ("telegram", "openai, old")
    masked = BUILT_IN.redact(f"{before}{' ' if glued else ''}{secret}{after}")
    assert telling(secret) not in masked
    assert BUILT_IN.redact(masked) == masked


@settings(max_examples=examples(150), deadline=None)
@given(
    st.lists(
        st.sampled_from([*"ab1 \n\\\"'@:/=-", "password", "token", "://", "sk-", "eyJ", "ghp_", "Bearer ", "[redacted:a]"]), max_size=60
    )
)
def test_redacting_again_changes_nothing(pieces: list[str]) -> None:
    once = BUILT_IN.redact("".join(pieces))
    assert BUILT_IN.redact(once) == once


@pytest.mark.parametrize(
    "piece",
    ["eyJ", "sk-", "://a:", 'password="', "token:\t ", "xoxb-1-", "-----BEGIN PRIVATE KEY-----\n", "AKIA", "a\n", "ghp_\n", " ", "\\", "1"],
)
def test_hostile_text_takes_bounded_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    started = time.perf_counter()
    Secrets().redact(text)
    assert time.perf_counter() - started < 10


# -- patterns and redactors ----------------------------------------------------------------------------------------------------------


def test_patterns_of_your_own() -> None:
    secrets = Secrets([r"PRJ-\d{4}", re.compile("mango", re.IGNORECASE)], detector=None)
    assert secrets.redact("PRJ-1234 is Mango") == "[redacted:pattern] is [redacted:pattern]"
    assert secrets.fingerprint != BUILT_IN.fingerprint == Secrets(detector=None).fingerprint


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match=r"'\(\[' is no regular expression"):
        Secrets(["(["])
    with pytest.raises(ValueError, match=r"'a\*' matches the empty string"):
        Secrets(["a*"])
    with pytest.raises(TypeError, match="list of regular expressions"):
        Secrets("abc")
    with pytest.raises(UnknownName, match="detect-secrets"):
        Secrets(detector="other")
    with pytest.raises(TypeError, match="redact is True"):
        OpticalMemory(store="memory://", redact="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="redact is True"):
        AdapterSettings(redact=7)  # type: ignore[arg-type]
    assert redactor_of(None) is redactor_of(False) is None
    assert isinstance(BUILT_IN, Redactor) and redactor_of(BUILT_IN) is BUILT_IN


# -- turns ---------------------------------------------------------------------------------------------------------------------------


def test_every_field_of_a_turn_is_masked() -> None:
    token = planted("github")
    turn = Turn(
        id="m1",
        role="assistant",
        name=token,
        content=(TextContent(text=f"a {token}", citations=[token]), ReasoningContent(block={"thinking": token, "signature": "x"})),
        tool_calls=(ToolCall(id="c", name=token, arguments=json.dumps({"deep": [{"password": "hunter"}], "t": token})),),
        metadata={"raw": json.dumps({"t": token}), token: 1, "password": "swordfish"},
        extra={"x": [token]},
    )
    masked = redacted_turn(turn, BUILT_IN)
    assert (
        token not in masked.model_dump_json() and "hunter" not in masked.model_dump_json() and "swordfish" not in masked.model_dump_json()
    )
    assert json.loads(masked.tool_calls[0].arguments)["deep"] == [{"password": "[redacted:password]"}]
    assert (masked.id, masked.tool_calls[0].id, len(masked.parts)) == ("m1", "c", 1)
    assert redacted_turn(masked, BUILT_IN) == masked
    plain = Turn(role="user", content="hello", metadata={"a": [1, None]})
    assert redacted_turn(plain, BUILT_IN) is plain


@settings(max_examples=examples(100), deadline=None)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8),
    st.sampled_from(sorted(ALL)),
    st.sampled_from([BUILT_IN, Secrets(['"[^"]*"'], detector=None), Secrets([r"\d+", "[{}]"], detector=None)]),
)
def test_arguments_stay_json(value: Any, kind: str, secrets: Secrets) -> None:
    arguments = json.dumps({"value": value, "key": planted(kind)})
    masked = redacted_turn(Turn(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments=arguments),)), secrets)
    json.loads(masked.tool_calls[0].arguments)
    assert telling(planted(kind)) not in masked.tool_calls[0].arguments


# -- the memory ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Watching(RuledRenderer):
    """A renderer that keeps what it was told to draw."""

    drawn: list[str] = field(default_factory=list)

    def render(self, exchanges: Sequence[Exchange], style: PageStyle, *, seal_last: bool = True) -> list[RenderedPage]:
        turns = [turn for exchange in exchanges for unit in exchange for turn in unit]
        self.drawn.append(json.dumps([drawn_form(turn) for turn in turns], ensure_ascii=False))
        return super().render(exchanges, style, seal_last=seal_last)


def conversation() -> tuple[list[dict[str, Any]], list[str]]:
    """Messages in which each kind stands once as text, once in a call and once in a result, with others after them."""
    messages: list[dict[str, Any]] = []
    for place, kind in enumerate(ALL):
        secret = planted(kind)
        messages += [
            {"role": "user", "content": f"Case {place}: use {secret} for it. " + "And some more words about it. " * 6},
            {"role": "assistant", "tool_calls": [{"id": f"c{place}", "name": "run", "arguments": json.dumps({"key": secret})}]},
            {"role": "tool", "tool_call_id": f"c{place}", "content": f"url = https://bob:pw{place}9secret@host{place}\nkey={secret}"},
            {"role": "assistant", "content": "Done."},
        ]
    messages += [{"role": "user" if n % 2 else "assistant", "content": f"later {n} " * 20} for n in range(8)]
    return messages, [telling(planted(kind)) for kind in ALL] + [f"pw{place}9secret" for place in range(len(ALL))]


@pytest.mark.parametrize("keep", [False, True])
def test_no_secret_reaches_pages_plans_or_the_store(tmp_path: Path, keep: bool) -> None:
    messages, secrets = conversation()
    renderer = Watching(rows=900)
    with OpticalMemory(
        "s", store=f"sqlite:///{tmp_path}/m.db", renderer=renderer, marks=MARKS, redact=BUILT_IN, keep_secrets_in_log=keep
    ) as memory:
        memory.extend(messages)
        context = memory.context()
        shown = "".join(part.text for part in context.pages) + context.plan.model_dump_json() + context.framing
        shown += repr([(page.sidecar, page.key) for page in memory.pages()]) + "".join(renderer.drawn)
        assert context.pages and "[redacted:" in "".join(renderer.drawn)
        assert [secret for secret in secrets if json.dumps(secret)[1:-1] in shown] == []
        first = memory.recall(1)[0].text
        assert (planted("aws") in first) is keep
        assert bool(memory.recall(planted("github"), limit=1) and planted("github") in memory.recall(planted("github"), 1)[0].text) is keep
        if not keep:
            assert [secret for secret in secrets if secret in json.dumps(to_openai(context))] == []
    found = [secret for secret in secrets for path in tmp_path.iterdir() if secret.encode() in path.read_bytes()]
    assert bool(found) is keep


def test_without_a_redactor_nothing_changes(tmp_path: Path) -> None:
    plain, masking = (ViewSettings.of(profile_of("deepseek-ocr"), redact=each).basis("estimate") for each in (None, BUILT_IN))
    assert masking == f"{plain} secrets {BUILT_IN.fingerprint}"
    url = f"sqlite:///{tmp_path}/m.db"
    keys = []
    for redact in (None, False, BUILT_IN, Secrets(["x{3}"], detector=None), None):
        with OpticalMemory("s", store=url, renderer=RuledRenderer(rows=900), marks=MARKS, redact=redact) as memory:
            memory.extend([{"role": "user", "id": str(n), "content": f"turn {n} says nothing secret. " * 8} for n in range(30)])
            assert memory.context().pages
            keys.append([page.key for page in memory.pages()])
    assert keys[0] == keys[1] == keys[4]
    assert not set(keys[0]) & set(keys[2]) and not set(keys[2]) & set(keys[3])


def test_keys_of_pages_are_what_they_were() -> None:
    with OpticalMemory("s", store="memory://", renderer=RuledRenderer(rows=900), marks=MARKS) as memory:
        memory.extend([{"role": "user", "id": str(n), "content": f"turn {n} " * 30} for n in range(12)])
        assert memory.context().pages
        assert memory.pages()[0].key == KNOWN_KEY


KNOWN_KEY = "b49279dd90c2407c10f7055c610444b9-0"  # of release 0.1.0


def test_pages_are_drawn_again_masked() -> None:
    messages, _ = conversation()
    store = open_store("memory://")
    with OpticalMemory(
        "s", store=store, renderer=RuledRenderer(rows=900), marks=MARKS, redact=BUILT_IN, keep_secrets_in_log=True
    ) as memory:
        memory.extend(messages)
        assert memory.context().pages
        before = {page.key: page.image("large") for page in memory.pages()}
        store.discard(memory.session, store.names(memory.session, "picture/"))
    with OpticalMemory("s", store=store, renderer=RuledRenderer(rows=900), marks=MARKS, redact=BUILT_IN, keep_secrets_in_log=True) as again:
        assert {page.key: page.image("large") for page in again.pages()} == before


class Failing:
    name, fingerprint = "failing", "1"

    def redact(self, text: str) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_redacted_is_not_drawn() -> None:
    renderer = Watching(rows=900)
    with OpticalMemory("s", store="memory://", renderer=renderer, marks=MARKS, redact=Failing(), keep_secrets_in_log=True) as memory:
        memory.extend([("user", "words " * 60)] * 10)
        with pytest.warns(RuntimeWarning, match=r"the redactor .failing. failed: RuntimeError"):
            context = memory.context()
        assert not context.pages and not renderer.drawn and memory.stats().render_failures
    with OpticalMemory("s", store="memory://", redact=Failing()) as memory:
        with pytest.raises(OpticalMemoryError, match=r"the redactor .failing. failed: RuntimeError"):
            memory.append(("user", "words"))
        assert len(memory) == 0


def test_adapters_mask_pages_and_leave_recent_messages() -> None:
    messages, secrets = conversation()
    renderer = Watching(rows=900)
    settings = AdapterSettings(renderer=renderer, marks=MARKS, redact=BUILT_IN).for_reader(profile_of("deepseek-ocr"))
    memory = MessageListMemory(settings, open_store("memory://"), key=lambda message: json.dumps(message), turn=lambda message: message)
    last = {"role": "user", "content": f"now {planted('github')}"}
    shown = memory.context([*messages, last])
    drawn = "".join(renderer.drawn) + "".join(part.text for part in shown.context.pages) + json.dumps(shown.state)
    assert shown.context.pages and [secret for secret in secrets if secret in drawn] == []
    assert shown.context.turns[-1].text == last["content"]


def renderers() -> list[str]:
    return ["pillow", "chromium"]


@pytest.mark.parametrize("name", renderers())
def test_a_drawn_page_read_by_an_ocr_engine_shows_the_mark(name: str, tmp_path: Path) -> None:
    if name == "chromium" and find_browser() is None:
        pytest.skip("no browser on this machine")
    if name == "chromium":
        pytest.importorskip("playwright", reason="needs the extra chromium")
    secret = planted("github")
    turn = Turn(number=1, id="1", role="user", content=f"My key is\n\n{secret}\n\nand that is all.")
    style = PageStyle(columns=1, font_size=28)
    pages = open_renderer(name).render([((redacted_turn(turn, BUILT_IN),),)], style)
    assert pages[0].png != open_renderer(name).render([((turn,),)], style)[0].png
    if shutil.which("tesseract") is None:
        pytest.skip("drawn, but there is no tesseract to read it")
    (tmp_path / "page.png").write_bytes(pages[0].png)
    command = ["tesseract", str(tmp_path / "page.png"), "-", "--psm", "6"]
    read = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/bin:/bin:/usr/local/bin"}
    )
    assert "redacted" in read.stdout and secret[4:16] not in read.stdout

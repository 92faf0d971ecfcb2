"""The command line, run as a user runs it: in a process of its own, with a store on disk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from optical_memory.pages.tiers import Tier
from tests.commands import run_command

CHAT = [
    {"role": "user", "content": "My train to Lyon is the 7:40, booking **QX-77419**."},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"code":"QX-77419"}'}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"platform": 9}'},
    {"role": "assistant", "content": "Platform 9."},
]


class Shell:
    """Runs `optical-memory` against a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = f"sqlite:///{folder / 'memory.sqlite3'}"
        self.extra: dict[str, str] = {}

    def __call__(self, *arguments: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {"OPTICAL_MEMORY_STORE": self.store, **self.extra}
        done = run_command(*arguments, cwd=self.folder, env=environment, stdin=stdin, without="OPTICAL_MEMORY_")
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, stdin: str = "") -> Any:
        return json.loads(self(*arguments, "--json", stdin=stdin).stdout)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, "utf-8")
        return name


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store into which the chat was imported."""
    folder = tmp_path_factory.mktemp("imported")
    Shell(folder)("import", "-", stdin=json.dumps(CHAT))
    return folder / "memory.sqlite3"


@pytest.fixture
def filled(shell: Shell, imported: Path) -> Shell:
    shutil.copy(imported, shell.folder)
    return shell


def test_append_says_the_number_and_show_gives_the_words_back(shell: Shell) -> None:
    assert shell("append", "Bonjour, ça va ? 你好 🙂").stdout == "#1\n"
    assert shell("append", "-", "--role", "assistant", stdin="line one\nline two").stdout == "#2\n"
    assert "Bonjour, ça va ? 你好 🙂" in shell("show", "#1").stdout
    assert shell.json("show", "t2")["content"] == "line one\nline two"


def test_append_with_a_known_id_changes_nothing(shell: Shell) -> None:
    assert shell("append", "one", "--id", "a").stdout == shell("append", "two", "--id", "a").stdout
    assert shell.json("show", "#1")["content"] == "one"


def test_import_twice_adds_nothing(filled: Shell) -> None:
    again = filled.json("import", "-", stdin=json.dumps(CHAT))
    assert again == {"session": "default", "new": 0, "known": 4, "last": 4}


def test_import_of_a_longer_export_adds_the_rest(filled: Shell) -> None:
    lines = "\n".join(json.dumps(message) for message in [*CHAT, {"role": "user", "content": "Thanks."}])
    assert filled.json("import", filled.write("chat.jsonl", lines))["new"] == 1
    assert filled.json("show", "#5")["content"] == "Thanks."


@pytest.mark.parametrize(
    "wrong",
    [{"role": "robot", "content": "x"}, {"role": "tool", "tool_call_id": "never", "content": "x"}, {"role": "user", "content": 3}],
    ids=["role", "call", "content"],
)
def test_import_is_all_or_nothing(shell: Shell, wrong: dict[str, Any]) -> None:
    done = shell("import", "-", stdin=json.dumps([*CHAT, wrong]), code=2)
    assert done.stderr.startswith("optical-memory: ")
    assert "message 5" in done.stderr
    assert done.stderr.count("\n") == 1
    assert shell.json("sessions") == []


def test_import_of_nothing_says_where_the_session_stands(filled: Shell) -> None:
    assert filled.json("import", "-", stdin="[]") == {"session": "default", "new": 0, "known": 0, "last": 4}


def test_the_version_is_the_package_s(shell: Shell) -> None:
    assert shell("--version").stdout == f"optical-memory {version('optical-memory')}\n"


def test_recall_everywhere_names_the_session(filled: Shell) -> None:
    (found, *_) = filled.json("recall", "--everywhere", "train to Lyon")
    assert (found["session"], found["number"]) == ("default", 1)
    assert filled("recall", "--everywhere", "train to Lyon").stdout.startswith(f"== {found['session']}\n")
    assert "zeppelin" in filled("recall", "--everywhere", "zeppelin", code=3).stderr


def test_recall_by_words_by_code_and_by_number(filled: Shell) -> None:
    assert filled.json("recall", "train to Lyon")[0]["number"] == 1
    assert filled.json("recall", "QX-77419")
    assert [turn["number"] for turn in filled.json("recall", "3", "#1")] == [3, 1]


def test_context_in_every_format(filled: Shell) -> None:
    text = filled("context")
    assert "QX-77419" in text.stdout
    assert "tokens as text" in text.stderr
    openai = json.loads(filled("context", "--format", "openai").stdout)
    assert [message["role"] for message in openai][-4:] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(filled("context", "--format", "anthropic").stdout)
    gemini = json.loads(filled("context", "--format", "gemini").stdout)
    assert gemini[-1]["role"] == "model" and "function_call" in json.dumps(gemini)
    whole = json.loads(filled("context", "--format", "json").stdout)
    assert filled.json("context") == whole
    assert whole["usage"]["prompt_tokens"] <= whole["usage"]["text_tokens"]


def test_a_report_of_any_session_is_a_small_file(shell: Shell) -> None:
    long = [{"role": "user" if n % 2 else "assistant", "content": f"Turn {n} about trains. " * 60} for n in range(1, 61)]
    shell("import", shell.write("long.json", json.dumps(long)), "--session", "long")
    done = shell("report", "--session", "long", "--renderer", "pillow", "--budget", "6000", "--out", "some.html")
    html = (shell.folder / "some.html").read_text("utf-8")
    assert done.stdout.strip() == "some.html" and "The session long" in html
    assert html.count('class="opened"') >= 2 and len(html) < 2_000_000
    shell("report", "--session", "long", "--renderer", "pillow", "--budget", "6000", "--out", "all.html", "--sealed")
    assert (shell.folder / "all.html").stat().st_size > len(html)
    shell("report", "--session", "none", code=3)


def test_sessions_and_tenants_are_apart(shell: Shell) -> None:
    shell("append", "x", "--session", "alice")
    shell("append", "y", "--session", "alice", "--tenant", "acme")
    assert [(info["id"], info["turns"]) for info in shell.json("sessions")] == [({"name": "alice", "tenant": ""}, 1)]
    assert shell.json("show", "#1", "--session", "alice", "--tenant", "acme")["content"] == "y"


def test_erase_asks_first_and_then_removes(filled: Shell) -> None:
    filled("erase", "--turns", "1", stdin="n\n", code=1)
    assert filled.json("show", "#1")
    assert filled.json("erase", "--turns", "1-3", "--yes")["turns"] == [1, 2, 3]
    filled("show", "#1", code=3)
    filled("erase", "--all", stdin="y\n")
    assert filled.json("sessions") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "#9"), 3, "#9"),
        (("show", "p1"), 3, "no page 1"),
        (("show", "x"), 2, "'x' is neither a page"),
        (("recall", "zeppelin"), 3, "zeppelin"),
        (("recall", "77"), 3, "#77"),
        (("context", "--session", "nobody"), 3, "no session 'nobody'"),
        (("context", "--format", "xml"), 2, "'xml'"),
        (("context", "--budget", "1"), 2, "budget of 1"),
        (("context", "--reader", "crystal-ball"), 2, "crystal-ball"),
        (("erase", "--yes"), 2, "--all"),
        (("erase", "--turns", "1-x", "--yes"), 2, "'1-x'"),
        (("erase", "--turns", "3-1", "--yes"), 2, "'3-1'"),
        (("erase", "--turns", "1-99999999999", "--yes"), 2, "more than 1,000,000 turns; --all erases"),
        (("erase", "--turns", "9" * 5000, "--yes"), 2, "18 digits at most"),
        (("show", "9" * 5000), 2, "18 digits at most"),
        (("import", "absent.json"), 3, "no file 'absent.json'"),
        (("import", "."), 2, "holds no file whose name ends in"),
        (("sessions", "--store", "ftp://x"), 2, "ftp"),
        (("sessions", "--store", "redis://127.0.0.1:1/0"), 1, "127.0.0.1:1"),
        (("append", "x", "--role", "robot"), 2, "'robot'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_errors_are_one_clear_line_with_their_exit_code(filled: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = filled(*arguments, code=code)
    assert said in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_usage_errors_leave_with_2(shell: Shell) -> None:
    shell("fly", code=2)
    shell("append", code=2)


def test_a_turn_cannot_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from optical_memory.cli.output import printable

    hostile = "\x1b]0;title\x07\x9b31mred\tand\nmore \u202edetrever"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert printable(hostile) == "␛]0;title␇�31mred\tand\nmore ‹U+202E›detrever"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert printable(hostile) == hostile


def test_pages_tell_what_a_verifier_found(shell: Shell) -> None:
    shell.write("long.json", json.dumps([{"role": "user" if n % 2 else "assistant", "content": f"word {n} " * 150} for n in range(60)]))
    shell("import", "long.json")
    shell("context", "--renderer", "pillow")
    assert all(page["verified"] == [] for page in shell.json("pages", "--renderer", "pillow"))
    assert "verified" not in shell("pages", "--renderer", "pillow").stdout
    shell("context", "--renderer", "pillow", "--verify", "density")
    shown = json.loads(shell("context", "--renderer", "pillow", "--verify", "density", "--json").stdout)["plan"]["items"]
    found = {
        page["key"]: {each["tier"]: each["passed"] for each in page["verified"]} for page in shell.json("pages", "--renderer", "pillow")
    }
    assert all(found.values())
    tiers = {item["key"]: Tier(item["tier"]).label for item in shown if item["kind"] == "page"}
    assert tiers and all(found[key][tier] for key, tier in tiers.items())
    assert "density: " in shell("pages", "--renderer", "pillow").stdout
    assert "unknown verifier 'eyes'" in shell("context", "--verify", "eyes", code=2).stderr


def test_pages_are_listed_saved_and_shown(shell: Shell) -> None:
    pytest.importorskip("PIL", reason="needs Pillow")
    chat = [
        {"role": role, "content": f"Word {place}. " + "The quick brown fox jumps over the lazy dog. " * 40}
        for place in range(20)
        for role in ("user", "assistant")
    ]
    shell("import", "-", stdin=json.dumps(chat))
    usage = json.loads(shell("context", "--renderer", "pillow", "--format", "json", "--save-pages", "given").stdout)["usage"]
    pages = shell.json("pages", "--renderer", "pillow", "--save", "all", "--tier", "small")
    assert pages
    assert len(list((shell.folder / "given").glob("*.png"))) == sum(usage["pages_by_tier"].values()) > 0
    assert len(list((shell.folder / "all").glob("page-*-small.png"))) == len(pages)
    assert "turns #1 to" in shell("show", "1", "--renderer", "pillow", "--save", "one.png").stdout
    assert (shell.folder / "one.png").read_bytes().startswith(b"\x89PNG")


def test_pages_draws_what_contexts_left_out(shell: Shell) -> None:
    chat = [{"role": ("user", "assistant")[n % 2], "content": f"Word {n}. " + "The quick brown fox jumps. " * 60} for n in range(120)]
    shell("import", "-", stdin=json.dumps(chat))
    shell("context", "--renderer", "pillow", "--budget", "3000")
    some = shell.json("pages", "--renderer", "pillow")
    every = shell.json("pages", "--renderer", "pillow", "--all", "--save", "all", "--tier", "tiny")
    assert 0 < len(some) < len(every) == len(list((shell.folder / "all").glob("page-*-tiny.png")))
    assert some[0]["turns"][0] > every[0]["turns"][0] == 1
    assert {page["key"] for page in some} <= {page["key"] for page in every}
    assert shell.json("pages", "--renderer", "pillow") == every


def test_doctor_says_what_is_there_and_what_to_install(shell: Shell) -> None:
    findings = {finding["topic"]: finding for finding in shell.json("doctor", "--store", "redis://127.0.0.1:1")}
    assert findings["pillow"]["status"] == "ok"
    assert findings["font: Latin"]["status"] == "ok"
    assert findings["redis server"]["status"] == "missing"
    assert findings["redis server"]["advice"]
    assert "font: Chinese" in shell("doctor").stdout


def test_secrets_are_masked_if_asked(shell: Shell) -> None:
    token = "ghp_" + "a1B2" * 9
    shell("append", f"the key is {token}", "--redact")
    assert token not in shell("recall", "1").stdout
    assert token.encode() not in (shell.folder / "memory.sqlite3").read_bytes()
    shell("append", f"the key is {token}")
    shell("export", "--out", "out.jsonl")
    assert "--no-redact" in shell("import", "out.jsonl", "--redact", code=2).stderr

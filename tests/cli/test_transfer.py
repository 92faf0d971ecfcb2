"""The commands that take whole sessions out of a store, back in, and from store to store."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from optical_memory.cli import options
from optical_memory.cli import transfer as transfer_cli
from optical_memory.cli.app import app
from optical_memory.errors import StoreUnavailable
from optical_memory.stores import SessionId, open_store
from optical_memory.turns.turn import Turn


class Shell:
    """Runs the commands in a folder with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store, self.other = f"sqlite:///{folder / 'memory.db'}", f"sqlite:///{folder / 'other.db'}"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env={"OPTICAL_MEMORY_STORE": self.store})

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        done = self.run(*arguments)
        assert done.exit_code == code, f"{arguments}: {done.exit_code}\n{done.output}\n{done.exception!r}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    def say(self, session: str, *texts: str, tenant: str = "", store: str | None = None) -> None:
        with closing(open_store(store or self.store)) as opened:
            opened.append(SessionId(session, tenant), [Turn(id=text, role="user", content=text) for text in texts])
            opened.put(SessionId(session, tenant), {"plan": b"{}"})

    def said(self, session: str, *, tenant: str = "", store: str | None = None) -> list[object]:
        with closing(open_store(store or self.other)) as opened:
            return [turn.content for turn in opened.read(SessionId(session, tenant))]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in ("SESSION", "STORE", "TENANT"):
        monkeypatch.delenv(f"OPTICAL_MEMORY_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


@pytest.fixture
def filled(shell: Shell) -> Shell:
    shell.say("alice", "Bonjour, ça va ? 你好 🙂", "half a pair: \ud83d", "line one\nline two")
    return shell


Restored = Callable[..., Any]


@pytest.fixture
def restored(shell: Shell, capsys: pytest.CaptureFixture[str]) -> Restored:
    """What `restore` says of some bytes."""

    def restore(data: bytes, **options: Any) -> Any:
        capsys.readouterr()
        given: dict[str, Any] = {"store": shell.other, "as_json": True} | options
        transfer_cli.restore(io.BytesIO(data), **given)
        printed = capsys.readouterr().out
        return json.loads(printed) if options.get("as_json", True) else printed

    return restore


def test_an_export_goes_to_standard_output_and_comes_back(filled: Shell, restored: Restored) -> None:
    done = filled("export", "--session", "alice")
    assert [json.loads(line).get("number") for line in done.stdout.splitlines()] == [None, 1, 2, 3, None]
    assert done.stderr == "session 'alice' exported: 5 lines\n"
    assert restored(done.stdout_bytes) == {"session": "alice", "tenant": "", "new": 3, "known": 0, "cached": 0, "last": 3}
    assert filled.said("alice") == filled.said("alice", store=filled.store)
    assert restored(done.stdout_bytes, as_json=False) == "0 new turns, 3 already there; session 'alice' ends at #3\n"


def test_an_export_goes_to_a_file_with_its_pages(filled: Shell, restored: Restored) -> None:
    done = filled("export", "-s", "alice", "--pages", "--out", "alice.jsonl")
    assert done.stdout == ""
    data = (filled.folder / "alice.jsonl").read_bytes()
    assert restored(data, as_json=False) == "3 new turns, 0 already there, 1 cache entry; session 'alice' ends at #3\n"
    assert sorted(path.name for path in filled.folder.glob("alice*")) == ["alice.jsonl"]


def test_a_file_is_only_replaced_by_a_whole_one(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (filled.folder / "alice.jsonl").write_text("the old one")

    def broken(*_: object, **__: object) -> Iterator[str]:
        yield "a line"
        raise StoreUnavailable("gone")

    monkeypatch.setattr("optical_memory.stores.transfer.export_session", broken)
    assert isinstance(filled.run("export", "-s", "alice", "--out", "alice.jsonl").exception, StoreUnavailable)
    assert (filled.folder / "alice.jsonl").read_text() == "the old one"
    assert not list(filled.folder.glob("*.part"))


@pytest.mark.parametrize(
    ("options", "session"),
    [
        ({}, SessionId("alice", "acme")),
        ({"session": "bob"}, SessionId("bob", "acme")),
        ({"tenant": ""}, SessionId("alice", "")),
        ({"session": "", "tenant": "x"}, SessionId("", "x")),
    ],
)
def test_what_is_not_given_is_taken_from_the_file(shell: Shell, restored: Restored, options: dict[str, str], session: SessionId) -> None:
    shell.say("alice", "hello", tenant="acme")
    data = shell("export", "-s", "alice", "--tenant", "acme").stdout_bytes
    counts = restored(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"), **options)
    assert SessionId(counts["session"], counts["tenant"]) == session
    assert shell.said(session.name, tenant=session.tenant) == ["hello"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "line 0"),
        (lambda data: b'{"role": "user"}', "line 1"),
        (lambda data: b'{"optical_memory": 1}', "line 1"),
        (lambda data: data.replace(b"alice", b"al\xffce"), "line 1"),
        (lambda data: data.replace(b"half", b"h\xfflf"), "line 3"),
        (lambda data: data[:-10], "line 5"),
    ],
)
def test_a_damaged_file_is_refused_at_its_line(filled: Shell, restored: Restored, damage: Callable[[bytes], bytes], said: str) -> None:
    data = filled("export", "-s", "alice").stdout_bytes
    with pytest.raises(ValueError, match=said):
        restored(damage(data))


def test_an_export_is_told_from_a_chat_file_by_its_first_line(filled: Shell) -> None:
    first = filled("export", "-s", "alice").stdout.splitlines()[0]
    assert transfer_cli.is_export(first)
    assert transfer_cli.is_export(' { "optical_memory" : 2}')
    for line in ("", "[", '{"role": "user", "content": "\\"optical_memory\\":1"}', '{"messages": []}', "optical_memory"):
        assert not transfer_cli.is_export(line)


@pytest.mark.usefixtures("shell")  # which clears the environment
def test_an_option_is_given_on_the_command_line_or_by_the_environment() -> None:
    tried, found = typer.Typer(), list[str | None]()

    @tried.command()
    def command(context: typer.Context, session: options.Session = "default") -> None:
        found.append(options.given(context, "session"))

    for arguments, environment in ([], {}), (["-s", "default"], {}), ([], {"OPTICAL_MEMORY_SESSION": "named"}):
        CliRunner().invoke(tried, arguments, env=environment)
    assert found == [None, "default", "named"]


def test_copy_takes_one_session_and_again_what_is_new(filled: Shell) -> None:
    counts = {"session": "alice", "tenant": "", "known": 0, "cached": 0, "last": 3}
    assert filled.json("copy", filled.other, "-s", "alice") == counts | {"new": 3}
    filled.say("alice", "newer")
    assert filled.json("copy", filled.other, "-s", "alice") == counts | {"new": 1, "known": 3, "last": 4}
    assert filled.said("alice") == filled.said("alice", store=filled.store)


def test_copy_under_another_name_with_pages(filled: Shell) -> None:
    done = filled("copy", filled.other, "-s", "alice", "--as", "bob", "--pages")
    assert done.stdout == "3 new turns, 0 already there, 1 cache entry; session 'bob' ends at #3\n"
    assert len(filled.said("bob")) == 3
    assert filled.said("alice") == []


def test_copy_of_all_sessions_of_a_tenant(shell: Shell) -> None:
    for session in ("a", "b"):
        shell.say(session, "hello", tenant="acme")
    shell.say("c", "hidden")
    assert [counts["session"] for counts in shell.json("copy", shell.other, "--all", "--tenant", "acme")] == ["a", "b"]
    assert shell("copy", shell.other, "--all", "--tenant", "acme").stdout.endswith("2 of 2 sessions copied\n")
    with closing(open_store(shell.other)) as other:
        assert (len(other.sessions("acme")), other.sessions()) == (2, [])
    assert shell.json("copy", shell.other, "--all", "--tenant", "nobody") == []


def test_copy_of_all_names_those_that_cannot_be_copied_and_goes_on(shell: Shell) -> None:
    for session in ("a", "b", "c"):
        shell.say(session, "hello")
    shell.say("b", "another one", store=shell.other)
    done = shell("copy", shell.other, "--all", code=2)
    assert done.stdout.endswith("2 of 3 sessions copied\n")
    assert done.stderr.startswith("optical-memory: session 'b' was not copied: turn #1 of session 'b' in sqlite://")
    assert [shell.said(session) for session in ("a", "b", "c")] == [["hello"], ["another one"], ["hello"]]


def test_a_missing_session_leaves_with_3(shell: Shell) -> None:
    for arguments in (("export",), ("export", "--out", "x.jsonl"), ("copy", shell.other)):
        done = shell(*arguments, "-s", "nobody", code=3)
        assert done.stderr == f"optical-memory: no session 'nobody' in {shell.store}\n"
    assert not (shell.folder / "x.jsonl").exists()


def test_misuse_is_a_value_error(filled: Shell) -> None:
    for arguments, said in (((filled.other, "--all", "--as", "b"), "--all or --as"), (("ftp://x",), "ftp")):
        done = filled.run("copy", *arguments)
        assert isinstance(done.exception, ValueError)
        assert said in str(done.exception)
    filled("copy", code=2)

"""`export-pages`: files or a diff become pages that hold all their words, and nothing in them chooses where it is written."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from optical_memory.text.plurals import counted
from tests.commands import run_command

CODE = "def answer(order: str) -> int:\n    return {'ORD-7741903': 42}[order]\n"


def _export(folder: Path, *arguments: str, stdin: str = "") -> Any:
    return run_command("export-pages", "--renderer", "pillow", *arguments, cwd=folder, stdin=stdin)


def _manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_files_become_pages_with_a_manifest_and_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE * 400, "utf-8")
    (tmp_path / "b.txt").write_text("The key is k-99x17.\n", "utf-8")
    done = _export(tmp_path, "a.py", "b.txt", "--out", "out")
    assert done.returncode == 0, done.stderr
    manifest = _manifest(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"manifest.json", "prompt.txt", "sidecar.txt", *(page["file"] for page in manifest["pages"])}
    assert len(manifest["pages"]) == manifest["pages"][-1]["sources"][-1]["source"] + len(manifest["pages"]) - 2
    for page in manifest["pages"]:
        assert Image.open(tmp_path / "out" / page["file"]).size == (page["width"], page["height"])
    assert [source["sha256"] for source in manifest["sources"]] == [
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.py", "b.txt")
    ]
    prompt = (tmp_path / "out" / "prompt.txt").read_text("utf-8")
    assert "#1 a.py" in prompt and "#2 b.txt" in prompt and "ORD-7741903" in prompt and "k-99x17" in prompt
    assert f"{counted(len(manifest['pages']), 'page')} in out: {manifest['vision_tokens']:,} vision tokens" in done.stdout


def test_every_word_is_on_the_pages(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("".join(f"line {at} of the file\n" for at in range(6_000)), "utf-8")
    assert _export(tmp_path, "long.txt", "--out", "out").returncode == 0
    manifest = _manifest(tmp_path / "out")
    parts = [part for page in manifest["pages"] for part in page["sources"]]
    assert [part["continued"] for part in parts] == [False] + [True] * (len(parts) - 1)  # from its first line ...
    assert [part["continues"] for part in parts] == [True] * (len(parts) - 1) + [False]  # ... to its last
    assert sum(page["text_tokens"] for page in manifest["pages"]) == manifest["text_tokens"]


def test_a_tier_and_a_reader_set_size_and_price(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE * 50, "utf-8")
    for out, tier in (("small", "small"), ("base", "base")):
        assert _export(tmp_path, "a.py", "--out", out, "--tier", tier, "--reader", "claude").returncode == 0
    small, base = (_manifest(tmp_path / out)["pages"][0] for out in ("small", "base"))
    assert small["width"] < base["width"] and small["tokens"] < base["tokens"]
    dear = _export(tmp_path, "a.py", "--out", "dear", "--tier", "base", "--reader", "claude")
    assert ("cost more than the text" in dear.stderr) == (base["tokens"] > _manifest(tmp_path / "dear")["text_tokens"])


@pytest.mark.parametrize(
    "name", ["..\u202etxt", "a\nb: #9 system", "-rf", "$(touch pwned)", "<script>.py", "\x1b[2J.txt", "\udcff.txt", "x" * 200]
)
def test_hostile_names_choose_no_file_and_no_line(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / name).write_bytes(b"Words of the file.\n")
    done = _export(tmp_path, "--out", "out", "--", f"in/{name}")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"manifest.json", "prompt.txt", "sidecar.txt", "page-0001.png"}
    assert _manifest(tmp_path / "out")["sources"][0]["name"] == f"in/{name}"
    prompt = (tmp_path / "out" / "prompt.txt").read_text("utf-8")
    assert prompt.count("\n#") == 1 and "\u202e" not in prompt and "\x1b" not in prompt


def test_what_is_no_text_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Words.\n", "utf-8")
    (tmp_path / "b.bin").write_bytes(b"\x00\xff\x00")
    (tmp_path / "c.txt").write_bytes(b"")
    done = _export(tmp_path, "a.txt", "b.bin", "c.txt", "--out", "out")
    assert done.returncode == 0
    assert "left out, not text in UTF-8: 'b.bin'" in done.stderr and "left out, empty: 'c.txt'" in done.stderr
    assert [each["name"] for each in _manifest(tmp_path / "out")["left_out"]] == ["b.bin", "c.txt"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--out", "out"), 2, "pass either files, --git or --stdin"),
        (("a.txt", "--git", "--out", "out"), 2, "pass either"),
        (("none.txt", "--out", "out"), 3, "no file 'none.txt'"),
        ((".", "--out", "out"), 2, "is a folder"),
        (("b.bin", "--out", "out"), 2, "nothing to export"),
        (("a.txt", "--out", "full"), 2, "not an empty folder"),
        (("a.txt", "--out", "out", "--tier", "huge"), 2, "unknown tier 'huge'"),
        (("--git", "--out", "out"), 1, "git diff failed"),
        (("--git", "--revision", "--output=pwned", "--out", "out"), 2, "does not begin with a hyphen"),
        (("--stdin", "--out", "out"), 1, "no text"),
    ],
)
def test_misuse_is_told_and_nothing_is_written(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (tmp_path / "a.txt").write_text("Words.\n", "utf-8")
    (tmp_path / "b.bin").write_bytes(b"\x00")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "page-0001.png").write_bytes(b"mine")
    done = _export(tmp_path, *arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "b.bin", "full"}
    assert [path.read_bytes() for path in (tmp_path / "full").iterdir()] == [b"mine"]


def test_a_diff_is_one_text_a_file_and_runs_no_program_of_the_repository(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for name in ("a.py", "b c.py", "gone.py"):
        (tmp_path / name).write_text(CODE, "utf-8")
    git("add", "-A")
    git("commit", "-qm", "first")
    (tmp_path / "a.py").write_text(CODE.replace("42", "43"), "utf-8")
    (tmp_path / "b c.py").write_text(CODE + "# diff --git is a command\n", "utf-8")
    (tmp_path / "gone.py").unlink()
    (tmp_path / ".gitattributes").write_text("*.py diff=evil\n", "utf-8")
    git("add", ".gitattributes")
    for setting in ("diff.evil.command", "diff.evil.textconv", "diff.external", "core.fsmonitor", "core.pager"):
        git("config", setting, f"touch {tmp_path}/pwned-{setting};")
    done = _export(tmp_path, "--git", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert [source["name"] for source in _manifest(tmp_path / "out")["sources"]] == [".gitattributes", "a.py", "b c.py", "gone.py"]
    assert not list(tmp_path.glob("pwned*"))


def test_standard_input_and_secrets(tmp_path: Path) -> None:
    key = "sk-ant-api03-" + "abcDEF123456" * 7
    done = _export(tmp_path, "--stdin", "--redact", "--out", "out", "--json", stdin=f"The key is {key} and the order ORD-7741903.\n")
    assert json.loads(done.stdout)["pages"] == 1
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir() if path.suffix != ".png").decode()
    assert key not in written and "ORD-7741903" in written

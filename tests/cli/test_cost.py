"""`optical-memory cost`, run as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.test_sessions import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    Image.new("L", (1075, 1520), 255).save(tmp_path / "scan.png")
    Image.new("RGB", (1024, 1024)).save(tmp_path / "page.jpg")
    (tmp_path / "words.md").write_text("hello world " * 100, "utf-8")
    (tmp_path / "bytes.bin").write_bytes(b"\xff\xfe\x00\x80")
    (tmp_path / "cut.png").write_bytes((tmp_path / "scan.png").read_bytes()[:20])
    return Shell(tmp_path)


def cost(shell: Shell, *arguments: str) -> Any:
    return shell.json("cost", *arguments)


def test_a_picture_that_the_server_shrinks(shell: Shell) -> None:
    [item] = cost(shell, "scan.png", "--reader", "claude")
    assert (item["size"], item["server_size"], item["shrunk"], item["tokens"]) == ([1075, 1520], [924, 1307], True, 33 * 47 + 4)
    assert [(rung["tier"], rung["sent"], rung["default"]) for rung in item["rungs"]] == [
        ("tiny", [356, 504], False),
        ("small", [535, 756], True),
        ("base", [772, 1092], True),
    ]
    said = shell("cost", "scan.png", "--reader", "claude").stdout
    assert said.startswith("scan.png: 1075 x 1520 px, 1,555 tokens for claude as it is (as of 2026-08)\n")
    assert "the server shrinks it to 924 x 1307 px" in said and "the gist at best" in said


def test_against_text(shell: Shell) -> None:
    [item] = cost(shell, "page.jpg", "--reader", "gpt-4o", "--characters", "4001")
    assert (item["tokens"], item["text_tokens"]) == (765, 1001)
    assert [(rung["tokens"], rung["setting"]) for rung in item["rungs"]] == [(85, "detail=low"), (765, "detail=high")]
    said = shell("cost", "page.jpg", "--reader", "gpt-4o", "--characters", "4000").stdout
    assert "as text of 4,000 characters about 1,000 tokens: 1.3x cheaper" in said and "11.8x cheaper" in said
    assert "25.5x dearer" in shell("cost", "page.jpg", "--reader", "gpt-4o-mini", "--characters", "4000").stdout


def test_a_price_for_each_media_resolution(shell: Shell) -> None:
    said = shell("cost", "page.jpg", "--reader", "gemini-3").stdout
    assert "media_resolution=ULTRA_HIGH" in said and "2,240" in said
    assert "whether the server shrinks it is not published" in said


def test_text_files_and_how_they_were_counted(shell: Shell) -> None:
    picture, text = cost(shell, "page.jpg", "words.md", "--reader", "claude-opus-4-8")
    assert (picture["kind"], picture["reader"]) == ("picture", "claude-high-resolution")
    assert (text["kind"], text["characters"]) == ("text", 1200) and 200 <= text["tokens"] <= 230
    assert text["counted_with"].endswith("which is not the tokenizer of claude-high-resolution: an estimate")
    assert "not the tokenizer" not in shell("cost", "words.md", "--reader", "gpt-5").stdout


def test_exit_codes(shell: Shell) -> None:
    assert "no file 'none.png'" in shell("cost", "page.jpg", "none.png", code=3).stderr
    assert "neither a PNG or JPEG picture nor text" in shell("cost", "bytes.bin", code=2).stderr
    assert "neither a PNG or JPEG picture nor text" in shell("cost", "cut.png", code=2).stderr
    assert "is a folder" in shell("cost", ".", code=2).stderr
    assert "unknown reader 'hawk'; known: claude," in shell("cost", "page.jpg", "--reader", "hawk", code=2).stderr
    assert not shell("cost", "page.jpg", "none.png", code=3).stdout, "all of it or nothing"


def test_profiles_of_your_own(shell: Shell) -> None:
    own = shell.folder / "own.toml"
    own.write_text("[mine]\nas_of = '2027-01'\nsource = 'me'\nformula = {kind = 'flat', tokens = 7}\n", "utf-8")
    command = ["cost", "page.jpg", "--reader", "mine"]
    assert "unknown reader 'mine'" in shell(*command, code=2).stderr
    shell.extra = {"OPTICAL_MEMORY_PROFILES": str(own)}
    assert "7 tokens for mine" in shell(*command).stdout
    own.write_text("[mine]\nas_of = 3\n", "utf-8")
    assert "own.toml: [mine] as_of: " in shell(*command, code=2).stderr
    own.unlink()
    assert "own.toml" in shell(*command, code=1).stderr
    assert json.loads(Shell(shell.folder)("cost", "page.jpg", "--json").stdout)[0]["tokens"] == 273

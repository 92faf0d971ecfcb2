"""The doctor finds what is there, misses what is not, and says what to install."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory.cli.doctor import SCRIPTS, Finding, can_render, examine
from optical_memory.errors import UnknownName


def by_topic(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.topic: finding for finding in findings}


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis_server(free_port: int, tmp_path: Path) -> Iterator[str]:
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("no redis-server on this machine")
    process = subprocess.Popen([command, "--port", str(free_port), "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        wait_for(free_port)
        yield f"redis://127.0.0.1:{free_port}/0"
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the server did not start")


def test_every_topic_is_looked_at_once() -> None:
    findings = examine()
    topics = [finding.topic for finding in findings]
    assert len(topics) == len(set(topics))
    assert {
        "playwright",
        "driver",
        "browser",
        "pillow",
        "fonts",
        "redis",
        "tokens",
        "redaction",
        "torch",
        *(f"font: {script.name}" for script in SCRIPTS),
    } == set(topics)


def test_whatever_is_not_well_comes_with_advice() -> None:
    for finding in examine():
        assert finding.detail
        assert bool(finding.advice) == (finding.status != "ok"), finding


def test_latin_is_always_covered() -> None:
    found = by_topic(examine())
    assert all(found[f"font: {name}"].status == "ok" for name in ("Latin", "Greek", "Cyrillic"))


def test_without_system_fonts_scripts_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optical_memory.renderers.typography.fonts.find_system_fonts", tuple)
    found = by_topic(examine())
    assert found["fonts"].status == "warning"
    assert found["font: Chinese"].status == "warning" and "fonts-noto-cjk" in found["font: Chinese"].advice
    assert "unjoined" in found["font: Devanagari"].detail


def test_a_browser_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPTICAL_MEMORY_BROWSER", str(tmp_path / "no-such-browser"))
    findings = examine()
    browser = by_topic(findings)["browser"]
    assert browser.status == "missing"
    assert "OPTICAL_MEMORY_BROWSER" in browser.detail and "no-such-browser" in browser.detail
    assert can_render(findings)


def test_the_chosen_renderer_is_what_must_run() -> None:
    chromium = [Finding(topic, "ok", "x") for topic in ("playwright", "driver", "browser")]
    pillow = Finding("pillow", "warning", "without libraqm")
    assert {name: can_render([*chromium, pillow], name) for name in ("auto", "chromium", "pillow")} == dict.fromkeys(
        ("auto", "chromium", "pillow"), True
    )
    for place in range(len(chromium)):
        broken = [*chromium[:place], Finding(chromium[place].topic, "missing", "x"), *chromium[place + 1 :], pillow]
        assert [can_render(broken, name) for name in ("auto", "chromium", "pillow")] == [True, False, True]
    assert [can_render(chromium, name) for name in ("auto", "chromium", "pillow")] == [True, True, False]


def test_a_renderer_of_ones_own_is_opened() -> None:
    own = "optical_memory.renderers.pillow.renderer:PillowRenderer"
    assert by_topic(examine(renderer=own))["renderer"].status == "ok" and can_render(examine(renderer=own), own)
    for broken in ("no.such.module:x", "optical_memory.renderers.pillow:Nothing"):
        assert by_topic(findings := examine(renderer=broken))["renderer"].status == "missing"
        assert not can_render(findings, broken)
    with pytest.raises(UnknownName):
        examine(renderer="nonsense")


def test_pillow_without_fribidi_is_told_from_pillow_without_raqm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from PIL import _imagingft, features

    monkeypatch.setattr(features, "check", lambda name: False)
    assert by_topic(examine())["pillow"].advice == "apt install libfribidi0", "the wheel of this machine loads it"
    bare = tmp_path / "_imagingft.so"
    bare.write_bytes(b"built without it")
    monkeypatch.setattr(_imagingft, "__file__", str(bare))
    assert by_topic(examine())["pillow"].advice.startswith("pip install")


def test_nothing_can_render_without_browser_and_pillow() -> None:
    assert not can_render([Finding("browser", "missing", "none"), Finding("pillow", "missing", "none"), Finding("redis", "ok", "x")])


def test_a_redis_server_that_does_not_answer(free_port: int) -> None:
    pytest.importorskip("redis", reason="the redis package is not installed")
    finding = by_topic(examine(redis_url=f"redis://:secret@127.0.0.1:{free_port}/0"))["redis server"]
    assert finding.status == "missing" and "secret" not in finding.detail + finding.advice


def test_a_redis_server_that_answers(redis_server: str) -> None:
    pytest.importorskip("redis", reason="the redis package is not installed")
    assert by_topic(examine(redis_url=redis_server))["redis server"].status == "ok"

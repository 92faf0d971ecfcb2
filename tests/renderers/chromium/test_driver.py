"""Playwright's driver fails, in every way that a program can: nothing hangs, nothing dies, and what is said helps."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.errors import DriverNotStarted, RenderError
from optical_memory.renderers import auto
from optical_memory.renderers.chromium import driver
from optical_memory.renderers.chromium.driver import DRIVER_VARIABLE, require_driver, try_driver
from optical_memory.renderers.chromium.finding import BROWSER_VARIABLE, find_browser
from optical_memory.renderers.chromium.renderer import ChromiumRenderer
from tests.commands import run_command
from tests.renderers.chromium.drivers import FAILING_LATER, FAILING_VERSION, driver_that
from tests.renderers.chromium.test_chromium import STYLE, _ours, linux_only, said
from tests.sampling import mostly_slow

pytest.importorskip("playwright", reason="the chromium extra is not installed")
pytestmark = [
    pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts"),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a driver that hangs are shorter."""
    monkeypatch.setattr(driver, "VERSION_LIMIT", 2.0)
    monkeypatch.setattr(driver, "START_LIMIT", 2.0)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[ChromiumRenderer]:
    """With a browser, and so a driver, that no other test has started."""
    found = find_browser()
    assert found
    link = tmp_path / "browser"
    link.symlink_to(found.path)
    opened = ChromiumRenderer(browser=str(link))
    yield opened
    opened.close()
    gc.collect()  # what complains when it is collected does so here


def chat(count: int) -> list[tuple[str, str]]:
    return [("user" if n % 2 else "assistant", f"Turn {n} is about flight QX-{n}. " * 6) for n in range(1, count + 1)]


def runs(process: int) -> bool:
    """Whether a process is there, and not just waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def ended(process: int) -> bool:
    """Whether a process that was killed goes away: on a busy machine it may take a moment."""
    until = time.monotonic() + 10
    while runs(process) and time.monotonic() < until:
        time.sleep(0.02)
    return not runs(process)


def drivers() -> list[int]:
    """Ids of the drivers that descend from this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"run-driver" in (folder / "cmdline").read_bytes() and runs(int(folder.name)) and _ours(int(folder.name)):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("kind", mostly_slow(FAILING_VERSION, quick=FAILING_VERSION[::3]))
def test_auto_takes_pillow_and_chromium_says_what_is_wrong(
    kind: str, tmp_path: Path, quick: None, chromium: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = driver_that(kind, tmp_path)
    monkeypatch.setenv(DRIVER_VARIABLE, str(path))
    auto._said.clear()
    assert [auto.open_auto().name for _ in range(2)] == ["pillow", "pillow"]
    [record] = [record for record in caplog.records if "drawn by Pillow" in record.message]
    assert record.levelno == logging.WARNING and str(path) in record.message
    with pytest.raises(DriverNotStarted, match="does not start") as caught:
        chromium.render(said("x"), STYLE)
    assert caught.value.node == str(path) and caught.value.advice


@pytest.mark.parametrize("kind", mostly_slow(FAILING_LATER, quick=["runs and ends"]))
@linux_only
def test_a_driver_that_fails_after_it_said_its_version(
    kind: str, tmp_path: Path, chromium: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "START_LIMIT", 5.0)
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that(kind, tmp_path)))
    for _ in range(3):
        with pytest.raises(DriverNotStarted):
            chromium.render(said("x"), STYLE)
    assert (tmp_path / "runs").read_text() == "run\n", "tried again after a while only"
    child = tmp_path / "child"
    assert not child.exists() or ended(int(child.read_text()))


@linux_only
def test_nothing_is_left_of_a_driver_that_hangs(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that("hangs", tmp_path)))
    with pytest.raises(DriverNotStarted, match="no answer in 2 s"):
        require_driver()
    assert ended(int((tmp_path / "child").read_text()))


def test_a_missing_library_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that("lacks a library", tmp_path)))
    with pytest.raises(DriverNotStarted, match=r"the shared library libatomic\.so\.1 is missing\. What helps: apt install libatomic1"):
        require_driver()


@linux_only
def test_the_loaders_own_words_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that("is not linked", tmp_path)))
    with pytest.raises(DriverNotStarted, match=r"libq\.so\.6 is missing\. What helps: install the package that has libq\.so\.6"):
        require_driver()


def test_a_driver_that_is_well() -> None:
    assert require_driver() == try_driver()
    assert require_driver().startswith("v")


@pytest.mark.parametrize("kind", mostly_slow(["lacks a library", "hangs", "runs and ends", "runs and hangs"], quick=["lacks a library"]))
def test_a_memory_goes_on_as_text(
    kind: str, tmp_path: Path, quick: None, chromium: ChromiumRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that(kind, tmp_path)))
    memory = OpticalMemory("s", store="memory://", renderer=chromium, marks=WaterMarks(high=300, low=60))
    memory.extend(chat(40))
    with pytest.warns(RuntimeWarning, match="stay text: Playwright's driver"):
        context = memory.context()
    assert len(context.turns) == 40 and context.pages == ()
    assert memory.stats().render_failures == 1


@pytest.mark.parametrize("kind", ["is missing", "ends at once"])
def test_a_memory_goes_on_as_text_without_its_browser_and_its_pages_come_back(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened() -> OpticalMemory:
        return OpticalMemory("s", store=f"sqlite:///{tmp_path}/s.sqlite3", renderer="chromium", marks=WaterMarks(high=300, low=60))

    with opened() as memory:
        memory.extend(chat(40))
        before = [part.page.key for part in memory.context().pages]
    assert before
    with monkeypatch.context() as patch, opened() as memory:
        patch.setenv(BROWSER_VARIABLE, str(driver_that(kind, tmp_path)))
        memory.extend(chat(10))
        with pytest.warns(RuntimeWarning, match="stay text"):
            context = memory.context()
        assert context.pages == () and len(context.turns) == len(memory)
        assert memory.stats().render_failures == 1
        with pytest.raises(RenderError):
            memory.pages()
    with opened() as memory:
        assert [page.key for page in memory.pages()] == before
        memory.extend(chat(10))
        assert [part.page.key for part in memory.context().pages][: len(before)] == before


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_driver_killed_between_two_jobs(chromium: ChromiumRenderer, number: signal.Signals) -> None:
    others = drivers()
    expected = chromium.render(said("Hello"), STYLE)
    [killed] = set(drivers()) - set(others)
    os.kill(killed, number)
    assert chromium.render(said("Hello"), STYLE) == expected
    [another] = set(drivers()) - set(others)
    assert another != killed


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize("delay", mostly_slow([0.02, 0.15, 0.4], quick=[0.15], daily=[]))
def test_a_driver_killed_in_the_middle_of_a_job(chromium: ChromiumRenderer, delay: float) -> None:
    others = drivers()
    given = said(*(f"Number {n}. " + "Many words follow here. " * 80 for n in range(200)))
    expected = chromium.render(given, STYLE)
    [killed] = set(drivers()) - set(others)
    timer = threading.Timer(delay, lambda: os.kill(killed, signal.SIGKILL))
    timer.start()
    assert chromium.render(given, STYLE) == expected
    timer.join()


def test_a_driver_killed_and_gone_for_good(chromium: ChromiumRenderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = drivers()
    chromium.render(said("Hello"), STYLE)
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that("lacks a library", tmp_path)))
    for process in set(drivers()) - set(others):
        os.kill(process, signal.SIGKILL)
    with pytest.raises(DriverNotStarted, match="libatomic1"):
        chromium.render(said("Hello"), STYLE)


def run(*arguments: str, node: Path) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, cwd=ROOT, env={DRIVER_VARIABLE: str(node)})


@pytest.mark.parametrize("kind", mostly_slow(["lacks a library", "runs and ends"], quick=["lacks a library"]))
def test_doctor_starts_the_driver_and_fails_where_the_chosen_renderer_cannot_run(kind: str, tmp_path: Path) -> None:
    node = driver_that(kind, tmp_path)
    codes = {name: run("doctor", "--json", "--renderer", name, node=node).returncode for name in ("auto", "pillow", "chromium")}
    assert codes == {"auto": 0, "pillow": 0, "chromium": 1}
    done = run("doctor", "--json", "--renderer", "chromium", node=node)
    [found] = [finding for finding in json.loads(done.stdout) if finding["topic"] == "driver"]
    assert found["status"] == "missing" and str(node) in found["detail"]
    assert "'chromium' cannot draw a page" in done.stderr
    assert kind != "lacks a library" or found["advice"] == "apt install libatomic1"


def test_the_command_draws_with_pillow_without_a_driver(tmp_path: Path) -> None:
    node, store = driver_that("lacks a library", tmp_path), f"sqlite:///{tmp_path}/s.sqlite3"
    path = tmp_path / "chat.json"
    path.write_text(json.dumps([{"role": role, "content": text * 30} for role, text in chat(40)]))
    assert run("import", str(path), "--store", store, node=node).returncode == 0
    done = run("context", "--format", "json", "--store", store, node=node)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert done.stderr.count("drawn by Pillow") == 1 and "apt install libatomic1" in done.stderr
    assert json.loads(done.stdout)["usage"]["pages_by_tier"]

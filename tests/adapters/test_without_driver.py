"""Every adapter goes on in text where Playwright's driver does not start: it exits, it hangs, it prints something else, it is not there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.renderers.chromium import driver
from optical_memory.renderers.chromium.driver import DRIVER_VARIABLE
from optical_memory.renderers.chromium.finding import find_browser
from optical_memory.renderers.chromium.renderer import ChromiumRenderer
from tests.renderers.chromium.drivers import driver_that
from tests.sampling import mostly_slow

pytest.importorskip("playwright", reason="the chromium extra is not installed")
pytestmark = [
    pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts"),
]

MARKS = WaterMarks(high=300, low=60)
SAID = [("user" if n % 2 else "assistant", f"turn {n} is about flight QX-77{n:03}. " * 6) for n in range(1, 42)]


def langchain(renderer: ChromiumRenderer) -> Any:
    tests = import_module("tests.adapters.langchain.test_middleware")
    model = tests.Scripted()
    tests.chat(tests.agent(model, tests.optical(renderer=renderer)), 12)
    return model.sent[-1]


def langchain_history(renderer: ChromiumRenderer) -> Any:
    history = import_module("optical_memory.adapters.langchain.history")
    return history.view(filled(renderer))


def langchain_classic(renderer: ChromiumRenderer) -> Any:
    classic = import_module("optical_memory.adapters.langchain.classic")
    return classic.OpticalConversationMemory(memory=filled(renderer), return_messages=True).load_memory_variables({})


def litellm(renderer: ChromiumRenderer) -> Any:
    tests = import_module("tests.adapters.test_litellm")
    return tests.small_hook(renderer=renderer).messages(tests.chat(61), "any")


def openai_agents(renderer: ChromiumRenderer) -> Any:
    tests = import_module("tests.adapters.test_openai_agents")
    return tests.seen(tests.small_filter(renderer=renderer), tests.chat(61))


def pydantic_ai(renderer: ChromiumRenderer) -> Any:
    tests = import_module("tests.adapters.test_pydantic_ai")
    return tests.shown(tests.optical(renderer=renderer), tests.past(20))


def llama_index(renderer: ChromiumRenderer) -> Any:
    block = import_module("optical_memory.adapters.llama_index").OpticalMemoryBlock(memory=filled(renderer))
    return asyncio.run(block.aget([]))


def messages(renderer: ChromiumRenderer) -> Any:
    return [filled(renderer).messages(dialect=dialect) for dialect in ("openai", "anthropic", "gemini")]


ADAPTERS = (langchain, langchain_history, langchain_classic, litellm, openai_agents, pydantic_ai, llama_index, messages)


def filled(renderer: ChromiumRenderer) -> OpticalMemory:
    memory = OpticalMemory("s", store="memory://", renderer=renderer, marks=MARKS)
    memory.extend(SAID)
    return memory


@pytest.mark.parametrize(
    "kind",
    mostly_slow(
        ["lacks a library", "hangs", "prints garbage", "is missing", "runs and ends", "runs and hangs"],
        quick=["lacks a library"],
        daily=["runs and hangs"],
    ),
)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_past_is_sent_as_text_with_a_warning(
    adapter: Callable[[ChromiumRenderer], Any], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "VERSION_LIMIT", 1.0)
    monkeypatch.setattr(driver, "START_LIMIT", 1.0)
    monkeypatch.setenv(DRIVER_VARIABLE, str(driver_that(kind, tmp_path)))
    found = find_browser()
    assert found
    link = tmp_path / "browser"  # so that the renderer shares no driver with those of other tests
    link.symlink_to(found.path)
    renderer = ChromiumRenderer(browser=str(link))
    try:
        with pytest.warns(RuntimeWarning, match="text: Playwright's driver .* does not start"):
            sent = repr(adapter(renderer))
    finally:
        renderer.close()
    assert "base64" not in sent and "image" not in sent.replace("image_inputs", "")
    assert "QX-77001" in sent and "QX-77011" in sent, "the oldest turns too"


AGENT = """
import sys
from tests.adapters.langchain.test_middleware import Scripted, agent, human, optical, thread
model = Scripted()
one = agent(model, optical(renderer=sys.argv[1]))
for n in range(12):
    one.invoke(human(f"question {n} about flight QX-77{n:03}. " * 60), thread())
print(len(model.sent), sum("image" in repr(message.content) for message in model.sent[-1]))
"""


@pytest.mark.parametrize(("renderer", "has_pages"), [("auto", True), pytest.param("chromium", False, marks=pytest.mark.slow)])
def test_an_agent_of_langchain_lives(renderer: str, has_pages: bool, tmp_path: Path) -> None:
    """In a process of its own, with the renderer's name and no test's settings."""
    pytest.importorskip("langchain.agents.middleware", reason="langchain is not installed")
    environment = os.environ | {DRIVER_VARIABLE: str(driver_that("lacks a library", tmp_path))}
    command = [sys.executable, "-c", AGENT, renderer]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    answers, pages = done.stdout.split()
    assert int(answers) == 12 and (int(pages) > 0) == has_pages
    assert "apt install libatomic1" in done.stderr

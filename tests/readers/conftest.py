from __future__ import annotations

from pathlib import Path

import pytest

from optical_memory import OpticalMemory
from optical_memory.pages.page import Page
from optical_memory.planning.triggers import WaterMarks
from tests.remembered import REMEMBERED


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="the deepseek extra is not installed")
    from optical_memory.deepseek_ocr.tiny import make_tiny

    return make_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def memory() -> OpticalMemory:
    """A conversation of some pages at several tiers, and recent text."""
    opened = OpticalMemory("readers", store="memory://", renderer=REMEMBERED, marks=WaterMarks(high=900, low=150))
    talk(opened, 1, 40)
    return opened


@pytest.fixture
def page(memory: OpticalMemory) -> Page:
    """The first page of that conversation."""
    memory.context()
    return memory.pages()[0]


def talk(memory: OpticalMemory, first: int, last: int) -> None:
    """Say something in the exchanges `first` to `last`."""
    for n in range(first, last + 1):
        memory.append(("user", f"Parcel QX-77{n:03}: where is it? {'It was sent on a Tuesday, by rail, insured. ' * 12}"))
        memory.append(("assistant", f"Parcel {n} left Lyon on track {n % 9}. {'The next scan is in Hamburg, at noon. ' * 12}"))

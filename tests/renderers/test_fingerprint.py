"""The fingerprint of renderers: whatever may decide over pixels changes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import optical_memory
from optical_memory.renderers.fingerprint import code_files
from tests.sampling import mostly_slow

PACKAGE = Path(optical_memory.__file__).parent
PROGRAM = "from optical_memory.renderers.fingerprint import fingerprint_of; print(fingerprint_of())"


def test_every_module_under_renderers_is_in_it() -> None:
    inside = set(code_files())
    modules = set((PACKAGE / "renderers").rglob("*.py"))
    assert len(modules) > 30 and modules <= inside
    assert {path.name for path in inside} >= {"layout.js", "OpticalMemorySans.ttf", "lastresort.xz", "pagination.py", "exchanges.py"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path_factory.mktemp("copy") / "optical_memory", ignore=shutil.ignore_patterns("__pycache__")))


def fingerprint(package: Path) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=package.parent, capture_output=True, text=True, check=True)
    return done.stdout.strip()


FILES = ["document/markdown.py", "chromium/layout.js", "pillow/typesetting.py", "typography/fonts.py", "png.py"]


@pytest.mark.parametrize("name", mostly_slow(FILES, quick=["chromium/layout.js", "png.py"]))
def test_a_change_in_any_folder_changes_it(copy: Path, name: str) -> None:
    path = copy / "renderers" / name
    before, content = fingerprint(copy), path.read_bytes()
    path.write_bytes(content + (b"\n// \n" if path.suffix == ".js" else b"\n# \n"))
    try:
        assert fingerprint(copy) != before
    finally:
        path.write_bytes(content)
    assert fingerprint(copy) == before

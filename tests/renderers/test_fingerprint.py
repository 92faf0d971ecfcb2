"""The fingerprint of renderers: whatever may decide over pixels changes it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import optical_memory
from optical_memory.renderers.fingerprint import code_files

PACKAGE = Path(optical_memory.__file__).parent


def test_every_module_under_renderers_is_in_it() -> None:
    inside = set(code_files())
    modules = set((PACKAGE / "renderers").rglob("*.py"))
    assert len(modules) > 30 and modules <= inside
    assert {path.name for path in inside} >= {"layout.js", "OpticalMemorySans.ttf", "lastresort.xz", "pagination.py", "exchanges.py"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path_factory.mktemp("copy") / "optical_memory", ignore=shutil.ignore_patterns("__pycache__")))


FILES = ["document/markdown.py", "chromium/layout.js", "pillow/typesetting.py", "typography/fonts.py", "png.py"]
PROGRAM = r"""
import sys
from pathlib import Path
from optical_memory.renderers import fingerprint
folder = Path(fingerprint.__file__).parent

def printed():
    fingerprint.fingerprint_of.cache_clear()
    fingerprint._code_state.cache_clear()
    print(fingerprint.fingerprint_of())

printed()
for name in sys.argv[1:]:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content + (b"\n// \n" if path.suffix == ".js" else b"\n# \n"))
    printed()
    path.write_bytes(content)
    printed()
"""


def test_a_change_in_any_folder_changes_it(copy: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *FILES], cwd=copy.parent, capture_output=True, text=True, check=True)
    before, *after = done.stdout.split()
    assert after[1::2] == [before] * len(FILES), "as it was, once the file is"
    assert len({before, *after[::2]}) == 1 + len(FILES)

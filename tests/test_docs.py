"""What README and docs say can be followed: links lead to files and headings, names import, code runs, commands exist."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").rglob("*.md"))
ADAPTERS = ("langchain", "langchain_classic", "pydantic_ai", "agents", "llama_index", "litellm")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def fences(path: Path) -> list[tuple[str, str]]:
    """Blocks of code: language and text."""
    return re.findall(r"^ *```(\w*)\n(.*?)^ *```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def blocks(path: Path, language: str) -> list[str]:
    return [code for name, code in fences(path) if name == language]


def imports(code: str) -> set[str]:
    """Dotted names that code imports: modules, and names out of modules."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@cache
def headings(path: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each(PAGES)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", without_code(path.read_text("utf-8"))):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    linked = set()
    for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "experiments.md"):
        links = re.findall(r"\]\((?!http)([^)#\s]+)", index.read_text("utf-8"))
        linked |= {(index.parent / link).resolve() for link in links} | {index}
    assert [name_of(page) for page in (ROOT / "docs").rglob("*.md") if page not in linked] == []


@each(PAGES)
def test_files_that_are_named_are_there(path: Path) -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?)`", path.read_text("utf-8"))
    named += re.findall(r"\b((?:tests|benchmarks|docs|scripts|tools|examples)/[\w/]+\.\w+)", path.read_text("utf-8"))
    made = ("demo-output/", "calibration/profile.toml", "pages/")
    places = (ROOT, ROOT / "optical_memory")
    assert [name for name in named if not name.startswith(made) and not any((place / name).exists() for place in places)] == []


@each(PAGES)
def test_modules_that_are_named_import(path: Path) -> None:
    text = path.read_text("utf-8")
    named = set(re.findall(r"\boptical_memory(?:\.\w+)+", text))
    named |= {f"optical_memory.{name}" for name in re.findall(r"`((?:adapters|readers|turns|verification|planning)(?:\.\w+)+)", text)}
    assert [name for name in sorted(named) if not found(name)] == []


def found(dotted: str) -> bool:
    """Whether this is a module, or a name in one. What needs a framework that is not installed is not looked into."""
    module, _, name = dotted.rpartition(".")
    try:
        importlib.import_module(dotted)
        return True
    except ModuleNotFoundError:
        try:
            return hasattr(importlib.import_module(module), name)
        except ModuleNotFoundError:
            return False
    except ImportError:
        return is_left_out(dotted)


def is_left_out(dotted: str) -> bool:
    framework = next((name for name in ADAPTERS if f".{name.removesuffix('_classic')}" in dotted), None)
    return framework is not None and find_spec(framework) is None


@pytest.mark.slow
@each([path for path in PAGES if blocks(path, "python") and path.name != "README.md"])
def test_code_runs_page_by_page(path: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(path, "python"))
    absent = [root for root in sorted({name.partition(".")[0] for name in imports(code)}) if find_spec(root) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    keys = {"OPENAI_API_KEY": "none", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, env={**os.environ, **keys}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@each([path for path in PAGES if blocks(path, "py")])
def test_code_that_needs_a_server_compiles_and_its_imports_exist(path: Path) -> None:
    ours = [name for code in blocks(path, "py") for name in imports(code) if name.startswith("optical_memory")]
    assert [name for name in ours if not found(name)] == []


def test_commands_exist() -> None:
    text = "\n".join(path.read_text("utf-8") for path in PAGES)
    quoted = re.findall(r"`([^`\n]+)`", text) + [code for path in PAGES for language, code in fences(path) if not language]
    named = set(re.findall(r"\boptical-memory ([a-z][a-z-]+)\b", "\n".join(quoted)))
    command = [sys.executable, "-m", "optical_memory", "--help"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^│ ([a-z][a-z-]+) ", printed, re.MULTILINE))
    assert known - named == set(), "every command has a place in the docs"
    assert named - known == set()


def test_benchmarks_exist() -> None:
    text = "\n".join(path.read_text("utf-8") for path in PAGES)
    named = set(re.findall(r"python\s-m\s+benchmarks\.(\w+)", text))
    assert {name for name in named if not (ROOT / "benchmarks" / f"{name}.py").is_file()} == set()


def test_the_rooms_are_the_folders() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    listed = re.findall(r"^  ([a-z_]+(?:/|\.py))", page.partition("<!-- rooms -->")[2].partition("<!-- /rooms -->")[0], re.MULTILINE)
    package = ROOT / "optical_memory"
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
    assert sorted(listed) == sorted(folders | modules)

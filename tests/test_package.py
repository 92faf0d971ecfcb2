"""The package as a whole: what importing it costs, what it names, and what it carries."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    "torch",
    "transformers",
    "playwright",
    "redis",
    "langchain_core",
    "tiktoken",
    "bpe_openai",
    "bidi",
    "PIL.ImageFont",
    "pygments",
    "typer",
    "rich",
)


def in_fresh_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_importing_loads_nothing_heavy() -> None:
    loaded = set(json.loads(in_fresh_process("import json, sys, optical_memory; print(json.dumps(list(sys.modules)))")))
    assert "optical_memory.memory.optical_memory" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("missing", ["playwright", "redis", "tiktoken", "bpe_openai", "torch"])
def test_importing_works_without_an_optional_package(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\nfrom optical_memory import OpticalMemory; print(OpticalMemory.__name__)"
    assert in_fresh_process(code).strip() == "OpticalMemory"


def test_all_is_what_the_package_really_offers() -> None:
    import optical_memory

    public = {name for name, value in vars(optical_memory).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert set(optical_memory.__all__) == public


@pytest.mark.parametrize("path", sorted((ROOT / "optical_memory").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_names_only_what_it_has(path: Path) -> None:
    if path.name == "__main__.py" or "deepseek_ocr" in path.parts:
        return
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


@pytest.mark.parametrize("name", ["renderers", "adapters"])
def test_the_top_level_links_lead_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / "optical_memory" / name
    assert list(link.glob("*.py"))


@pytest.mark.parametrize(
    "name", ["py.typed", "demo/airline-agent.json", "demo/LICENSE-tau-bench.txt", "demo/report.css", "profiles/profiles.toml"]
)
def test_the_package_carries_its_data(name: str) -> None:
    assert resources.files("optical_memory").joinpath(name).is_file()


def test_the_wheel_holds_the_package_and_nothing_beside_it(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"optical_memory"}
    assert {name.rpartition("/")[2] for name in names} >= {
        "DejaVuSansMono.ttf",
        "OpticalMemorySans.ttf",
        "LICENSE-DejaVu.txt",
        "LICENSE-tau-bench.txt",
        "report.css",
        "py.typed",
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_nothing_reaches_outside_the_repository() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.toml", "Makefile", "*.sh"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    outside = "../" + "shared"
    assert [name for name in listed.stdout.split() if outside in (ROOT / name).read_text("utf-8", "replace")] == []

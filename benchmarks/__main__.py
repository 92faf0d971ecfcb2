"""`python -m benchmarks [name ...]`: every benchmark, or those named, each in a process of its own so that none warms another."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def main(names: list[str]) -> int:
    """Run benchmarks and return how many failed."""
    known = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown benchmark {unknown[0]!r}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    return sum(run(name) for name in names or known)


def run(name: str) -> bool:
    """Run one benchmark; true if it failed."""
    print(f"\n== {name} ==", flush=True)
    began = time.perf_counter()
    failed = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=FOLDER.parent, check=False).returncode != 0
    print(f"({'failed' if failed else 'done'} in {time.perf_counter() - began:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

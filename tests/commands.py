"""`optical-memory` for tests. Each run is a process of its own, forked from one that has imported the library: a start costs a second else.

With TESTS_COMMANDS=started, as the nightly run of `.ci/run` has it, each is started anew, as a user starts it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FILES = ("stdin", "stdout", "stderr")
OFTEN_USED = ("stores.redis", "stores.sqlite", "renderers.auto", "renderers.pillow.renderer")
OF_THE_START = ("PYTHON", "LANG", "LC_")  # variables that are looked at once, when a process starts


def run_command(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "", without: str = ""
) -> subprocess.CompletedProcess[str]:
    """What `optical-memory` with arguments says, and its exit status.

    Args:
        env: variables to set beside those of this process.
        without: the beginning of names of variables that are not handed on.
    """
    kept = {name: value for name, value in os.environ.items() if not (without and name.startswith(without))}
    environment = kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "NO_COLOR": "1"} | dict(env or {})
    if os.environ.get("TESTS_COMMANDS") != "started" and hasattr(os, "fork"):
        return _parent(_of_the_start(environment)).run(arguments, cwd, environment, stdin)
    command = [sys.executable, "-m", "optical_memory", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", cwd=cwd, env=environment, check=False)


def _of_the_start(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in environment.items() if name.startswith(OF_THE_START)))


@cache
def _parent(variables: tuple[tuple[str, str], ...]) -> _Parent:
    return _Parent(dict(variables))


class _Parent:
    """A process that has imported the library, and forks for each command."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        others = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_START)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=others | dict(variables),
        )
        atexit.register(self.close)

    def run(self, arguments: tuple[str, ...], cwd: Path, environment: Mapping[str, str], stdin: str) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in FILES]
            files[0].write_text(stdin, "utf-8", errors="surrogateescape")
            order = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment), "folder": folder}
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            assert answer, "the process that forks commands ended"
            said = [path.read_text("utf-8") for path in files[1:]]
        return subprocess.CompletedProcess(["optical-memory", *arguments], int(answer), *said)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve() -> None:
    """Fork for each line of standard input; returns in a child that has become a command."""
    _import_all()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


def _import_all() -> None:
    sys.argv = ["optical-memory", "--version"]
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(SystemExit):
        runpy.run_module("optical_memory", run_name="__main__")
    import optical_memory
    from optical_memory.text.token_count import open_counter

    assert optical_memory.OpticalMemory, "is imported when it is first asked for"
    for name in OFTEN_USED:
        with contextlib.suppress(ImportError):  # an extra that is not installed
            import_module(f"optical_memory.{name}")
    open_counter().count("loads the tables of a tokenizer")


def _become(order: Mapping[str, Any]) -> None:
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["optical-memory", *order["arguments"]]
    sys.path[0] = order["cwd"]
    for number, name in enumerate(FILES):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        descriptor = os.open(os.path.join(order["folder"], name), flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


if __name__ == "__main__":
    _serve()
    runpy.run_module("optical_memory", run_name="__main__", alter_sys=True)

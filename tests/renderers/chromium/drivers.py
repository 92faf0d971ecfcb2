"""Programs that stand where Playwright's Node.js should, each wrong in its own way."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["FAILING_LATER", "FAILING_VERSION", "driver_that"]

LOADER = "node: error while loading shared libraries: libatomic.so.1: cannot open shared object file: No such file or directory"
SCRIPTS = {
    "ends at once": "exit 1",
    "lacks a library": f"echo '{LOADER}' >&2; exit 127",
    "hangs": "sleep 1000 & echo $! > {folder}/child; wait",
    "prints garbage": "head -c 200000 /dev/zero | tr '\\0' '\\377'",
    "prints for ever": "exec yes garbage",
    "is too old": "echo v12.22.0",
}
LATER = "echo run >> {folder}/runs; "  # all of these say a version that will do
LATER_SCRIPTS = {
    "runs and ends": "exit 3",
    "runs and hangs": "echo $$ > {folder}/child; exec sleep 1000",
    "runs and prints garbage": "printf '\\002\\000\\000\\000xx'; exec sleep 1000",
    "runs and prints a stack": "echo 'TypeError: x is not a function'; exit 1",
}
FILES = ("is missing", "is not executable", "is a folder", "is for another machine", "is not linked")
FAILING_VERSION = (*SCRIPTS, *FILES)
FAILING_LATER = tuple(LATER_SCRIPTS)


def driver_that(kind: str, folder: Path) -> Path:
    """The path of a program of that kind, made in `folder`."""
    path = folder / "node"
    match kind:
        case "is missing":
            return path
        case "is not executable":
            path.write_text("#!/bin/sh\n")
        case "is a folder":
            path.mkdir()
        case "is for another machine":
            # An ELF file for a machine that nobody has: EM_M32, an AT&T processor of 1986.
            path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x01\x00" + bytes(100))
            path.chmod(0o755)
        case "is not linked":
            command = shutil.which("true")
            assert command
            path.write_bytes(Path(command).resolve().read_bytes().replace(b"libc.so.6", b"libq.so.6"))  # the real loader's complaint
            path.chmod(0o755)
        case _:
            later = kind in LATER_SCRIPTS
            body = f'[ "$1" = -p ] && {{ echo v99.0.0; exit; }}\n{LATER}{LATER_SCRIPTS[kind]}' if later else SCRIPTS[kind]
            path.write_text(f"#!/bin/sh\n{body.replace('{folder}', str(folder))}\n")
            path.chmod(0o755)
    return path

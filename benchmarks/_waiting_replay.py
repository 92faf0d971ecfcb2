"""One replay of the demo's conversation, printed as JSON: `python _waiting_replay.py RENDERER TURNS yes|no`. Runs with any build.

A context is asked for before each of the assistant's turns. With `yes`, pages are drawn ahead, and a call begins once nothing is left to
draw: the user has thought, or the model has written, as long as that took.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from optical_memory import OpticalMemory

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 600.0  # seconds for what is drawn ahead


def cpu() -> float:
    """CPU seconds of this process and all that come from it, the browser's too (Linux)."""
    parents: dict[int, int] = {}
    spent: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(name)], spent[int(name)] = int(fields[1]), sum(map(int, fields[11:15]))
    own = {os.getpid()}
    while more := {process for process, parent in parents.items() if parent in own} - own:
        own |= more
    return sum(spent[process] for process in own) / TICKS


def sent(context: Any) -> str:
    """The hash of all that is sent: words and images."""
    digest = hashlib.sha256(context.framing.encode())
    for part in context.parts:
        is_page = hasattr(part, "page")
        digest.update((part.text if is_page else repr([(turn.number, turn.text) for turn in part.turns])).encode())
        digest.update(part.image() if is_page else b"")
    return digest.hexdigest()


def main(renderer: str, turns: str, ahead: str) -> None:
    """Replay, and print what each call cost, and a hash of everything that was sent."""
    name = next(path.name for path in files("optical_memory.demo").iterdir() if path.name.endswith(".json"))
    messages = json.loads(files("optical_memory.demo").joinpath(name).read_text("utf-8"))["messages"][: int(turns)]
    options: dict[str, Any] = {"ahead": True} if ahead == "yes" else {}
    memory = OpticalMemory("replay", store="memory://", renderer=renderer, **options)
    digest, waits, began, now = hashlib.sha256(), [], cpu(), datetime(2026, 1, 1, tzinfo=UTC)
    for message in messages:
        if message["role"] == "assistant":
            if ahead == "yes":
                from optical_memory.memory.ahead import settled  # an earlier build has none

                settled(PATIENCE)
            before = cpu()
            context = memory.context()
            waits.append(cpu() - before)
            digest.update(sent(context).encode())
        now += timedelta(seconds=2)
        memory.append({**message, "created_at": now})
    print(json.dumps({"waits": waits, "sent": digest.hexdigest(), "whole": cpu() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:4])

"""How fast an export of ChatGPT is read and imported, and in how much memory. `python -m benchmarks.imports [MEGABYTES] [--store]`.

The file is made for it: conversations of 20 messages, with the fields that an export has beside its texts. Each step runs in a process of
its own, so that its peak memory is its own. With `--store` the file is also imported into a SQLite file, which is indexed as sessions are
searched: the last row is what searching every session for the first time takes.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ._console import open_console

MEGABYTE = 1_000_000
WORDS = (
    "the of and a to in is you that it he was for on are as with his they at be this have from or one had by word but not what all "
    "were we when your can said there use an each which she do how their if will up other about out many then them these so some "
    "her would make like him into time has look two more write go see number no way could people my than first water been call who "
    "oil its now find long down day did get come made may part question-answer naïve café over-night python3 parse_json() "
    "http://example.org/a?b=1 def return None "
)
STEPS = ("split", "read", "store", "index")


def conversation(number: int, rng: random.Random) -> dict[str, Any]:
    """A conversation as the export has it: a tree of 20 messages, a branch that was left, and a hidden system node."""
    words = WORDS.split()
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": ["n0"]}}
    for place in range(20):
        role = ("system", "user", "assistant")[0 if not place else 1 + place % 2]
        text = " ".join(rng.choices(words, k=rng.choice((20, 80, 400)))) if place else ""
        mapping[f"n{place}"] = {
            "id": f"n{place}",
            "parent": f"n{place - 1}" if place else "root",
            "children": [f"n{place + 1}"] if place < 19 else [],
            "message": {
                "id": f"{number:08x}-{place:04x}-4000-8000-000000000000",
                "author": {"role": role, "name": None, "metadata": {}},
                "create_time": 1_700_000_000.5 + number * 1000 + place,
                "update_time": None,
                "content": {"content_type": "text", "parts": [text]},
                "status": "finished_successfully",
                "end_turn": True,
                "weight": 1.0,
                "metadata": {
                    "model_slug": "gpt-4o",
                    "request_id": f"req-{place}",
                    "citations": [],
                    "is_visually_hidden_from_conversation": not place,
                },
                "recipient": "all",
                "channel": None,
            },
        }
    times = {"create_time": 1_700_000_000.5 + number * 1000, "update_time": 1_700_000_500.0 + number * 1000}
    return {"title": f"Chat {number}", **times, "mapping": mapping, "current_node": "n19", "conversation_id": f"conversation-{number}"}


def write(path: Path, size: int) -> None:
    """Write an export of about `size` bytes."""
    rng = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        number = 0
        while file.tell() < size:
            file.write(("," if number else "") + json.dumps(conversation(number, rng), ensure_ascii=number % 2 == 0))
            number += 1
        file.write("]")


def measure(step: str, path: Path) -> None:
    """Do one step and print its seconds of CPU, its peak memory in bytes, and what it counted."""
    from optical_memory.imports import import_into, read_conversations
    from optical_memory.imports.splitting import Text, array_items

    began = time.process_time()
    if step == "split":
        with path.open("rb") as stream:
            text = Text(stream, path.name)
            text.peek()
            count = sum(1 for _ in array_items(text))
    elif step == "read":
        count = sum(len(found.messages) for found in read_conversations(path))
    else:
        url = f"sqlite:///{path.with_suffix('.sqlite3')}"
        count = sum(one.new for one in import_into(url, path))
        if step == "index":
            began = time.process_time()
            count = _searched(url)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.process_time() - began, "peak": peak, "count": count}))


def _searched(url: str) -> int:
    """Search every session once; returns how many turns were found."""
    from optical_memory.stores import open_store

    store = open_store(url)
    return sum(len(store.search(info.id, "the", 1_000)) for info in store.sessions())


def main(arguments: Sequence[str]) -> None:
    """Print a row for each step."""
    if arguments[:1] == ["--step"]:
        measure(arguments[1], Path(arguments[2]))
        return
    size = int(next((one for one in arguments if one.isdecimal()), "50")) * MEGABYTE
    table = Table("step", "bytes", "counted", "CPU s", "MB/s", "peak MB", title="a ChatGPT export, on one core")
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS if "--store" in arguments else STEPS[:2]:
            path = Path(folder, f"{step}.json")
            write(path, size)
            command = [sys.executable, "-m", "benchmarks.imports", "--step", step, str(path)]
            found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            held = os.stat(path).st_size
            rate = held / found["seconds"] / MEGABYTE
            cells = (f"{held:,}", f"{found['count']:,}", f"{found['seconds']:.1f}", f"{rate:.1f}", f"{found['peak'] / MEGABYTE:.0f}")
            table.add_row(step, *cells)
            path.unlink()
    open_console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])

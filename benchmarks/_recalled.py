"""What `recall` finds for the questions of conversations, printed as JSON: `python _recalled.py STORE FILE ...`. Runs with any build."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optical_memory import OpticalMemory
from optical_memory.evaluation.conversations import read_conversation

REACH = 10  # turns


def recalled(url: str, file: Path) -> Iterator[dict[str, Any]]:
    """For each question: the evidence, the turns found, and the CPU seconds it took."""
    talk = read_conversation(file)
    kinds = {entry["question"]: entry.get("category") for entry in json.loads(file.read_text("utf-8"))["questions"]}
    with OpticalMemory(file.stem, store=url) as memory:
        memory.extend(talk.messages)
        for question in talk.questions[:20]:  # what is loaded once is not counted
            memory.recall(question.text, REACH)
        for question in talk.questions:
            began = time.process_time()
            found = [turn.number for turn in memory.recall(question.text, REACH)]
            taken = time.process_time() - began
            yield {"kind": kinds[question.text], "evidence": question.evidence, "found": found, "seconds": taken}


def main(store: str, *files: str) -> None:
    """Print one object: file -> its questions."""
    with TemporaryDirectory() as folder:
        found = {}
        for file in files:
            url = f"sqlite:///{folder}/{Path(file).stem}.db" if store == "sqlite" else "memory://"
            found[file] = list(recalled(url, Path(file)))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

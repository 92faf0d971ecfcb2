"""One conversation in one memory, printed as JSON: `python _whole_session.py RENDERER FILE READER GROWS`. Runs with any build."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from optical_memory import OpticalMemory
from optical_memory.renderers.base import open_renderer


def main(renderer: str, file: str, reader: str, grows: str) -> None:
    """Measure the last context: of the whole log at once, or (`grows`) after one at every user's turn."""
    messages = json.loads(Path(file).read_text("utf-8"))["messages"]
    memory = OpticalMemory(store="memory://", renderer=open_renderer(renderer), reader=reader)
    warm = OpticalMemory(store="memory://", renderer="pillow", reader=reader)  # loads the token counter
    warm.append(("user", "x"))
    warm.context()
    began = time.process_time()
    for message in messages:
        memory.append(message)
        if grows == "yes" and message["role"] == "user":
            memory.context()
    context = memory.context()
    print(
        json.dumps(
            {
                "seconds": time.process_time() - began,
                "pages": len(memory.pages()),
                "sent": context.usage.prompt_tokens,
                "references": sum(len(getattr(part.page, "same_as", ())) for part in context.pages),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

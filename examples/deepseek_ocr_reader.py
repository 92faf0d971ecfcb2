"""Ask DeepSeek-OCR, run on this machine, about a long conversation: pages go in as DeepEncoder tokens.

`python examples/deepseek_ocr_reader.py [WEIGHTS]`; without weights a tiny model with RANDOM weights shows the way and answers nonsense.
"""

import sys
import tempfile
from pathlib import Path

from optical_memory import OpticalMemory
from optical_memory.deepseek_ocr.tiny import make_tiny
from optical_memory.readers import open_reader


def main(weights: str | None = None) -> None:
    memory = OpticalMemory("deepseek-ocr-reader", store="memory://")
    for n in range(1, 41):
        memory.append(("user", f"Parcel QX-77{n:03}: where is it? " + "It was sent on a Tuesday, by rail, insured. " * 12))
        memory.append(("assistant", f"Parcel {n} left Lyon on track {n % 9}. " + "The next scan is in Hamburg, at noon. " * 12))
    context = memory.context(budget=6_000)
    print(context.usage)

    reader = open_reader("deepseek-ocr", weights=weights or make_tiny(Path(tempfile.mkdtemp()) / "tiny"))
    print(reader, "- the answers are nonsense" if reader.random else "")
    for question in ("Which track did parcel 7 leave on?", "And parcel 8?"):
        print(question, "->", end=" ", flush=True)
        for piece in reader.answer(context, question, max_tokens=40):
            print(piece, end="", flush=True)
        print()
    print("page 1 at Small:", reader.transcribe(memory.pages()[0], tier="small", max_tokens=40))
    print(reader.stats())


if __name__ == "__main__":
    main(*sys.argv[1:])

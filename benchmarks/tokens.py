"""How far the estimated token counts are from the true ones, kind of text by kind, and how fast counting is.

The kinds come from the tests' conversations and from strings made here. Without a real tokenizer on this machine only the speed is shown.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sysconfig
import time
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from optical_memory.text.token_count import Estimate, TokenCounter, open_counter

DATA = Path(__file__).parent.parent / "tests" / "data"
SAMPLE_TOKENS = 500
CONVERSATIONS = {
    "prose": "assistant-chats",
    "logs": "coding-agent",
    "yaml": "office-agent",
    "chinese": "travel-chat-chinese",
    "maths": "reasoning-maths-code",
}


@lru_cache(maxsize=1)
def reference() -> TokenCounter | None:
    """A real tokenizer for o200k_base, if one is at hand."""
    counter = open_counter("o200k_base")
    return None if counter.name == "estimate" else counter


def samples(text: str, counter: TokenCounter) -> Iterator[str]:
    """Text in pieces of about 500 tokens; a short last one is left out."""
    size = max(1, len(text) * SAMPLE_TOKENS // max(1, counter.count(text)))
    for start in range(0, len(text), size):
        if len(text) - start > size // 2:
            yield text[start : start + size]


def kinds() -> dict[str, str]:
    """Texts by kind."""
    rng = random.Random(7)
    emoji = [chr(code) for code in (*range(0x1F600, 0x1F650), *range(0x1F300, 0x1F5FF), *range(0x2600, 0x26FF))]
    library = Path(sysconfig.get_paths()["stdlib"])
    found = {
        "code": "\n".join((library / name).read_text(encoding="utf-8") for name in ("argparse.py", "dataclasses.py", "heapq.py")),
        "emoji": " ".join(rng.choice(emoji) + rng.choice(emoji) for _ in range(2_000)),
        "hex": "\n".join(hashlib.sha256(bytes([n % 256])).hexdigest() for n in range(200)),
        "uuid": "\n".join(str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(400)),
        "base64": "\n".join(base64.b64encode(rng.randbytes(45)).decode() for _ in range(200)),
    }
    files = {kind: DATA / f"{name}.json" for kind, name in CONVERSATIONS.items()}
    return found | {kind: _conversation(file) for kind, file in files.items() if file.exists()}


def _conversation(file: Path) -> str:
    messages = json.loads(file.read_text(encoding="utf-8"))["messages"]
    return "\n".join(message["content"] for message in messages if isinstance(message["content"], str))


def main() -> None:
    """Print a row for each kind."""
    estimate, real = Estimate(), reference()
    print(f"{'kind':10}{'chars':>9}{'total':>9}{'least':>9}{'most':>9}{'ms per 4 kB':>14}")
    for kind, text in sorted(kinds().items()):
        began = time.perf_counter()
        estimated = estimate.count(text)
        speed = (time.perf_counter() - began) * 1000 * 4096 / len(text.encode())
        errors = ["-"] * 3
        if real is not None:
            ratios = [estimate.count(sample) / real.count(sample) - 1 for sample in samples(text, real)]
            errors = [f"{error:+.1%}" for error in (estimated / real.count(text) - 1, min(ratios), max(ratios))]
        print(f"{kind:10}{len(text):>9}{errors[0]:>9}{errors[1]:>9}{errors[2]:>9}{speed:>14.2f}")
    print(f"compared with {real.name}" if real else "no real tokenizer here to compare with")


if __name__ == "__main__":
    main()

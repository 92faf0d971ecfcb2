"""A chat in the terminal with Claude, the stable prefix marked for the prompt cache.

`ANTHROPIC_API_KEY` is yours; `python examples/anthropic_loop.py MODEL`.
"""

import sys

from anthropic import Anthropic

from optical_memory import OpticalMemory


def main(model: str) -> None:
    client, memory = Anthropic(), OpticalMemory("anthropic-loop", reader="claude")
    for line in map(str.strip, sys.stdin):
        memory.append(("user", line))
        messages = memory.messages(budget=20_000, dialect="anthropic", cache=True)
        answer = client.messages.create(model=model, max_tokens=2_000, messages=messages)
        memory.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
        print("".join(block.text for block in answer.content if block.type == "text"), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

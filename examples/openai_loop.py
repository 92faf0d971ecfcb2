"""A chat in the terminal with any server that speaks OpenAI's chat completions. Its past goes as pages.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where; `python examples/openai_loop.py MODEL`.
"""

import sys

from openai import OpenAI

from optical_memory import OpticalMemory
from optical_memory.profiles.registry import profile_for_model


def main(model: str) -> None:
    client, memory = OpenAI(), OpticalMemory("openai-loop", reader=profile_for_model(model) or "gpt-4o")
    for line in map(str.strip, sys.stdin):
        memory.append(("user", line))
        answer = client.chat.completions.create(model=model, messages=memory.messages(budget=20_000))
        memory.append(answer.choices[0].message.model_dump(exclude_none=True))
        print(answer.choices[0].message.content, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

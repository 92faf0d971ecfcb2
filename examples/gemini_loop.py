"""A chat in the terminal with Gemini. `GEMINI_API_KEY` is yours; `python examples/gemini_loop.py MODEL`."""

import os
import sys

from google import genai

from optical_memory import OpticalMemory


def main(model: str) -> None:
    options = {"base_url": os.environ["GEMINI_BASE_URL"]} if "GEMINI_BASE_URL" in os.environ else None
    client, memory = genai.Client(http_options=options), OpticalMemory("gemini-loop", reader="gemini-3")
    for line in map(str.strip, sys.stdin):
        memory.append(("user", line))
        answer = client.models.generate_content(model=model, contents=memory.messages(budget=20_000, dialect="gemini"))
        memory.append(("assistant", answer.text or ""))
        print(answer.text, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

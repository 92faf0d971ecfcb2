"""A chat over a folder of PDFs, with any server that speaks OpenAI's chat completions: an overview of all, sharp pages for each question.

`OPENAI_BASE_URL` and `OPENAI_API_KEY` say where; `python examples/documents_library.py MODEL FOLDER`.
"""

import sys
from pathlib import Path

from openai import OpenAI

from optical_memory import OpticalMemory
from optical_memory.memory.library import Library
from optical_memory.profiles.registry import profile_for_model


def main(model: str, folder: str) -> None:
    client, library = OpenAI(), Library("documents-library")
    memory = OpticalMemory("documents-library", reader=profile_for_model(model) or "gpt-4o")
    for path in sorted(Path(folder).glob("*.pdf")):
        print(f"{path.name}: {len(library.attach(path).pages)} pages", file=sys.stderr)
    for line in map(str.strip, sys.stdin):
        memory.append(("user", line))
        answer = client.chat.completions.create(model=model, messages=memory.messages(budget=20_000, libraries=[library]))
        memory.append(answer.choices[0].message.model_dump(exclude_none=True))
        print(answer.choices[0].message.content, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

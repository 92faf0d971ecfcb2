"""Share of questions whose evidence is legible, at equal budgets: a schedule by age and the best use of a budget, read by two OCR engines.

`python -m benchmarks.forgetting FILE ... [--tokens N] [--cache FOLDER]`: conversations with questions, as `optical-memory eval` takes them,
each cut to its first N tokens (24,000) and to the questions whose evidence is among them. What was read is kept in the cache folder, so
that only pages that changed are read again. Each engine is a reader with a profile: DeepSeek-OCR's prices and its own legibility, as
`calibrate` would measure it, which decides what a budget is spent on. Choose settings on other conversations than those reported.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.table import Table

from optical_memory import OpticalMemory
from optical_memory.errors import MissingExtra, ProgramNotFound
from optical_memory.evaluation.conversations import Conversation, read_conversation
from optical_memory.evaluation.harness import Evaluation, Result
from optical_memory.evaluation.legibility import ReadPicture
from optical_memory.evaluation.policies import POLICIES, cost_of
from optical_memory.profiles.profile import ReaderProfile
from optical_memory.readers.rapidocr import RapidOcrReader
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.base import open_renderer
from optical_memory.stores import open_store

from ._console import open_console

ENGINES: dict[str, Callable[[], OcrReader | RapidOcrReader]] = {"tesseract": OcrReader, "rapidocr": RapidOcrReader}
NAMES = ("aged", "aged + shaped", "best use", "best use + shaped")
BUDGETS = (1_000, 2_000, 4_000)
READER = "deepseek-ocr"  # by whose counting conversations are cut


def cut(talk: Conversation, tokens: int) -> Conversation:
    """The first turns of a conversation, and the questions that they answer."""
    with OpticalMemory(store="memory://", renderer="pillow", reader=READER) as memory:
        memory.extend(talk.messages)
        cost, spent, kept = cost_of(memory), 0, 0
        for turn in memory.turns():
            spent += cost(turn)
            if spent > tokens:
                break
            kept = turn.number
    asked = tuple(question for question in talk.questions if max(question.evidence) <= kept)
    return replace(talk, messages=talk.messages[:kept], questions=asked)


def kept_in(folder: Path | None, engine: OcrReader | RapidOcrReader, png: bytes, letter: float) -> str:
    """Read a picture, or return what was read before."""
    if folder is None:
        return engine.read_picture(png, letter=letter)
    file = folder / hashlib.sha256(png + repr(letter).encode()).hexdigest()
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")  # so that a run that is ended leaves no half of a reading
        part.write_text(engine.read_picture(png, letter=letter), "utf-8")
        part.replace(file)
    return file.read_text("utf-8")


def measured(
    talks: Sequence[Conversation], reader: ReaderProfile, read: ReadPicture, renderer: str, names: Sequence[str] = NAMES
) -> dict[tuple[str, int], list[Result]]:
    """Results by policy and budget."""
    store, drawing = open_store("memory://"), open_renderer(renderer)
    found: dict[tuple[str, int], list[Result]] = {(name, budget): [] for name in names for budget in BUDGETS}
    for talk in talks:
        evaluation = Evaluation(talk, store, drawing, reader, read)
        for (name, budget), results in found.items():
            results += evaluation.results(POLICIES[name], budget, {}, 0)
    return found


def main(arguments: Sequence[str]) -> None:
    """Print a table for each engine that is installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forgetting")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--tokens", type=int, default=24_000)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--renderer", default="auto")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--policies", nargs="+", default=list(NAMES), choices=list(POLICIES))
    given = parser.parse_args(arguments)
    if not given.files:
        print("name conversations with questions: JSON with `messages` and `questions`")
        return
    talks = [cut(read_conversation(file, categories=(4,)), given.tokens) for file in given.files]
    for name in given.engines:
        try:
            engine = ENGINES[name]()
            read = partial(kept_in, given.cache and given.cache / name, engine)
            found = measured(talks, engine.profile, read, given.renderer, given.policies)
        except (MissingExtra, ProgramNotFound) as exc:
            print(f"{name} is left out: {exc}", file=sys.stderr)
            continue
        table = Table("policy", "budget", "sends", "legible", "facts", title=f"read by {name}")
        for (policy, budget), results in found.items():
            told = [result.facts for result in results if result.facts is not None]
            sends = f"{sum(result.tokens for result in results) / len(results):.0f}" if results else "does not fit"
            table.add_row(policy, str(budget), sends, _share([result.legible for result in results]), _share(told))
        open_console().print(table)


def _share(found: Sequence[bool]) -> str:
    return f"{sum(found) / len(found):.0%} of {len(found)}" if found else "-"


if __name__ == "__main__":
    main(sys.argv[1:])

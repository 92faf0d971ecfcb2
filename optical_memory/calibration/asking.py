"""Ask a reader for the probes of a chart: one request per chart.

A transcribing reader returns the whole page, and each probe is found by its number. A chat model is asked for the probes only, as a JSON
object, with null for what it cannot read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..profiles.profile import ReaderProfile
from ..readers.base import Reader
from ..readers.chat_server import ChatModelReader
from ..text.token_count import open_counter
from .eye_charts import Chart

__all__ = ["Asker", "ChatAsker", "Reply", "TranscribingAsker", "asker_for", "found_in_json", "found_in_transcription"]

PROMPTLESS = ("tesseract", "rapidocr")  # OCR engines, which need no prompt and bill nothing
ANSWER_TOKENS_EACH = 48  # room for one probe in the answer; enough for costly scripts and long paths
QUESTION = (
    "This page shows numbered turns of a record; each begins with # and its number and role. Copy the text of the turns listed here, "
    "character for character, without the number and the role. The text is random: nothing can be inferred, so do not guess. Answer with "
    "one JSON object and nothing else, with each number as a key and its text as the value, or null for a turn that you cannot read for "
    "certain.\nTurns: {numbers}"
)
ROLE = "(?:user|assistant|tool)"
HEAD = re.compile(  # where its # was read, it may be glued to what follows; the bar before it may be read as a sign
    rf"(?:(?m:^[|¦\[\](){{}}!Il1][ \t]*)?\*{{0,2}}#\s?(\d{{1,4}})[.,:]?\s*{ROLE}"
    rf"|(?:^|(?<=\s))[*H]{{0,3}}(\d{{1,4}})[.,:]?\s+{ROLE}\b)[:.*]*[ \t]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reader's reply to a chart.

    Attributes:
        answers: answers by number; None where it abstained. Numbers that it left out are absent.
        raw: the text of the reply.
        tokens: billed tokens, prompt and answer; None if not reported.
    """

    answers: dict[int, str | None]
    raw: str
    tokens: int | None = None


class Asker(Protocol):
    """Sends a chart to a reader and asks for its probes."""

    @property
    def profile(self) -> ReaderProfile:
        """The reader's profile."""
        ...

    def text_tokens(self, numbers: Sequence[int]) -> int:
        """Return the tokens of the question beside the image."""
        ...

    def answer_tokens(self, probes: int) -> int:
        """Return the most tokens of an answer."""
        ...

    def ask(self, chart: Chart) -> Reply:
        """Send one request. Raises `ReaderError`."""
        ...


class TranscribingAsker:
    """Asks a reader for the whole page."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self.profile = reader, reader.profile

    def text_tokens(self, numbers: Sequence[int]) -> int:
        return 0 if self.profile.name in PROMPTLESS else 16

    def answer_tokens(self, probes: int) -> int:
        return 0 if self.profile.name in PROMPTLESS else 4096

    def ask(self, chart: Chart) -> Reply:
        said = self._reader.transcribe(chart.page, tier=chart.name.tier)
        return Reply(found_in_transcription(said), said)


class ChatAsker:
    """Asks a chat model for the probes."""

    def __init__(self, reader: ChatModelReader) -> None:
        self._reader, self.profile = reader, reader.profile
        self._counter = open_counter(self.profile.encoding)

    def text_tokens(self, numbers: Sequence[int]) -> int:
        return self._counter.count(_question(numbers)) + self.profile.message_tokens

    def answer_tokens(self, probes: int) -> int:
        return 32 + ANSWER_TOKENS_EACH * probes

    def ask(self, chart: Chart) -> Reply:
        numbers = [probe.number for probe in chart.probes]
        answer = self._reader.look(chart.page, _question(numbers), tier=chart.name.tier, max_tokens=self.answer_tokens(len(numbers)))
        said = str(answer)
        billed = answer.usage.prompt_tokens + answer.usage.answer_tokens if answer.usage else None
        return Reply(found_in_json(said), said, billed)


def asker_for(reader: Reader) -> Asker:
    """Return the asker of a reader: chat models are asked; DeepSeek-OCR's family, and readers in this process, transcribe."""
    if isinstance(reader, ChatModelReader) and not reader.deepseek:
        return ChatAsker(reader)
    return TranscribingAsker(reader)


def found_in_transcription(said: str) -> dict[int, str | None]:
    """Return the text of each number, from its head to the next; the first if a number occurs twice."""
    heads = list(HEAD.finditer(said))
    ends = [head.start() for head in heads[1:]] + [len(said)]
    found: dict[int, str | None] = {}
    for head, end in zip(heads, ends, strict=False):  # without a head there is one end
        found.setdefault(int(head[1] or head[2]), " ".join(said[head.end() : end].split()) or None)
    return found


def found_in_json(said: str) -> dict[int, str | None]:
    """Return the answers in a JSON object, with or without a code fence or text around it; empty without one."""
    begin, end = said.find("{"), said.rfind("}")
    try:
        given = json.loads(said[begin : end + 1]) if 0 <= begin < end else {}
    except ValueError:
        return {}
    pairs = ((re.search(r"\d+", str(key)), value) for key, value in given.items())
    return {int(number[0]): value if isinstance(value, str) and value.strip() else None for number, value in pairs if number}


def _question(numbers: Sequence[int]) -> str:
    return QUESTION.format(numbers=", ".join(f"#{number}" for number in numbers))

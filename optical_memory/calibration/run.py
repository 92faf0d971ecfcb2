"""Run a calibration: chart by chart in a fixed order, within bounds, each result written before the next request.

The results are JSON lines: a head with the settings, then one line per chart. A killed run resumes after the last complete line, and ends
with the same file if the reader is deterministic. At most the request in progress is asked twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import UnknownName
from ..pages.tiers import Tier
from ..readers.base import Reader
from ..readers.rapidocr import RapidOcrReader
from ..readers.tesseract import OcrReader
from ..renderers.base import Renderer
from ..text.excerpts import shape
from ..text.token_count import open_counter
from .asking import Asker, Reply
from .eye_charts import BROKEN_ANYWHERE, KINDS, Chart, ChartName, draw
from .scoring import Answered

__all__ = ["Bounds", "Outcome", "Price", "Record", "Settings", "price_of", "read_results", "run", "usable_kinds"]

LANGUAGES = {"chinese": "chi_sim", "arabic": "ara"}  # Tesseract's names; the other kinds are Latin letters
SAMPLES = 20  # texts of a kind, to check whether the fonts can draw it


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a calibration.

    Attributes:
        reader: the reader's name; results of another are never resumed.
        font_sizes: font sizes on the reader's sealed page, in pixels; a rung scales them with the image.
        rounds: number of charts per kind, rung and size.
        probes: number of texts asked for on each chart.
    """

    reader: str
    kinds: tuple[str, ...]
    tiers: tuple[Tier, ...]
    font_sizes: tuple[float, ...]
    rounds: int = 4
    probes: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ValueError(f"unknown kinds {unknown!r}; known: {', '.join(KINDS)}")
        if not self.tiers or not self.font_sizes or min(self.rounds, self.probes) < 1:
            raise ValueError("a calibration needs at least one rung, one font size, one chart and one probe")
        if not all(6 <= size <= 64 for size in self.font_sizes):
            raise ValueError(f"font sizes {self.font_sizes!r} are not all between 6 and 64 px")

    def names(self) -> Iterator[ChartName]:
        """Yield all charts in order. Rounds are the outer loop, so that an incomplete run covers every rung and size about equally."""
        for at in range(self.rounds):
            for tier in sorted(self.tiers, reverse=True):
                for size in sorted(self.font_sizes, reverse=True):
                    yield from (ChartName(kind, tier, size, at) for kind in self.kinds)

    def as_json(self) -> dict[str, Any]:
        """Return the first line of the results."""
        return asdict(self) | {"tiers": [tier.label for tier in self.tiers], "v": 1}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits for all runs into one file of results; None for no limit."""

    requests: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """Cost of a whole calibration, before anything is asked. Answers are an upper bound; excludes retries."""

    requests: int = 0
    picture_tokens: int = 0
    text_tokens: int = 0
    answer_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Total tokens."""
        return self.picture_tokens + self.text_tokens + self.answer_tokens

    def __add__(self, other: Price) -> Price:
        return Price(
            self.requests + other.requests,
            self.picture_tokens + other.picture_tokens,
            self.text_tokens + other.text_tokens,
            self.answer_tokens + other.answer_tokens,
        )


@dataclass(frozen=True, slots=True)
class Record:
    """The result of one chart.

    Attributes:
        tokens: billed tokens; if not reported, by the profile's formula and a count of the text.
        malformed: whether the reply had text, but no answers.
    """

    name: ChartName
    fill: float
    answers: tuple[Answered, ...]
    tokens: int
    malformed: bool = False

    def line(self) -> str:
        """Return the line in the results."""
        probes = [{"number": a.number, "truth": a.truth, "answer": a.answer, "outcome": a.outcome} for a in self.answers]
        head = {**asdict(self.name), "tier": self.name.tier.label, "fill": round(self.fill, 3), "tokens": self.tokens}
        return json.dumps({**head, "malformed": self.malformed, "probes": probes}, ensure_ascii=False) + "\n"

    @classmethod
    def of(cls, line: str) -> Record:
        """Parse a line. Raises `ValueError`."""
        try:
            found = json.loads(line)
            name = ChartName(found["kind"], Tier.parse(found["tier"]), found["font_size"], found["round"])
            spaced = name.kind not in BROKEN_ANYWHERE
            answers = tuple(Answered(item["number"], item["truth"], item["answer"], spaced) for item in found["probes"])
            return cls(name, found["fill"], answers, found["tokens"], found["malformed"])
        except (KeyError, TypeError) as exc:
            raise ValueError(f"no result of a calibration: {shape(line)}") from exc


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a run, and why it ended before the last chart, if it did."""

    records: tuple[Record, ...]
    stopped: str = ""


def usable_kinds(kinds: Sequence[str], renderer: Renderer, reader: Reader) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the kinds that fonts and reader support, and the reasons for leaving out the others. Raises `UnknownName`."""
    left_out: dict[str, str] = {}
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName("kind of text", kind, list(KINDS))
        if kind in LANGUAGES and isinstance(reader, OcrReader) and LANGUAGES[kind] not in reader.language.split("+"):
            left_out[kind] = f"Tesseract was opened with {reader.language!r}, not with {LANGUAGES[kind]!r}"
            continue
        if kind == "arabic" and isinstance(reader, RapidOcrReader):
            left_out[kind] = "the networks in RapidOCR's package do not read Arabic letters"
            continue
        try:
            font_size = reader.profile.page_style().font_size
            draw(ChartName(kind, Tier.BASE, font_size, 0), renderer, reader.profile, seed=0, probes=SAMPLES)
        except ValueError as exc:
            left_out[kind] = str(exc)
    return tuple(kind for kind in kinds if kind not in left_out), left_out


def price_of(settings: Settings, asker: Asker) -> Price:
    """Return the most that a run costs, without drawing or asking."""
    size, numbers = asker.profile.page_style().pixel_size, range(100, 100 + settings.probes)
    return sum((_price(name.tier, size, numbers, asker) for name in settings.names()), Price())


def run(
    settings: Settings,
    asker: Asker,
    renderer: Renderer,
    path: Path,
    *,
    bounds: Bounds | None = None,
    advance: Callable[[int], None] = lambda steps: None,
) -> Outcome:
    """Ask for every chart without a result in `path`, within the bounds.

    Raises `ReaderError`, keeping the results, so that the next run resumes; `ValueError` if `path` holds results of other settings.
    """
    bounds = bounds or Bounds()
    records = _resumed(settings, path)
    advance(len(records))
    with path.open("a", encoding="utf-8") as file:
        for name in list(settings.names())[len(records) :]:
            if bounds.requests is not None and len(records) >= bounds.requests:
                return Outcome(tuple(records), f"the bound of {bounds.requests} requests is reached")
            chart = draw(name, renderer, asker.profile, seed=settings.seed, probes=settings.probes)
            price = _price(name.tier, (chart.page.width, chart.page.height), [probe.number for probe in chart.probes], asker)
            if bounds.tokens is not None and sum(record.tokens for record in records) + price.tokens > bounds.tokens:
                return Outcome(tuple(records), f"the next chart could pass the bound of {bounds.tokens:,} tokens")
            records.append(_record(chart, asker.ask(chart), price, asker))
            file.write(records[-1].line())
            file.flush()
            advance(1)
    return Outcome(tuple(records))


def read_results(path: Path) -> tuple[dict[str, Any], list[Record]]:
    """Read the settings and the complete lines of a file of results. Raises `ValueError`."""
    head, *lines = path.read_text("utf-8").split("\n")[:-1] or ["{}"]
    return json.loads(head), [Record.of(line) for line in lines]


def _resumed(settings: Settings, path: Path) -> list[Record]:
    """Read the results in `path`, and truncate it after its last complete line; begin a new file with the settings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if not whole:
        path.write_text(json.dumps(settings.as_json(), ensure_ascii=False) + "\n", encoding="utf-8")
        return []
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    head, records = read_results(path)
    if head != json.loads(json.dumps(settings.as_json())):
        raise ValueError(f"{str(path)!r} holds the results of other settings or another reader; pass another folder, or delete it")
    if [record.name for record in records] != list(settings.names())[: len(records)]:
        raise ValueError(f"the results in {str(path)!r} are not in order; pass another folder, or delete it")
    return records


def _record(chart: Chart, reply: Reply, price: Price, asker: Asker) -> Record:
    spaced = chart.name.kind not in BROKEN_ANYWHERE
    answers = tuple(Answered(probe.number, probe.text, reply.answers.get(probe.number), spaced) for probe in chart.probes)
    written = open_counter(asker.profile.encoding).count(reply.raw) if price.answer_tokens else 0
    tokens = reply.tokens if reply.tokens is not None else price.picture_tokens + price.text_tokens + written
    return Record(chart.name, chart.fill, answers, tokens, malformed=bool(reply.raw.strip()) and not reply.answers)


def _price(tier: Tier, size: tuple[int, int], numbers: Sequence[int], asker: Asker) -> Price:
    return Price(1, asker.profile.page_tokens(*size, tier), asker.text_tokens(numbers), asker.answer_tokens(len(numbers)))

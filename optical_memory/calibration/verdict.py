"""Judge results: the accuracy curve of each kind of text, the smallest letters and the faintest rung that meet a target."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..line_chart import HEIGHT, WIDTH, Line, line_chart
from ..pages.page import SANS_ADVANCE, PageStyle
from ..pages.tiers import Tier
from ..profiles.profile import EyeTest, ReaderProfile, Rung
from .run import Record
from .scoring import Score, score

__all__ = ["Place", "Verdict", "plot", "profile_with", "verdict_of", "write_profile"]

STYLE = """
text{font:14px sans-serif;fill:#333}.axis,.title{font-size:15px}.title{font-weight:bold}.grid{stroke:#ddd}
polyline{fill:none;stroke-width:3}.end{font-size:14px}
"""
COLOURS = ("#1f5fa8", "#c2571a", "#2d8a4e", "#8a3fa0", "#b8a000", "#555555", "#c02050", "#00a0a0")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A point of the calibration: a kind of text at a rung and a size."""

    kind: str
    tier: Tier
    font_size: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a calibration.

    Attributes:
        scores: scores by place.
        floor: the faintest rung whose pages, in `font_size`, meet the target with every kind, with no failing rung between it and the
            sharpest that does; None without one.
        letters: by rung, the smallest font size in pixels of the rung's image that meets the target with every kind; rungs without one are
            absent.
        floors: the faintest rung of each kind.
        sides: side of the whole page at each rung, in pixels.
        canvas: longer side of the sealed page, in pixels.
    """

    target: float
    font_size: float
    scores: dict[Place, Score]
    floor: Tier | None
    letters: dict[Tier, float]
    floors: dict[str, Tier | None]
    sides: dict[Tier, int]
    canvas: int

    @property
    def letter(self) -> float | None:
        """The smallest of `letters` at any rung; None if no letters meet the target."""
        return min(self.letters.values(), default=None)

    def letter_shown(self, place: Place) -> float:
        """Return the font size in pixels of the rung's image."""
        return place.font_size * self.sides[place.tier] / self.canvas

    @property
    def kinds(self) -> list[str]:
        return list(self.floors)

    @property
    def total(self) -> Score:
        return sum(self.scores.values(), Score())


def verdict_of(records: Iterable[Record], profile: ReaderProfile, target: float = 0.95) -> Verdict:
    """Judge results. A place meets the target if the lower end of the Wilson interval of its exact rate does.

    Args:
        profile: the reader's profile; the measured size nearest to its pages' font determines the floor.

    Raises `ValueError` if there are no results.
    """
    scores: dict[Place, Score] = {}
    for record in records:
        place = Place(record.name.kind, record.name.tier, record.name.font_size)
        scores[place] = scores.get(place, Score()) + score(record.answers)
    if not scores:
        raise ValueError("no chart was read: there is nothing to judge")
    kinds, tiers = list(dict.fromkeys(place.kind for place in scores)), sorted({place.tier for place in scores})
    sizes = sorted({place.font_size for place in scores})
    style = profile.page_style()
    drawn = min(sizes, key=lambda size: abs(size - style.font_size))
    sides, canvas = {tier: profile.side(tier) for tier in tiers}, max(style.pixel_size)

    def meet(names: Sequence[str], tier: Tier, size: float) -> bool:
        found = [scores.get(Place(kind, tier, size), Score()) for kind in names]
        return all(item.interval[0] >= target for item in found)

    def faintest(names: Sequence[str]) -> Tier | None:
        """Return the last rung before one that misses the target, from the sharpest that meets it downwards."""
        downwards = itertools.dropwhile(lambda tier: not meet(names, tier, drawn), reversed(tiers))
        return min(itertools.takewhile(lambda tier: meet(names, tier, drawn), downwards), default=None)

    read = {tier: [size for size in sizes if meet(kinds, tier, size)] for tier in tiers}
    letters = {tier: found[0] * sides[tier] / canvas for tier, found in read.items() if found}
    floors = {kind: faintest([kind]) for kind in kinds}
    return Verdict(target, drawn, scores, faintest(kinds), letters, floors, sides, canvas)


def profile_with(profile: ReaderProfile, verdict: Verdict, *, name: str, by: str) -> ReaderProfile:
    """Return the reader's profile with the measured floor and its evidence.

    If pages are laid out for the reader, they are set in the smallest letters that met the target at every rung from the floor up, and
    fainter rungs are not used. A rung that met it in no size keeps its cell.
    """
    letter = verdict.letter
    cell = _cell(letter) if letter else None
    measured = EyeTest(
        on=f"{datetime.now(UTC):%Y-%m-%d}",
        by=by,
        target=verdict.target,
        met=verdict.floor is not None,
        letter=letter and round(letter, 3),
        cell=cell and (round(cell[0], 2), round(cell[1], 2)),
        floors={kind: floor.label if floor else "none" for kind, floor in verdict.floors.items()},
        probes=verdict.total.probes,
    )
    rungs, allow = profile.rungs, profile.allow
    if profile.page and verdict.floor:
        rungs = {tier: _judged(rung, tier, verdict) for tier, rung in rungs.items()}
        allow = tuple(tier for tier in allow if tier >= verdict.floor)
    floor = verdict.floor or max(place.tier for place in verdict.scores)
    return profile.model_copy(update={"name": name, "floor": floor, "rungs": rungs, "allow": allow, "measured": measured})


def _judged(rung: Rung, tier: Tier, verdict: Verdict) -> Rung:
    """Apply the verdict to a rung: off below the floor, with its measured cell above."""
    if verdict.floor and tier < verdict.floor:
        return rung.model_copy(update={"default": False, "evidence": "failed the calibration"})
    if tier not in verdict.letters:
        return rung
    return rung.model_copy(update={"cell": math.floor(math.prod(_cell(verdict.letters[tier])))})


def _cell(letter: float) -> tuple[float, float]:
    """Return mean width and height in pixels of a character of prose at font size `letter`."""
    return letter * SANS_ADVANCE, letter * PageStyle().line_height


def write_profile(path: Path, profile: ReaderProfile) -> None:
    """Write TOML for `load_profile` and `OPTICAL_MEMORY_PROFILES`."""
    plain = profile.model_dump(exclude_none=True, exclude={"name", "v"})
    plain |= {"floor": profile.floor.label, "allow": [tier.label for tier in profile.allow]}
    plain["rungs"] = {tier.label: rung for tier, rung in plain["rungs"].items()}
    tables = {key: value for key, value in plain.items() if isinstance(value, dict) and key != "formula"}
    head = json.dumps(profile.name)
    lines = [f"[{head}]", *(f"{key} = {_toml(value)}" for key, value in plain.items() if key not in tables)]
    for name, table in tables.items():
        lines += ["", f"[{head}.{name}]", *(f"{json.dumps(key)} = {_toml(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are written the same in JSON and TOML


def plot(verdict: Verdict) -> str:
    """Plot the accuracy curves as one SVG: a panel per kind, a line per font size, exact answers over the rung's side."""
    sizes = sorted({place.font_size for place in verdict.scores}, reverse=True)
    colours = "".join(
        f".s{at} polyline{{stroke:{COLOURS[at % 8]}}}.s{at} circle,.s{at}.end{{fill:{COLOURS[at % 8]}}}" for at in range(len(sizes))
    )
    height = HEIGHT + 30
    panels = []
    for at, kind in enumerate(verdict.kinds):
        title = f'<text class="title" x="4" y="{at * height + 22}">{kind}</text>'
        panels.append(f'{title}<g transform="translate(0 {at * height + 30})">{_panel(verdict, kind, sizes)}</g>')
    whole = height * len(panels)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" width="{WIDTH}" height="{whole}">'
    return f'{head}<style>{STYLE}{colours}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(panels)}</svg>\n'


def _panel(verdict: Verdict, kind: str, sizes: Sequence[float]) -> str:
    lines = []
    for at, size in enumerate(sizes):
        places = sorted(place for place in verdict.scores if place.kind == kind and place.font_size == size)
        points: dict[float, Score] = {}
        for place in places:  # Large and Gundam have the same size
            side = verdict.sides[place.tier]
            points[side] = points.get(side, Score()) + verdict.scores[place]
        exact = tuple((side, 100 * found.exact_rate) for side, found in sorted(points.items()))
        lines.append(Line(f"{size:g} px", f"s{at}", exact))
    ticks = sorted(set(verdict.sides.values()))
    chart = line_chart(
        f"Exact answers: {kind}", lines, x_label="side of the picture in pixels", y_label="exact answers, %", top=100, x_ticks=ticks
    )
    return chart.replace("<svg ", f'<svg width="{WIDTH}" height="{HEIGHT}" ', 1)

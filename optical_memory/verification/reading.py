"""Verify by reading: a reader transcribes the page at a tier, and its text is compared with what was drawn."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..pages.page import Page, Segment
from ..pages.tiers import Tier
from ..profiles.profile import ReaderProfile
from ..readers.base import open_reader
from ..renderers.document.blocks_of_turn import blocks_of
from ..renderers.document.turn_heads import reference_to
from ..text.excerpts import excerpt
from ..turns.repeated import RepeatedTurn
from ..turns.turn import Turn
from .alignment import best_match, faults
from .base import Verification
from .words import LARGEST_ERROR, critical_spans, plain, words_of

__all__ = ["FLOOR", "ByReading", "PageReader"]

FLOOR = 0.6  # least share of the strings and of the segments read; see docs/experiments/verified-tiers.md
SAMPLE = 12  # segments checked per page; reading a page takes seconds, finding a segment milliseconds
SHORTEST, LONGEST = 16, 1_000  # characters of a probe: a shorter one matches by chance, a longer one adds nothing
SLICES, SLICE = 4, 200  # number and characters of slices of a reading, for a page with only the middle of a turn
MOST_OF_A_TURN = 1_000_000  # characters of a turn searched for such a slice
MEASURE = "2"  # version of what is checked and how it is counted; part of the fingerprint


class PageReader(Protocol):
    """What verification needs of a reader; every `readers.base.Reader` has it."""

    @property
    def profile(self) -> ReaderProfile: ...
    def transcribe(self, page: Page, *, tier: Tier | str = Tier.BASE) -> str:
        """Return the text of a page at a tier, as read by this reader."""
        ...


class ByReading:
    """Passes a page at a tier if a reader reads enough of it.

    Checked are the strings of the sidecar that are known to be on the page, each to be exact, and a sample of its segments, the same at
    every tier: each with at most 5 % wrong characters and every critical word (numbers, names, paths) exact, unless the sidecar has it.
    White space is ignored, since rows break words. `score` is the lesser of the two shares read: strings alone prove little, since they
    are also sent as text. A page without text passes.

    Args:
        reader: transcribes pages; None for Tesseract with its English data, opened when the first page is read.
        floor: the least score that passes, 0 to 1.
        name: distinguishes readers with the same profile; the profile's name by default.
    """

    at_once = False

    def __init__(self, reader: PageReader | None = None, *, floor: float = FLOOR, name: str = "") -> None:
        if not 0 <= floor <= 1:
            raise ValueError(f"a floor is a share from 0 to 1; got {excerpt(floor)}")
        self._reader, self.floor = reader, floor
        self.name = name or (reader.profile.name if reader else "ocr")
        basis = [MEASURE, floor, SAMPLE, LARGEST_ERROR, reader.profile.fingerprint if reader else "tesseract eng"]
        self.fingerprint = hashlib.sha256(json.dumps(basis).encode()).hexdigest()[:16]

    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        """Read the page and compare. Raises the reader's errors: `ReaderError`, `RenderError`."""
        if self._reader is None:
            self._reader = open_reader("tesseract")
        drawn = {turn.number: _Drawn.of(turn) for turn in turns}
        reading = _squeezed(plain(self._reader.transcribe(page, tier=tier)))
        strings = [string for string in map(_squeezed, page.sidecar) if _surely_on(page, string, drawn)]
        probes = list(_probes(page, drawn, reading))
        given_back = sum(probe.is_read(page.sidecar) for probe in probes)
        exact = sum(string in reading for string in strings)
        score = min(_share(exact, len(strings)), _share(given_back, len(probes)))
        return Verification(
            key=page.key,
            tier=tier,
            verifier=self.name,
            score=score,
            passed=score >= self.floor,
            strings_asked=len(strings),
            strings_read=exact,
            segments_asked=len(probes),
            segments_read=given_back,
            error_rate=min(1.0, sum(sum(probe.wrong) for probe in probes) / max(1, sum(len(probe.wrong) for probe in probes))),
        )

    def __repr__(self) -> str:
        return f"ByReading({self.name!r}, floor={self.floor})"


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A turn's text as drawn, without white space, and the positions of its critical words; a reference counts as its text."""

    text: str
    critical: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, turn: Turn) -> _Drawn:
        spaced = reference_to(turn.same_as) if isinstance(turn, RepeatedTurn) else plain(words_of(blocks_of(turn)))
        places, letters = [0], 0
        for char in spaced:
            letters += not char.isspace()
            places.append(letters)
        return cls(_squeezed(spaced), tuple((places[start], places[stop]) for start, stop in critical_spans(spaced)))


@dataclass(frozen=True, slots=True)
class _Probe:
    """A text on the page, and the reading's errors at each of its characters."""

    truth: str
    wrong: Sequence[int]
    critical: Sequence[tuple[int, int]]

    @classmethod
    def of(cls, drawn: _Drawn, start: int, stop: int, read: str) -> _Probe:
        truth = drawn.text[start:stop]
        inside = [(a - start, b - start) for a, b in drawn.critical if start <= a and b <= stop]
        return cls(truth, faults(truth, read, whole=True), inside)

    def is_read(self, beside: Sequence[str]) -> bool:
        if not self.truth or sum(self.wrong) > LARGEST_ERROR * len(self.truth):
            return False
        copies = [_squeezed(string) for string in beside]
        return all(not any(self.wrong[a:b]) or any(self.truth[a:b] in copy for copy in copies) for a, b in self.critical)


def _probes(page: Page, drawn: dict[int, _Drawn], reading: str) -> Iterator[_Probe]:
    """Yield a sample of the texts on the page, aligned with the reading."""
    area = sum(map(_area, page.segments))
    spans = [(segment, _span(segment, drawn[segment.turn].text, page.drawn_tokens * _area(segment) // area)) for segment in page.segments]
    known = [(segment, span) for segment, span in spans if span]
    short = {reference.turn for reference in page.same_as}  # wrong, a reference is worse than a gap
    telling = [(segment, span) for segment, span in known if span[1] - span[0] >= SHORTEST or segment.turn in short] or known
    chosen = random.Random(page.key).sample(telling, min(SAMPLE, len(telling)))
    for segment, (start, stop) in chosen:
        text = drawn[segment.turn]
        first, last = best_match(text.text[start:stop], reading)
        yield _Probe.of(text, start, stop, reading[first:last])
    if not chosen and any(drawn[segment.turn].text for segment in page.segments):
        yield from _slices(drawn[page.first_turn], reading, page.drawn_tokens)


def _span(segment: Segment, text: str, tokens: int) -> tuple[int, int] | None:
    """Return the range of a turn's characters to check in a segment; None if it is not known which are there.

    Of a turn that continues elsewhere, at least as many characters as tokens are here: no text has fewer characters than tokens.
    """
    length = min(LONGEST, len(text))
    if segment.continued or segment.continues:
        length = min(length, tokens)
    if not length or (segment.continued and segment.continues):
        return None
    return (len(text) - length, len(text)) if segment.continued else (0, length)


def _slices(drawn: _Drawn, reading: str, tokens: int) -> Iterator[_Probe]:
    """Yield probes for a page in the middle of a long turn. Its offset is unknown, so slices of the reading are searched in the turn."""
    text = drawn.text[:MOST_OF_A_TURN]
    for place in range(SLICES):
        start = place * len(reading) // SLICES
        piece = reading[start : start + SLICE] if len(reading) >= tokens else ""
        first, last = best_match(piece, text) if piece else (0, min(SLICE, len(text)))
        yield _Probe.of(drawn, first, last, piece)


def _surely_on(page: Page, string: str, drawn: dict[int, _Drawn]) -> bool:
    """Whether a string is drawn in a turn that is entirely on the page. The URL of a link, for example, is not drawn."""
    whole = (segment for segment in page.segments if not segment.continued and not segment.continues)
    return any(string in drawn[segment.turn].text for segment in whole)


def _share(part: int, of: int) -> float:
    return part / of if of else 1.0


def _area(segment: Segment) -> int:
    return max(1, sum(box.width * box.height for box in segment.boxes))


def _squeezed(text: str) -> str:
    return "".join(text.split())

"""Abridged pages: at the faintest tiers a page is laid out again in larger letters, with its most important sentences only.

A shrunk page has all its words, but few are readable. An abridged page holds the sentences with the highest `salience`, as many as fit in
larger letters. `…` marks omissions; every turn's number stays, so that the turn can be recalled. The image has the size, and so the cost,
of the shrunk one.

It is drawn large, in all greys, and then scaled down: letters drawn at the small size are read worse.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from ..pages.page import Page, PageStyle
from ..renderers.base import RenderedPage, Renderer, fills, render_each
from ..renderers.document.compaction import minify_json
from ..renderers.document.turn_heads import reference_to, speaker_labels
from ..text.salience import Rarity, sentences, worth
from ..turns.exchanges import Exchange, exchanges_of
from ..turns.repeated import RepeatedTurn
from ..turns.turn import Turn

__all__ = ["LEFT_OUT", "Share", "larger", "shaped", "shaped_together", "shares_of"]

LEFT_OUT = "…"
LARGER = 8 / 7  # letter size of an abridged page relative to a plain one: 16 px for 14, which are 8 px and 7 at Tiny
TRIALS = 7  # most layouts per page; two or three find the number of sentences that fit
HEAD = 40  # characters of a page that a turn's number and speaker take
LEAST_FILL = 0.05
TIGHTER = 1.03  # fewer turns on a page leave fewer unfinished lines
CAUTION = 0.1  # share of the sentences to leave out after a first drawing that does not fit; doubled each time
ENOUGH = 0.98  # share of its columns from which a page is full: what is left is a line or two
FULL, SURE = 0.95, 1.01  # no more is tried on a page this full, if a sentence more takes so many times its room
FENCES = ("```", "~~~")  # Markdown code fences
EDGE = 40  # characters after the edge of a page that are searched for a space
_WHITE = re.compile(r"\s")
_FENCE = re.compile(r"^[ \t]*+((?:```|~~~).*)", re.MULTILINE)
CALLS = "~~~~~~~~"  # fence around tool calls, whose arguments are not Markdown


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a turn that is on a page.

    Attributes:
        label: text after its number.
        text: the whole turn's text, JSON minified.
        calls: offset in `text` where its tool calls begin; they come last.
        start, stop: the range of characters of `text` on the page.
    """

    turn: Turn
    label: str
    text: str
    calls: int
    start: int
    stop: int


def shares_of(page: Page, pages: Sequence[Page], turns: Sequence[Turn]) -> list[Share]:
    """Estimate which part of each turn is on `page`, from the turn's area on each page.

    Args:
        pages: all pages of its run.
        turns: their turns.
    """
    by_number = {turn.number: turn for turn in turns}
    exchanges = exchanges_of(turns)
    ordered = [turn.number for exchange in exchanges for unit in exchange for turn in unit]
    labels = dict(zip(ordered, (label for exchange in exchanges for label in speaker_labels(exchange)), strict=True))
    place = next(at for at, each in enumerate(pages) if each.key == page.key)
    found: list[Share] = []
    for number in dict.fromkeys(segment.turn for segment in page.segments):
        areas = [_area(each, number) for each in pages]
        text, calls = _words(by_number[number])
        before, whole = sum(areas[:place]), sum(areas)
        start, stop = (_edge(text, len(text) * area // whole) for area in (before, before + areas[place]))
        found.append(Share(by_number[number], labels[number], text, calls, start, stop))
    return found


def _edge(text: str, place: int) -> int:
    """Return the offset where a page ends in a turn: the next space within `EDGE` characters of `place`, else `place`."""
    white = _WHITE.search(text, place, place + EDGE) if place else None
    return white.start() if white else place


def _words(turn: Turn) -> tuple[str, int]:
    """Return a turn's text, and the offset where its tool calls begin."""
    told = turn.model_copy(update={"tool_calls": ()}).text
    told = f"error\n{told}" if turn.failed else told
    told = minify_json(told) if turn.role == "tool" else told
    calls = "\n".join(f"{call.name}({minify_json(call.arguments)})" for call in turn.tool_calls)
    return (f"{told}\n{calls}", len(told) + 1) if told and calls else (told or calls, len(told))


def _area(page: Page, number: int) -> int:
    boxes = [box for segment in page.segments if segment.turn == number for box in segment.boxes]
    return max(1, sum(box.width * box.height for box in boxes)) if boxes else 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence of the turn at place `share`.

    Attributes:
        gap: separator from the sentence before: nothing, a space, or a line feed.
        fence: the opening fence of its code block; empty outside of one.
        rank: its rank by salience, 0 the highest.
    """

    share: int
    text: str
    gap: str
    fence: str = ""
    rank: int = 0


def shaped(renderer: Renderer, style: PageStyle, page: Page, shares: Sequence[Share]) -> RenderedPage | None:
    """Draw the abridged `page` on one image of its size; None if that is not possible and the page is to be shrunk.

    Not possible for a page with an image on it, or if the turns' numbers alone fill it. Deterministic.
    """
    return shaped_together(renderer, style, [(page, shares)])[0]


def shaped_together(renderer: Renderer, style: PageStyle, pages: Sequence[tuple[Page, Sequence[Share]]]) -> list[RenderedPage | None]:
    """Draw abridged pages as `shaped` does each. What fits is found by layout alone, of all pages at a time; then all are drawn at once."""
    found: dict[int, RenderedPage] = {}
    trials = {place: _Trials(page, shares) for place, (page, shares) in enumerate(pages) if not any(share.turn.images for share in shares)}
    for canvas, group in _by_canvas(style, pages, trials).items():
        _find(renderer, canvas, group)
        fitting = {place: each for place, each in group.items() if each.fits >= 0}
        drawn = render_each(renderer, [each.exchanges(each.fits) for each in fitting.values()], canvas)
        found |= {place: rendered[0] for place, rendered in zip(fitting, drawn, strict=True) if len(rendered) == 1}
    return [found.get(place) for place in range(len(pages))]


def _by_canvas(
    style: PageStyle, pages: Sequence[tuple[Page, Sequence[Share]]], trials: Mapping[int, _Trials]
) -> dict[PageStyle, dict[int, _Trials]]:
    groups: dict[PageStyle, dict[int, _Trials]] = {}
    for place, each in trials.items():
        groups.setdefault(larger(style, pages[place][0]), {})[place] = each
    return groups


def _find(renderer: Renderer, canvas: PageStyle, group: Mapping[int, _Trials]) -> None:
    """Find out for each page how many sentences fit."""
    for _ in range(TRIALS):
        tried = [(each, count) for each in group.values() if (count := each.count()) is not None]
        for (each, count), fill in zip(tried, fills(renderer, [each.exchanges(count) for each, count in tried], canvas), strict=True):
            each.tell(count, fill)


class _Trials:
    """The search for the number of sentences that fit on an abridged page.

    Attributes:
        fits: the greatest number known to fit; -1 for none.
    """

    def __init__(self, page: Page, shares: Sequence[Share]) -> None:
        self._shares, self._pieces = shares, _ranked(shares)
        self._loads = _loads(shares, self._pieces)
        self._room = self._loads[-1] * TIGHTER / (LARGER**2 * max(page.fill, LEAST_FILL))  # what a page of larger letters should hold
        self.fits, self._fill, self._most, self._less = -1, 0.0, len(self._pieces), CAUTION

    def count(self) -> int | None:
        """Return the number to try next; None if the page is full."""
        is_full = self._fill > ENOUGH or (self._fill > FULL and self.fits < self._most and self._loads[self.fits + 1] > SURE * self._room)
        if is_full or self.fits >= self._most:
            return None
        return min(self._most, max(self.fits + 1, bisect_right(self._loads, self._room) - 1))

    def tell(self, count: int, fill: float | None) -> None:
        """Learn how full the page was with `count` sentences; None if they did not fit."""
        loads = self._loads
        if fill is not None:
            self.fits, self._fill, self._room = count, fill, loads[count] / max(fill, LEAST_FILL)
        elif self.fits >= 0:
            self._most, self._room = count - 1, (loads[self.fits] + loads[count]) / 2
        else:
            self._most, self._room, self._less = count - 1, (1 - self._less) * loads[count], min(2 * self._less, 0.9)

    def exchanges(self, count: int) -> list[Exchange]:
        """Return the page's turns with the `count` best sentences."""
        return exchanges_of(_abridged(self._shares, self._pieces, count))


def _loads(shares: Sequence[Share], pieces: Sequence[_Piece]) -> list[float]:
    """Return about how many characters of a page the turns take with the n best sentences, for every n from 0 on."""
    lengths = [len(piece.text) + 1 for piece in sorted(pieces, key=lambda piece: piece.rank)]
    return list(accumulate(lengths, initial=float(HEAD * len(shares))))


def larger(style: PageStyle, page: Page) -> PageStyle:
    """Return the style of the abridged page: the sealed image's size, larger letters, all greys."""
    factor = LARGER * style.scale
    return replace(
        style,
        width=page.width,
        height=page.height,
        scale=1.0,
        font_size=style.font_size * factor,
        code_size=style.code_size * factor,
        number_size=style.font_size * factor,
        margin=round(style.margin * style.scale),
        gutter=round(style.gutter * style.scale),
        grey_levels=max(style.grey_levels, style.faint_levels),
    )


def _ranked(shares: Sequence[Share]) -> list[_Piece]:
    """Return the sentences on the page in reading order, each with its rank."""
    texts = [share.text[share.start : share.stop] for share in shares]
    rare = Rarity(texts)
    pieces = [piece for place, share in enumerate(shares) for piece in _pieces_of(place, share)]
    told = {(piece.text, shares[piece.share].turn.importance) for piece in pieces}  # a log repeats many of its lines
    known = {each: worth(each[0], rare, importance=each[1]) for each in told}
    worths = [known[piece.text, shares[piece.share].turn.importance] for piece in pieces]
    order = sorted(range(len(pieces)), key=lambda at: (-worths[at], at))
    ranks = {at: rank for rank, at in enumerate(order)}
    return [replace(piece, rank=ranks[at]) for at, piece in enumerate(pieces)]


def _pieces_of(place: int, share: Share) -> Iterator[_Piece]:
    """Yield the sentences of the turn's part of the page, in order."""
    text, verbatim = share.text[share.start : share.stop], share.turn.role == "tool"
    before = _FENCE.findall(share.text, 0, share.start)
    fence, done = before[-1] if len(before) % 2 else "", 0
    for begin, end in sentences(text):
        words, gap = text[begin:end], text[done:begin]
        done = end
        is_call = share.start + begin >= share.calls
        if not verbatim and not is_call and words.startswith(FENCES):
            fence = "" if fence else words
            continue
        listing = CALLS if is_call else "" if verbatim else fence
        indent = gap[gap.rfind("\n") + 1 :] if listing or verbatim else ""
        yield _Piece(place, indent + words, "\n" if "\n" in gap else " " if gap else "", listing)


def _abridged(shares: Sequence[Share], pieces: Sequence[_Piece], count: int) -> list[Turn]:
    """Return the page's turns with the `count` best sentences. Turns that keep none are named after the one before: `#13-#15 …`."""
    own = {place: list(group) for place, group in groupby(pieces, key=lambda piece: piece.share)}
    names = _names(shares)
    turns: list[Turn] = []
    silent: list[Turn] = []
    for place, share in enumerate(shares):
        text = _text(own.get(place, []), count)
        if not text and turns:
            silent.append(share.turn)
            continue
        _name_silent(turns, silent)
        if isinstance(share.turn, RepeatedTurn):
            text = reference_to(share.turn.same_as)
        turns.append(Turn(number=share.turn.number, role=share.turn.role, name=names[place], content=text or LEFT_OUT))
    _name_silent(turns, silent)
    return turns


def _names(shares: Sequence[Share]) -> list[str | None]:
    """Return the speaker's name of each turn. A person's name is given once if it is the role's only one; a tool's always."""
    named = [(share.turn.role, share.label[len(share.turn.role) + 1 :]) for share in shares]
    roles = Counter(role for role, _ in set(named))
    said: set[str] = set()
    names: list[str | None] = []
    for role, name in named:
        again = role in said and roles[role] == 1 and role != "tool"
        said.add(role)
        names.append(None if again else name or None)
    return names


def _name_silent(turns: list[Turn], silent: list[Turn]) -> None:
    """Append the numbers of turns that keep no sentence to the last turn that keeps one; references stay."""
    if silent:
        named = [_silent(list(group)) for _, group in groupby(silent, key=lambda turn: getattr(turn, "same_as", 0))]
        last = turns[-1]
        parted = "\n" if last.text.endswith(CALLS) or last.text.endswith(FENCES) else " "
        turns[-1] = last.model_copy(update={"content": f"{last.text}{parted}{' '.join(named)}"})
    silent.clear()


def _silent(turns: Sequence[Turn]) -> str:
    """Return `#13-#15 …`, or `#13-#15 same as #41`."""
    numbers = f"#{turns[0].number}" if len(turns) == 1 else f"#{turns[0].number}-#{turns[-1].number}"
    return f"{numbers} {reference_to(turns[0].same_as) if isinstance(turns[0], RepeatedTurn) else LEFT_OUT}"


def _text(pieces: Sequence[_Piece], count: int) -> str:
    """Join the kept sentences of a turn, with `…` for omissions; empty if none is kept."""
    written: list[str] = []
    fence, skipped = "", False
    for piece in pieces:
        if piece.rank >= count:
            skipped = True
            continue
        if skipped:
            written.append(f" {LEFT_OUT}" if written else LEFT_OUT)
        if piece.fence != fence:
            written += [f"\n{_closing(fence)}"] * bool(fence) + [f"\n{piece.fence}\n"] * bool(piece.fence)
        written += [piece.gap or " " * skipped if written else "", piece.text]
        fence, skipped = piece.fence, False
    if written and skipped:
        written.append(f" {LEFT_OUT}")
    return "".join([*written, f"\n{_closing(fence)}" * bool(fence)])


def _closing(fence: str) -> str:
    return fence[: len(fence) - len(fence.lstrip("`~"))]

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from ..pages.page import Page, PageStyle
from ..renderers.base import RenderedPage, Renderer
from ..renderers.document.compaction import minify_json
from ..renderers.document.turn_heads import reference_to, speaker_labels
from ..text.salience import Rarity, sentences, worth
from ..turns.exchanges import exchanges_of
from ..turns.repeated import RepeatedTurn
from ..turns.turn import Turn

__all__ = ["LEFT_OUT", "Share", "larger", "shaped", "shares_of"]

LEFT_OUT = "…"
LARGER = 8 / 7  # letter size of an abridged page relative to a plain one: 16 px for 14, which are 8 px and 7 at Tiny
TRIALS = 7  # most drawings per page; two or three find the number of sentences that fit
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
    if any(share.turn.images for share in shares):
        return None
    pieces, canvas = _ranked(shares), larger(style, page)
    loads = _loads(shares, pieces)
    best = None
    fits, most = -1, len(pieces)  # numbers of sentences: the most known to fit; the most that may
    room = loads[-1] * TIGHTER / (LARGER**2 * max(page.fill, LEAST_FILL))  # what a page of larger letters should hold
    less = CAUTION
    for _ in range(TRIALS):
        if fits >= most or (best and (best.fill > ENOUGH or (best.fill > FULL and loads[fits + 1] > SURE * room))):
            break
        count = min(most, max(fits + 1, bisect_right(loads, room) - 1))
        drawn = _drawn(renderer, canvas, _abridged(shares, pieces, count))
        if drawn:
            best, fits, room = drawn, count, loads[count] / max(drawn.fill, LEAST_FILL)
        elif best:
            most, room = count - 1, (loads[fits] + loads[count]) / 2
        else:
            most, room, less = count - 1, (1 - less) * loads[count], min(2 * less, 0.9)
    return best


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


def _drawn(renderer: Renderer, style: PageStyle, turns: Sequence[Turn]) -> RenderedPage | None:
    """Draw the turns on one image; None if they do not fit."""
    pages = renderer.render(exchanges_of(turns), style)
    return pages[0] if len(pages) == 1 else None

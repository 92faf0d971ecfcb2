"""Pages of a session from what a renderer drew: runs, records, and the share of a turn that is on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..pages.page import Page, Reference
from ..pages.sheet import Sheet
from ..pages.tiers import Tier
from ..renderers.base import RenderedPage
from ..text.labels import label_text
from ..turns.attachments import image_load
from ..turns.exchanges import Exchange
from ..turns.parts import TurnPart
from ..turns.repeated import RepeatedTurn
from ..turns.turn import Turn

__all__ = ["contents_of", "page_of", "sheet_of_text", "whole_runs"]

NAME = 60  # characters of a document's name in a label


def contents_of(
    rendered: Sequence[RenderedPage], turns: Mapping[int, Turn], costs: Mapping[int, int]
) -> Iterator[tuple[RenderedPage, int, list[str]]]:
    """Yield drawn pages with the tokens and the texts on each, estimated from the area of each turn. Tokens add up to those of the turns.

    Args:
        rendered: all pages of the turns.
        turns: the turns on them, by number; `costs` has their tokens.
    """
    done, area = dict.fromkeys(turns, 0), dict.fromkeys(turns, 0)
    for page in rendered:
        for number, size in _areas(page).items():
            area[number] += size
    for page in rendered:
        tokens, texts = 0, []
        for number, size in _areas(page).items():
            text, start, end = turns[number].text, done[number], done[number] + size
            tokens += _cut(costs[number], end, area[number]) - _cut(costs[number], start, area[number])
            texts.append(text[_cut(len(text), start, area[number]) : _cut(len(text), end, area[number])])
            done[number] = end
        yield page, tokens, texts


def page_of(
    key: str, drawn: RenderedPage, turns: Mapping[int, Turn], costs: Mapping[int, int], *, tokens: int, sidecar: tuple[str, ...]
) -> Page:
    """Return the record of a drawn page; `turns` has the turns on it by number, `costs` their tokens."""
    return Page(
        key=key,
        index=0,
        segments=drawn.segments,
        text_tokens=tokens,
        sidecar=sidecar,
        width=drawn.width,
        height=drawn.height,
        importance=max(turns[segment.turn].importance for segment in drawn.segments),
        last_said=turns[drawn.last_turn].said_at,
        fill=drawn.fill,
        missing_glyphs=drawn.missing_glyphs,
        canvas=drawn.canvas,
        section=drawn.section,
        sheet=drawn.sheet,
        same_as=_references(drawn, turns, costs),
        pictures=image_load(turns[segment.turn] for segment in drawn.segments if not segment.continued),
    )


def sheet_of_text(turns: Sequence[Turn]) -> Sheet | None:
    """Return which page of a document a section is whose file is not there, so that its text is drawn; None for another section."""
    if not turns or not isinstance(turns[0], TurnPart) or not turns[0].documents:
        return None
    part = turns[0].documents[0]
    return Sheet(label_text(part.name, NAME), part.first, part.of, "text", Tier.TINY, 0.0)


def _references(page: RenderedPage, turns: Mapping[int, Turn], costs: Mapping[int, int]) -> tuple[Reference, ...]:
    """Return the references that begin on a page; `turns` and their tokens `costs` by number."""
    drawn = ((turns[segment.turn], costs[segment.turn]) for segment in page.segments if not segment.continued)
    return tuple(Reference(turn.number, turn.same_as, cost) for turn, cost in drawn if isinstance(turn, RepeatedTurn))


def _areas(page: RenderedPage) -> dict[int, int]:
    """Return the area of each turn on a page, in square pixels; at least 1, so that shares can be computed."""
    return {segment.turn: max(1, sum(box.width * box.height for box in segment.boxes)) for segment in page.segments}


def _cut(whole: int, part: int, of: int) -> int:
    """Scale `part` of `of` to 0..whole; the ends are exact."""
    return whole * part // of


def whole_runs(rendered: Sequence[RenderedPage], exchanges: Sequence[Exchange]) -> Iterator[tuple[list[RenderedPage], list[Turn]]]:
    """Group drawn pages into runs; drop the pages of a last unit that is not drawn completely."""
    units = [unit for exchange in exchanges for unit in exchange]
    unit_of = {turn.number: place for place, unit in enumerate(units) for turn in unit}
    group: list[RenderedPage] = []
    for place, page in enumerate(rendered):
        group.append(page)
        unit = units[unit_of[page.last_turn]]
        ends_unit = page.last_turn == unit[-1].number and not page.segments[-1].continues
        follows = rendered[place + 1].first_turn if place + 1 < len(rendered) else None
        if ends_unit and (follows is None or unit_of[follows] != unit_of[page.last_turn]):
            first, last = unit_of[group[0].first_turn], unit_of[page.last_turn]
            yield group, [turn for member in units[first : last + 1] for turn in member]
            group = []

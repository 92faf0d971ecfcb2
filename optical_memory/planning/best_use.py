"""Spend a budget on pages so that the whole is worth most.

Each page has options: left out, or shown at a tier, each with its tokens and its worth. The sum of worths is maximised within the room, and
no page is shown sharper than one that is needed more, unless that one is worth no more at any sharper tier: a page with few words is read
whole at Tiny, and does not hold the others back. This is a knapsack with an order, solved in three steps, each linear in pages times tiers:

1. *Price a token.* At a price per token the best choice is found exactly, from the last page to the first (`_best_at`). The choice is also
   the best of all that take no more tokens than itself (H. Everett, Operations Research 11, 1963).
2. *Find the price.* Two choices, neighbours as the price falls, enclose the room: one fits and the next does not (`_enclose`). Every page
   is at least as sharp in the second, since sharper options cost more (D. M. Topkis, Operations Research 26, 1978).
3. *Spend the rest*: single steps from either neighbour, in an order that does not depend on the room (`_between`).

So a larger room is never worth less, and leaves out no page that a smaller one shows, whatever the pages are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

__all__ = ["Option", "best_use", "tokens_of", "worth_of"]

TIE = 1e-6  # greatest share by which worth falls along the order, so that of equal pages the first is served first
ROUNDS = 100  # most prices tried; about ten are enough
FIRST_COUNTS = 8  # numbers of further pages that are tried in every way, where neighbours differ by many
COUNTS_APART = 1.06  # ratio of the other numbers that are tried: a share of the pages stays untried that is worth less than this
STEPS_APART = 8  # most steps to a sharper tier that are tried from one of these numbers towards the next
CLOSE = 1e-12  # relative difference of two sums that counts as none


@dataclass(frozen=True, slots=True)
class Option:
    """A way to show a page.

    Attributes:
        level: its sharpness: 0 for left out, more for sharper tiers.
        tokens: what it costs.
        worth: what it is worth.
    """

    level: int
    tokens: int
    worth: float


Options = Sequence[Option]


def best_use(pages: Sequence[Options], room: int) -> list[Option]:
    """Choose an option for each page.

    Args:
        pages: the options of each page, levels rising; the page that is needed most comes first. Usually the first option is to leave it
            out. A page whose first option is another one must be shown, and is not bound by the order.
        room: tokens to spend. If the first options do not fit, they are chosen.
    """
    useful = [_useful(options, 1.0 - TIE * place / len(pages)) for place, options in enumerate(pages)]
    least, most = [options[0] for options in useful], _best_at(useful, 0.0)
    if tokens_of(most) <= room:
        chosen = most
    elif tokens_of(least) >= room:
        chosen = least
    else:
        chosen = _between(useful, *_enclose(useful, least, most, room), room)
    return [next(option for option in options if option.level == one.level) for options, one in zip(pages, chosen, strict=True)]


def tokens_of(chosen: Sequence[Option]) -> int:
    """Sum up the tokens of a choice."""
    return sum(option.tokens for option in chosen)


def worth_of(chosen: Sequence[Option]) -> float:
    """Sum up the worth of a choice."""
    return sum(option.worth for option in chosen)


def _useful(options: Options, share: float) -> list[Option]:
    """Return the first option, and of the others those that are worth more than every cheaper one; so the last is the best."""
    useful = [options[0]]
    for option in sorted(options[1:], key=lambda option: (option.tokens, -option.worth)):
        if option.tokens > useful[-1].tokens and option.worth > useful[-1].worth and option.level > useful[-1].level:
            useful.append(option)
    return [replace(option, worth=option.worth * share) for option in useful]


def _bound(options: Options) -> bool:
    """Whether a page is bound by the order: it may be left out."""
    return options[0].level == 0


def _ceiling(options: Options, chosen: Option, ceiling: int) -> int:
    """Return the sharpest level that the pages after this one may have, where it was `ceiling` for this one."""
    holds_back = _bound(options) and chosen.level != options[-1].level
    return min(ceiling, chosen.level) if holds_back else ceiling


def _best_at(pages: Sequence[Options], price: float) -> list[Option]:
    """Return the choice for which worth less tokens times `price` is greatest; of equal ones the one with fewer tokens."""
    top = max(option.level for options in pages for option in options)
    after = [0.0] * (top + 1)  # by level: what the pages to come are worth, if none of them is above that level
    picks: list[list[Option]] = []  # for each page from the last on, by level: its option if none is above that level
    for options in reversed(pages):
        gains = {option.level: option.worth - price * option.tokens for option in options}
        by_level = {option.level: option for option in options}
        if _bound(options):
            picked, totals, best = list[Option](), list[float](), float("-inf")
            for level in range(top + 1):
                option = by_level.get(min(level, options[-1].level))  # above its best tier, since that holds no other back
                if option and gains[option.level] + after[level] > best:
                    best, pick = gains[option.level] + after[level], option
                picked.append(pick)
                totals.append(best)
        else:
            level = max(gains, key=lambda level: (gains[level], -level))
            picked, totals = [by_level[level]] * (top + 1), [gains[level] + total for total in after]
        picks.append(picked)
        after = totals
    chosen, level = list[Option](), top
    for options, picked in zip(pages, reversed(picks), strict=True):
        chosen.append(picked[level])
        level = _ceiling(options, picked[level], level)
    return chosen


def _enclose(pages: Sequence[Options], fits: list[Option], over: list[Option], room: int) -> tuple[list[Option], list[Option]]:
    """Return the last choice that fits, and the next one as the price of a token falls."""
    for _ in range(ROUNDS):
        price = (worth_of(over) - worth_of(fits)) / (tokens_of(over) - tokens_of(fits))
        middle = _best_at(pages, price)
        gained = worth_of(middle) - worth_of(fits) - price * (tokens_of(middle) - tokens_of(fits))
        if middle in (fits, over) or gained <= CLOSE * worth_of(over):
            break
        if tokens_of(middle) <= room:
            fits = middle
        else:
            over = middle
    return fits, over


def _between(pages: Sequence[Options], fits: list[Option], over: list[Option], room: int) -> list[Option]:
    """Return the best choice found between two neighbours.

    The ways to change `fits` do not depend on the room. They are gone through from the cheapest on, as if the room grew. Once more pages
    are worth no less than fewer, more are shown from there on: neither the worth nor the number of pages falls as the room grows.
    """
    ways = sorted(_ways(pages, fits, over), key=lambda each: each[1].tokens)
    best, shown = {0: _Way()}, 0
    for count, way in ways:
        if way.tokens > room - tokens_of(fits):
            break
        if count not in best or way.worth > best[count].worth:
            best[count] = way
        if count > shown and best[count].worth >= best[shown].worth:
            shown = count
    return best[shown].changed(fits)


@dataclass(frozen=True, slots=True)
class _Way:
    """Changes of a choice, each with the ones before it, and what all of them cost and are worth."""

    tokens: int = 0
    worth: float = 0.0
    before: _Way | None = None
    change: tuple[int, Option] | None = None  # the index of the page, and its option

    def then(self, place: int, old: Option, new: Option) -> _Way:
        return _Way(self.tokens + new.tokens - old.tokens, self.worth + new.worth - old.worth, self, (place, new))

    def changed(self, chosen: Sequence[Option]) -> list[Option]:
        """Return a choice with these changes."""
        changes: list[tuple[int, Option]] = []
        way: _Way | None = self
        while way:
            changes += [way.change] if way.change else []
            way = way.before
        latest = dict(reversed(changes))
        return [latest.get(place, option) for place, option in enumerate(chosen)]


def _ways(pages: Sequence[Options], fits: Sequence[Option], over: Sequence[Option]) -> Iterator[tuple[int, _Way]]:
    """Yield ways to change `fits`, and how many further pages each shows.

    Few and all further pages are tried in many ways. Of the numbers between, so many apart that they are few, the faintest way with some
    steps from it towards the next number, and the way with the tiers of `over`.
    """
    fresh = [place for place, (one, other) in enumerate(zip(fits, over, strict=True)) if other.level and not one.level]
    limit = tokens_of(over) - tokens_of(fits)
    for count, following in pairwise([*_counts(len(fresh)), len(fresh)]):
        hidden = set(fresh[count:])
        target = [one if place in hidden else other for place, (one, other) in enumerate(zip(fits, over, strict=True))]
        if count < FIRST_COUNTS or count == len(fresh):
            yield from ((count, way) for way in _sharper(pages, fits, fresh[:count], limit))
            yield from ((count, way) for way in _fainter(pages, fits, target))
        else:
            yield count, _changing(fits, target)
            yield from ((count, way) for way in _between_numbers(pages, fits, fresh[:count], fresh[:following]))


def _counts(most: int) -> list[int]:
    """Return the numbers of further pages that are tried, from 0 to `most`."""
    counts = [0]
    while counts[-1] < most:
        counts.append(min(most, max(counts[-1] + 1, int(counts[-1] * COUNTS_APART))))
    return counts


def _changing(old: Sequence[Option], new: Sequence[Option]) -> _Way:
    """Return the way from one choice to another."""
    way = _Way()
    for place, (one, other) in enumerate(zip(old, new, strict=True)):
        way = way.then(place, one, other) if one is not other else way
    return way


def _faintest(pages: Sequence[Options], fits: Sequence[Option], fresh: Sequence[int]) -> list[Option] | None:
    """Return `fits` with the pages `fresh` shown too, as faint as possible; None if one of them would be sharper than one before it."""
    chosen, floor = list(fits), 1
    for place in reversed(fresh):
        chosen[place] = next((option for option in pages[place] if option.level >= floor), pages[place][-1])
        floor = max(floor, chosen[place].level)
    return chosen if _in_order(pages, chosen) else None


def _sharper(pages: Sequence[Options], fits: Sequence[Option], fresh: Sequence[int], limit: int) -> Iterator[_Way]:
    """Yield ways to show the pages `fresh` too, as faint as possible, and then others sharper.

    Each page alone, at each of its options; and one page after the other, up to `limit` tokens.
    """
    if (faint := _faintest(pages, fits, fresh)) is None:
        return
    way = _changing(fits, faint)
    yield way
    yield from (way.then(place, faint[place], option) for place, option in _steps_up(pages, faint))
    yield from _one_after_the_other(pages, faint, way, limit)


def _between_numbers(pages: Sequence[Options], fits: Sequence[Option], fresh: Sequence[int], following: Sequence[int]) -> Iterator[_Way]:
    """Yield ways to show the pages `fresh`, as faint as possible and sharper, that take less than to show `following`."""
    faint, more = _faintest(pages, fits, fresh), _faintest(pages, fits, following)
    if faint is None or more is None:
        return
    way = _changing(fits, faint)
    yield way
    yield from islice(_one_after_the_other(pages, faint, way, tokens_of(more) - tokens_of(fits)), STEPS_APART)


def _one_after_the_other(pages: Sequence[Options], chosen: Sequence[Option], way: _Way, limit: int) -> Iterator[_Way]:
    """Yield the ways that come from `way` by steps to sharper options, the best of its tokens first, up to `limit` tokens."""
    now = list(chosen)
    while steps := list(_steps_up(pages, now)):
        place, option = max(steps, key=lambda step: _rate(now[step[0]], step[1]))
        way, now[place] = way.then(place, now[place], option), option
        if way.tokens >= limit:
            return
        yield way


def _fainter(pages: Sequence[Options], fits: Sequence[Option], over: Sequence[Option]) -> Iterator[_Way]:
    """Yield ways from `fits` to the sharper `over` and, as long as it takes more tokens, to the same pages with some of them fainter.

    First each page alone, at each of its options; then one after the other a level fainter, the smallest loss for its tokens first.
    """
    chosen, way = list(over), _changing(fits, over)
    steps = list(_steps_down(pages, chosen))
    yield way
    yield from (way.then(place, chosen[place], option) for place, option in steps)
    while way.tokens > 0 and steps:
        place, option = min(steps, key=lambda step: (_rate(step[1], chosen[step[0]]), -step[1].level))
        way, chosen[place] = way.then(place, chosen[place], option), option
        yield way
        steps = list(_steps_down(pages, chosen))


def _in_order(pages: Sequence[Options], chosen: Sequence[Option]) -> bool:
    ceiling = max(option.level for options in pages for option in options)
    for options, option in zip(pages, chosen, strict=True):
        if _bound(options) and option.level > ceiling:
            return False
        ceiling = _ceiling(options, option, ceiling)
    return True


def _steps_up(pages: Sequence[Options], chosen: Sequence[Option]) -> Iterator[tuple[int, Option]]:
    """Yield each sharper option of each shown page that the order allows."""
    ceiling = max(option.level for options in pages for option in options)
    for place, (options, now) in enumerate(zip(pages, chosen, strict=True)):
        bound = _bound(options)
        if now.level:
            yield from ((place, option) for option in options if now.level < option.level and (option.level <= ceiling or not bound))
        ceiling = _ceiling(options, now, ceiling)


def _steps_down(pages: Sequence[Options], chosen: Sequence[Option]) -> Iterator[tuple[int, Option]]:
    """Yield each fainter option of each shown page that the order allows."""
    floor = 1
    for place in reversed(range(len(pages))):
        options, now = pages[place], chosen[place]
        bound = _bound(options)
        yield from ((place, option) for option in options if (floor if bound else 0) <= option.level < now.level)
        floor = max(floor, now.level) if bound else floor


def _rate(cheap: Option, dear: Option) -> float:
    return (dear.worth - cheap.worth) / (dear.tokens - cheap.tokens)

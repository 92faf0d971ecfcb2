"""The inspector's HTML, from templates that escape whatever they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from ...context.plan import PageItem, Plan
from ...line_chart import Line, line_chart
from ...pages.tiers import Tier
from ...renderers.document.compaction import visible
from ...turns.turn import Turn
from .line_view import LineView
from .session_view import SessionView, Stretch

__all__ = ["BLOCK", "Html"]

BLOCK = 50  # turns loaded together
EXCERPT = 400  # characters of a turn in its row
LONGEST = 200_000  # characters of a turn that are shown; recall has the rest


class Html:
    """Renders the inspector's pages."""

    def __init__(self, *, may_erase: bool = False) -> None:
        self._may_erase = may_erase

    def render(self, template: str, **values: Any) -> str:
        """Return the HTML of a template."""
        return _environment().get_template(template).render(may_erase=self._may_erase, **values)

    def answer(self, template: str, **values: Any) -> HTMLResponse:
        """Return the answer with the HTML of a template."""
        return HTMLResponse(self.render(template, **values))

    def session(self, view: SessionView, epoch: str | None) -> dict[str, Any]:
        """Return what the page of a session shows: now, or as its plan was in an earlier epoch."""
        past = view.past
        at = next((each for each in past if str(each.plan.epoch) == epoch), None)
        plan = at.plan if at else view.plan
        length = plan.length if at and at.plan != view.plan and plan else view.length
        stretches, tail = view.stretches(plan, length), _tail_tokens(view, plan, length)
        return {
            "view": view,
            "query": query_of(view),
            "plan": plan,
            "past": past,
            "shown": at,
            "length": length,
            "stretches": stretches,
            "bars": _bars(stretches, tail),
            "sent": plan.prefix_tokens if plan else 0,
            "tail": tail,
            "pages": [each for each in stretches if each.page],
            "chart": _growth([each.plan for each in past]),
            "blocks": range((view.length + BLOCK - 1) // BLOCK) if view.has_words else range(0),
            "block": BLOCK,
        }

    def turns(self, view: SessionView, block: int) -> dict[str, Any]:
        """Return what a block of turns shows: one row a number, also for erased ones."""
        first = block * BLOCK + 1
        last = min(view.length, first + BLOCK - 1)
        turns = view.turns(first, last)
        places = _places(view.stretches(view.plan), first, last)
        return {
            "view": view,
            "query": query_of(view),
            "rows": [(number, turns.get(number), places.get(number)) for number in range(first, last + 1)],
        }

    def page(self, view: SessionView, key: str, tier: Tier | None) -> dict[str, Any] | None:
        """Return what the view of a page shows; None if no plan of the session has it."""
        item = self.item(view, key)
        page = view.pages([item]).get(key) if item else None
        if item is None or page is None:
            return None
        shown = tier or item.tier
        turns = view.turns(page.first_turn, page.last_turn)
        around = [each for each in (view.plan.pages if view.plan else ())]
        place = next((at for at, each in enumerate(around) if each.key == key), None)
        return {
            "view": view,
            "query": query_of(view),
            "item": item,
            "page": page,
            "tier": shown,
            "size": page.size(shown),
            "tiers": view.tiers(page),
            "boxes": [(segment.turn, box) for segment in page.segments for box in segment.boxes],
            "turns": [turns[segment.turn] for segment in page.segments if segment.turn in turns],
            "before": around[place - 1] if place else None,
            "after": around[place + 1] if place is not None and place + 1 < len(around) else None,
        }

    def item(self, view: SessionView, key: str) -> PageItem | None:
        """Return the newest place of a page in the session's plans."""
        plans = [*([view.plan] if view.plan else []), *(past.plan for past in reversed(view.past))]
        return next((item for plan in plans for item in plan.pages if item.key == key), None)

    def conversation(self, found: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the page of a proxy's conversation shows."""
        return {"found": found, "calls": calls, "chart": _costs(list(reversed(calls)))}


def query_of(view: SessionView, **more: object) -> str:
    """Return the query that leads to a session, to one of its readers, and to what `more` names."""
    own = {"line": view.record.id} if isinstance(view, LineView) else {"name": view.session.name, "tenant": view.session.tenant}
    return urlencode({**own, "reader": view.reader, **{name: str(value) for name, value in more.items()}})


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("optical_memory.server.inspector"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(count=_count, excerpt=_excerpt, moment=_moment, times=_times, signed=_signed, visible=visible)
    environment.globals.update(query_of=query_of, LONGEST=LONGEST)
    return environment


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _signed(value: float) -> str:
    return f"{value:+,.0f}".replace("-", "−")


def _times(text: float, sent: float) -> str:
    return f"{text / sent:.2f}×" if sent > 0 else "–"


def _excerpt(turn: Turn) -> str:
    return " ".join(turn.text[: 2 * EXCERPT].split())[:EXCERPT]


def _moment(value: datetime | float | None) -> str:
    if value is None:
        return "–"
    moment = datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else value.astimezone(UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _places(stretches: Iterable[Stretch], first: int, last: int) -> dict[int, Stretch]:
    """Map the turns first to last to where they stand; a turn on several pages to the first of them."""
    found: dict[int, Stretch] = {}
    for each in stretches:
        for number in range(max(first, each.first), min(last, each.last) + 1):
            found.setdefault(number, each)
    return found


def _bars(stretches: Sequence[Stretch], tail: int) -> list[tuple[Stretch, float, float]]:
    """Return each stretch with its left edge and its width in a strip of 1,000 units, by its tokens; what is left out gets a sliver."""
    tokens = [tail if each.kind == "tail" else each.tokens for each in stretches]
    widths = [each or 0.004 * sum(tokens) for each in tokens]
    total, left = sum(widths) or 1.0, 0.0
    found: list[tuple[Stretch, float, float]] = []
    for stretch, width in zip(stretches, widths, strict=True):
        found.append((stretch, 1_000 * left / total, 1_000 * width / total))
        left += width
    return found


def _tail_tokens(view: SessionView, plan: Plan | None, length: int) -> int:
    """Price the newest turns; those of a long log without a plan are not all read."""
    first = plan.tail_from if plan else max(1, length - 10 * BLOCK)
    return view.pricing.total(view.turns(first, length).values())


def _growth(plans: Sequence[Plan]) -> Markup | None:
    if len(plans) < 2:
        return None
    lines = [
        Line("as text", "as-text", tuple((plan.length, plan.text_tokens) for plan in plans)),
        Line("as sent", "as-sent", tuple((plan.length, plan.prefix_tokens) for plan in plans)),
    ]
    return Markup(
        line_chart("Tokens before the newest turns, as text and as sent, at each re-plan", lines, x_label="turns", y_label="tokens")
    )


def _costs(calls: Sequence[Mapping[str, Any]]) -> Markup | None:
    priced = [call for call in calls if call["cost"] is not None and call["text_cost"] is not None]
    if len(priced) < 2:
        return None
    sent, text, points = 0.0, 0.0, list[tuple[int, float, float]]()
    for at, call in enumerate(priced, 1):
        sent, text = sent + call["cost"], text + call["text_cost"]
        points.append((at, text, sent))
    lines = [
        Line("as text", "as-text", tuple((at, text) for at, text, _ in points)),
        Line("as sent", "as-sent", tuple((at, sent) for at, _, sent in points)),
    ]
    return Markup(
        line_chart(
            "What the calls have cost so far, and would have cost as text", lines, x_label="calls", y_label="tokens of uncached input"
        )
    )

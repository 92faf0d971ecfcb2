"""Contexts for a question: turns that `recall` finds for it are added as text, word for word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..context.context import Context, PagePart, RecalledPart, TextPart
from ..context.wording import recalled_text
from ..errors import BudgetTooSmall
from ..profiles.pricing import Pricing
from ..text.excerpts import excerpt
from ..turns.exchanges import starts_exchange
from ..turns.redaction import redacted_turns
from ..turns.turn import Turn
from .context_builder import ContextBuilder
from .recall_pages import with_best_passages

__all__ = ["NEWEST", "asked_in", "before_current_exchange", "context_for"]

SHARE, MOST_KEPT = 4, 400  # recalled turns have one part in so many of a budget, or so many tokens; docs/experiments/recall.md
MOST_TOKENS = 1_000  # for them where more is left over, and without a budget
MOST_TURNS = 20
BEST_PASSAGES = (6, 4, 2, 1)  # passages of a document that are tried
NEWEST = 64  # turns among which the newest question is looked for


def context_for(
    question: str | bool | None,
    budget: int | None,
    builder: ContextBuilder,
    *,
    find: Callable[[str, int], list[Turn]],
    newest: Callable[[], Sequence[Turn]],
) -> Context:
    """Return a context with the turns that answer a question best, as far as the budget allows; without a question, without them.

    What comes before the newest turns is the context of the smaller budget, byte for byte. Turns that are text already, and system turns,
    are not added. Secrets are masked as on pages: nobody asked for these turns one by one.

    Args:
        question: True for what the user said last.
        find: finds turns for a question, best first, at most so many.
        newest: returns the newest turns, `NEWEST` or more.

    Raises `TypeError` for a question that is not a string, and what `builder.context` raises for `budget`.
    """
    asked = asked_in(question, newest)
    if asked is None:
        return builder.context(budget)
    context, pricing, redactor = _with_room(budget, builder.context), builder.pricing, builder.settings.redactor
    room = MOST_TOKENS if budget is None else min(budget - context.usage.prompt_tokens, MOST_TOKENS)
    shown = {turn.number for turn in context.turns}
    found = [turn for turn in find(asked, MOST_TURNS) if turn.number not in shown and turn.role not in ("system", "developer")]
    found = redacted_turns(found, redactor) if redactor else found
    found = [_within(turn, asked, room, pricing) for turn in found]
    chosen = _fitting([turn for turn in found if turn.text], room, pricing)
    return _with_recalled(context, chosen, pricing) if chosen else context


def asked_in(question: str | bool | None, newest: Callable[[], Sequence[Turn]]) -> str | None:
    """Return a question's words, of what the user said last for True; None without one. Raises `TypeError` for another type."""
    asked = _newest_question(newest()) if question is True else question
    if asked is None or asked is False:
        return None
    if not isinstance(asked, str):
        raise TypeError(f"a question is a string; got {excerpt(asked)}")
    return asked


def _newest_question(turns: Sequence[Turn]) -> str | None:
    """Return what the user said last; None if none of `turns` is the user's, or it has no words."""
    return next((turn.text for turn in reversed(turns[-NEWEST:]) if starts_exchange(turn)), None) or None


def _with_room(budget: int | None, build: Callable[[int | None], Context]) -> Context:
    """A context that leaves room for recalled turns; none where what must stay text takes it all."""
    if budget is None or isinstance(budget, bool) or not isinstance(budget, int) or budget < SHARE:
        return build(budget)
    try:
        return build(budget - min(budget // SHARE, MOST_KEPT))
    except BudgetTooSmall:
        return build(budget)


def _within(turn: Turn, question: str, room: int, pricing: Pricing) -> Turn:
    """Return a turn with as many passages of its documents as fit, those that answer best."""
    ways = (with_best_passages(turn, question, most) for most in BEST_PASSAGES)
    return next((way for way in ways if _tokens([way], pricing) <= room), turn) if turn.documents else turn


def _fitting(found: Sequence[Turn], room: int, pricing: Pricing) -> list[Turn]:
    """The best turns that fit together, in the order of the log. One that is too long is passed over."""
    chosen: list[Turn] = []
    for turn in found:
        if _tokens([*chosen, turn], pricing) <= room:
            chosen.append(turn)
    return sorted(chosen, key=lambda turn: turn.number)


def _tokens(turns: Sequence[Turn], pricing: Pricing) -> int:
    return pricing.message(_message(turns).text)  # not `cost`, which knows turns by their ids: this one has none


def _message(turns: Sequence[Turn]) -> Turn:
    return Turn(role="user", content=recalled_text(sorted(turns, key=lambda turn: turn.number)))


def _with_recalled(context: Context, chosen: Sequence[Turn], pricing: Pricing) -> Context:
    """Put the recalled turns before the exchange that is going on, or at the end if none is."""
    numbers, tokens = tuple(turn.number for turn in chosen), _tokens(chosen, pricing)
    part = RecalledPart((_message(chosen),), tokens, numbers)
    before, current = before_current_exchange(context.parts, pricing)
    usage = replace(context.usage, prompt_tokens=context.usage.prompt_tokens + tokens, recalled_tokens=tokens)
    return replace(
        context,
        parts=(*before, part, *current),
        plan=context.plan.model_copy(update={"recalled": numbers}),
        usage=replace(usage, price_factor=pricing.profile.cache.factor(usage.prompt_tokens)),
    )


def before_current_exchange(
    parts: Sequence[TextPart | PagePart], pricing: Pricing
) -> tuple[list[TextPart | PagePart], list[TextPart | PagePart]]:
    """Split the parts of a context where the exchange that is going on begins: what comes before it, and it."""
    *before, last = parts or (TextPart((), 0),)
    if not isinstance(last, TextPart):
        return list(parts), []
    at = _current_exchange(last.turns)
    tokens = pricing.total(last.turns[:at])
    older, current = TextPart(last.turns[:at], tokens), TextPart(last.turns[at:], pricing.total(last.turns) - tokens)
    return [*before, *([older] if older.turns else [])], [current] if current.turns else []


def _current_exchange(turns: Sequence[Turn]) -> int:
    """Where the exchange that waits for an answer begins among the newest turns; their number if none waits."""
    if not turns or (turns[-1].role == "assistant" and not turns[-1].tool_calls):
        return len(turns)
    return max((place for place, turn in enumerate(turns) if starts_exchange(turn)), default=0)

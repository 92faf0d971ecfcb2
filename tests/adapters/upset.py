"""A Hypothesis strategy for conversations that somebody has cut, edited or mixed up: what an adapter is handed by the framework's users."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.histories import histories


@st.composite
def upset_histories(draw: st.DrawFn, max_steps: int = 30) -> list[dict[str, Any]]:
    """Messages in OpenAI's shape: calls within calls, results late, twice, or without their call, calls without their results."""
    history = draw(histories(max_steps))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(history) - 1))
        what = draw(st.sampled_from(["removed", "twice", "later"]))
        if what == "twice":
            history.insert(draw(st.integers(place, len(history))), history[place])
        elif len(history) > 1:
            message = history.pop(place)
            if what == "later":
                history.insert(min(place + draw(st.integers(1, 4)), len(history)), message)
    return history

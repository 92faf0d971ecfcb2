"""Hypothesis strategies for conversations as real logs hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

START = datetime(2026, 1, 1, tzinfo=UTC)

_words = st.sampled_from(["booking QX-77419 ", "naïve café ", "我们去北京 ", "def f(x): ", "🚆 ", "x" * 90])
_text = st.builds(lambda word, times: word * times, _words, st.sampled_from([0, 1, 3, 20, 20, 60, 150]))


@st.composite
def _steps(draw: st.DrawFn, call_ids: st.SearchStrategy[str]) -> list[dict[str, Any]]:
    """One thing that happens in a conversation: somebody speaks, or an assistant calls tools and most of them answer."""
    kind = draw(st.sampled_from(["user", "assistant", "user", "assistant", "tools", "tools", "abandoned", "system"]))
    if kind in ("user", "assistant", "system"):
        return [{"role": kind, "content": draw(_text)}]
    ids = draw(st.lists(call_ids, min_size=1, max_size=3, unique=True))
    calls = [{"id": call_id, "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}} for call_id in ids]
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": draw(_text), "tool_calls": calls}]
    if kind == "tools":
        order = draw(st.permutations(ids))
        messages += [{"role": "tool", "tool_call_id": call_id, "content": draw(_text)} for call_id in order]
    return messages


@st.composite
def histories(draw: st.DrawFn, max_steps: int = 30) -> list[dict[str, Any]]:
    """Messages in OpenAI's shape: any order of roles, parallel and repeated call ids, calls that nobody answers, a last call still open."""
    call_ids = st.sampled_from([f"call_{n}" for n in range(6)])
    fewest = draw(st.sampled_from([1, max_steps // 2]))  # short ones find corners, long ones fill pages
    steps = draw(st.lists(_steps(call_ids), min_size=fewest, max_size=max_steps))
    moment, messages = START, []
    for message in (message for step in steps for message in step):
        moment += timedelta(seconds=draw(st.sampled_from([1, 20, 600])))
        importance = draw(st.sampled_from([0.5, 0.5, 0.5, 0.0, 1.0]))
        messages.append({**message, "created_at": moment, "importance": importance})
    return messages

"""Whole sessions by chance, through the memory to the request: pages by the tests' ruled renderer, pictures of users, pins, redaction."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from PIL import Image

from optical_memory import ByAge, Context, OpticalMemory, WaterMarks
from optical_memory.context.messages.openai_anthropic import to_openai
from optical_memory.errors import BudgetTooSmall
from optical_memory.profiles.profile import ReaderProfile
from optical_memory.renderers.png import encode_grey
from optical_memory.turns.attachments import ImageLoad
from tests.support import RuledRenderer

from ._histories import SIDES, Report, limited_by_chance, limits_broken

__all__ = ["run_session"]

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("booking QX-77419 ", "naïve café ", "我们去北京 ", "def f(x): ", "🚆 ", "password=hunter2hunter2 ", "x" * 90)
ASKED = 4  # contexts of a session; re-plans come between


def run_session(report: Report, chance: random.Random, profile: ReaderProfile) -> None:
    """One session: contexts while it grows, each counted with its faults."""
    profile = limited_by_chance(chance, profile)
    messages = list(_messages(chance, chance.choice([4, 25, 50])))
    memory = OpticalMemory(
        "s",
        store="memory://",
        renderer=RuledRenderer(rows=chance.choice([1_500, 6_000])),
        reader=profile,
        marks=WaterMarks(high=chance.choice([400, 3_000]), low=100),
        forgetting=chance.choice([ByAge(), ByAge(0, 1, 2, 4, 30)]),
        redact=chance.random() < 0.1,
    )
    budget = chance.choice([None, None, chance.randint(150, 8_000)])
    asks = {chance.randrange(len(messages)) for _ in range(ASKED - 1)} | {len(messages) - 1}
    report.histories += 1
    for place, message in enumerate(messages):
        memory.append(message)
        if chance.random() < 0.02:
            memory.pin(chance.randint(1, place + 1))
        if place in asks:
            try:
                _count(report, memory.context(budget), budget, profile)
            except BudgetTooSmall:
                continue


def _count(report: Report, context: Context, budget: int | None, profile: ReaderProfile) -> None:
    usage = context.usage
    report.pages += len(context.pages)
    whole = not usage.turns_left_out and not context.plan.squeezed
    if whole and context.pages:
        report.worst = max(report.worst, usage.prompt_tokens / usage.text_tokens)
    report.faults["dearer than text"] += whole and usage.prompt_tokens > usage.text_tokens
    report.faults["over budget"] += budget is not None and usage.prompt_tokens > budget
    seen = {segment.turn for part in context.pages for segment in part.page.segments} | {turn.number for turn in context.turns}
    report.faults["pin lost"] += bool(set(context.plan.pins) - seen)
    if context.pages:
        pages = [max(part.page.size(part.tier)) for part in context.pages]
        sent = list(_pictures_in(to_openai(context)))
        turns = sent[:]
        for part in context.pages:
            turns.remove(_load(_data_url(part.image())))
        report.faults["limit broken"] += limits_broken(profile.limits, pages, turns)
        report.faults["limit broken"] += len(sent) > profile.limits.max_pictures


def _pictures_in(messages: list[dict[str, Any]]) -> Iterator[ImageLoad]:
    """The pictures that a request really carries."""
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "image_url":
                yield _load(block["image_url"]["url"])


def _load(url: str) -> ImageLoad:
    data = url.partition(",")[2]
    return ImageLoad(1, len(data), max(Image.open(io.BytesIO(base64.b64decode(data))).size))


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@cache
def _picture(side: int) -> str:
    return _data_url(encode_grey(Image.new("L", (side, side // 2), 200), 16))


def _messages(chance: random.Random, steps: int) -> Iterator[dict[str, Any]]:
    moment = START
    for step in range(chance.randint(1, steps)):
        for message in _step(chance, step):
            moment += timedelta(seconds=chance.choice([1, 20, 600]))
            yield {**message, "created_at": moment, "importance": chance.choice([0.5, 0.5, 0.0, 1.0])}


def _step(chance: random.Random, step: int) -> list[dict[str, Any]]:
    said = chance.choice(WORDS) * chance.choice([0, 1, 20, 60, 150])
    role = chance.choice(["user", "assistant", "user", "picture", "tools", "system"])
    if role == "picture":
        url = {"url": _picture(chance.choice(SIDES))}
        return [{"role": "user", "content": [{"type": "text", "text": said or "look"}, {"type": "image_url", "image_url": url}]}]
    if role != "tools":
        return [{"role": role, "content": said}]
    ids = [f"call_{step}_{place}" for place in range(chance.randint(1, 3))]
    calls = [{"id": call_id, "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}} for call_id in ids]
    answered = ids if chance.random() < 0.8 else ids[:-1]
    results = [{"role": "tool", "tool_call_id": call_id, "content": said} for call_id in answered]
    return [{"role": "assistant", "content": said, "tool_calls": calls}, *results]

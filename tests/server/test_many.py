"""Many conversations at once, with faults among them: no answer lost or altered, no conversation mixed up."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import httpx
import pytest

from tests.server.rig import Rig, claude, rig

CONVERSATIONS, ROUNDS = 64, 2
FAULTS = ("", "", "", "529", "", "cut", "", "400", "", "error event", "", "no pages", "", "slow")


async def _one(client: httpx.AsyncClient, made: Rig, number: int) -> int:
    """Hold one conversation of several rounds; return how many answers came."""
    body = claude(12, last="start", seed=f"s{number}x", stream=True)
    answers = 0
    for turn in range(ROUNDS):
        for _ in range(40):
            try:
                answer = await client.post(made.address + "/v1/messages", content=json.dumps(body), headers={"x-api-key": "k"})
            except httpx.TransportError:
                continue
            if answer.status_code == 200 and b"message_stop" in answer.content:
                break
        text = _text(answer.content)
        assert text == await _direct(client, made, body)
        answers += 1
        body["messages"] += [{"role": "assistant", "content": text}, {"role": "user", "content": f"conversation {number} goes on, {turn}"}]
    return answers


async def _direct(client: httpx.AsyncClient, made: Rig, body: dict[str, Any]) -> str:
    """Return what the provider says without the proxy; it answers the newest message only."""
    alone = {**copy.deepcopy(body), "messages": [{"role": "user", "content": body["messages"][-1]["content"]}], "stream": False}
    for _ in range(40):
        try:
            answer = await client.post(made.direct + "/v1/messages", content=json.dumps(alone), headers={"x-api-key": "k"})
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            return str(answer.json()["content"][0]["text"])
    raise AssertionError("no answer")


def _text(content: bytes) -> str:
    events = [json.loads(line[5:]) for line in content.splitlines() if line.startswith(b"data:")]
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sixty_four_conversations_at_once_with_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optical_memory.server.proxy.rewriting.FULL_CHARACTERS", 10_000)  # pages as soon as they are drawn
    monkeypatch.setattr("optical_memory.server.proxy.rewriting.WORTH_IT", 0.0)

    async def all_of_them(made: Rig) -> list[int]:
        async with httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None)) as client:
            return await asyncio.gather(*(_one(client, made, number) for number in range(CONVERSATIONS)))

    with rig(draw_wait=5.0) as made:
        made.upstream.faults.extend(FAULTS * 10)
        assert asyncio.run(all_of_them(made)) == [ROUNDS] * CONVERSATIONS
        for seen in made.upstream.seen:
            text = seen.body.decode()
            named = {f"task s{number}x." for number in range(CONVERSATIONS) if f"task s{number}x." in text}
            assert len(named) <= 1
        assert any(seen.pages for seen in made.upstream.seen)
        assert len({each["conversation"] for each in made.get("/api/conversations")}) == CONVERSATIONS

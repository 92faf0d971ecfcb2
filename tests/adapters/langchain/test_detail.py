"""OpenAI's `detail` of a user's own picture: what langchain-openai sends of it, and what we count."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from optical_memory.adapters.langchain.messages import turn_of_message
from tests.adapters.test_pictures import DATA, PROFILE, tokens
from tests.adapters.wire import Wire

STANDARD = {"type": "image", "base64": DATA, "mime_type": "image/png"}
OPENAI = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}", "detail": "low"}}


@pytest.mark.parametrize(
    ("block", "sent"),
    [(STANDARD, None), ({**STANDARD, "detail": "low"}, None), ({**STANDARD, "extras": {"detail": "low"}}, None), (OPENAI, "low")],
    ids=["standard", "detail", "extras", "openai's own block"],
)
def test_a_picture_counts_at_least_what_is_sent_costs(block: dict[str, Any], sent: str | None) -> None:
    """langchain-openai sends no `detail` of a standard block, so that the picture is billed in full, as it is counted."""
    from langchain_openai import ChatOpenAI

    message = HumanMessage([block])
    with Wire(["A cat."]) as wire:
        ChatOpenAI(model="gpt-4o", base_url=wire.openai_url, api_key="none").invoke([message])  # type: ignore[arg-type]
        (given,) = wire.requests[0].body["messages"][0]["content"]
    assert given["image_url"].get("detail") == sent
    assert tokens(turn_of_message(message)) >= PROFILE.picture_tokens(1536, 1536)

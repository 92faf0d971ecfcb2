"""A picture in any provider's block counts as a picture, in messages of every framework, and is not lost on a page."""

from __future__ import annotations

import base64
import io
import uuid
from typing import Any

import pytest
from PIL import Image

from optical_memory.profiles.pricing import Pricing
from optical_memory.profiles.registry import profile_of
from optical_memory.text.token_count import open_counter
from optical_memory.turns.turn import Turn

PROFILE = profile_of("gpt-4o")


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1536, 1536)).save(file, "PNG")
    return file.getvalue()


DATA = base64.b64encode(png()).decode()


def tokens(turn: Turn) -> int:
    named = turn.model_copy(update={"number": 1, "id": uuid.uuid4().hex})
    return Pricing(PROFILE, open_counter(PROFILE.encoding)).total([named])


def assert_a_picture(turn: Turn) -> None:
    assert PROFILE.picture_tokens(1536, 1536) <= tokens(turn) <= 2 * PROFILE.picture_tokens(1536, 1536)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "media", "mime_type": "image/png", "data": DATA},
        {"type": "media", "mime_type": "image/png", "data": png()},
        {"type": "media", "mime_type": "image/png", "file_uri": "gs://bucket/picture.png"},
        {"image": {"format": "png", "source": {"bytes": png()}}},
        {"image": {"format": "png", "source": {"bytes": DATA}}},
        {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://bucket/picture.png"}}}},
        {"type": "image", "base64": DATA, "mime_type": "image/png"},
        {"type": "image", "file_id": "file-1"},
        {"type": "image", "source_type": "id", "id": "file-1"},
        {"type": "image", "source": {"type": "file", "file_id": "file-1"}},
    ],
)
def test_langchain(block: dict[str, Any]) -> None:
    messages = pytest.importorskip("langchain_core.messages", reason="langchain-core is not installed")
    from optical_memory.adapters.langchain.messages import turn_of_message

    turn = turn_of_message(messages.HumanMessage([{"type": "text", "text": "see"}, block]))
    assert_a_picture(turn)
    assert turn.images or "image" in turn.text


@pytest.mark.parametrize("named", [{"file_id": "file-1"}, {"image_url": f"data:image/png;base64,{DATA}"}])
def test_openai_agents(named: dict[str, Any]) -> None:
    pytest.importorskip("agents", reason="openai-agents is not installed")
    from optical_memory.adapters.openai_agents import _turn

    turn = _turn([{"role": "user", "content": [{"type": "input_text", "text": "see"}, {"type": "input_image", **named}]}])
    assert_a_picture(turn)
    shot = _turn([{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot", **named}}])
    assert_a_picture(shot)


def test_llama_index_by_path(tmp_path: Any) -> None:
    types = pytest.importorskip("llama_index.core.base.llms.types", reason="llama-index-core is not installed")
    from optical_memory.adapters.llama_index import _turn

    (tmp_path / "p.png").write_bytes(png())
    turn = _turn(types.ChatMessage(role="user", blocks=[types.ImageBlock(path=str(tmp_path / "p.png"), image_mimetype="image/png")]))
    assert_a_picture(turn)
    assert turn.images[0].decode() == png()

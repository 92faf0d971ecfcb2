from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from optical_memory.errors import InvalidTurn, UnsupportedContent
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import ImageContent, ReasoningContent, TextContent, ToolCall, ToolResultContent, Turn

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()


def test_a_pair_a_mapping_and_a_turn_mean_the_same() -> None:
    expected = Turn(role="user", content="hello")
    assert turn_of(("user", "hello")) == turn_of({"role": "user", "content": "hello"}) == turn_of(expected) == expected


def test_openai_tool_calls_keep_their_arguments_as_written() -> None:
    arguments = '{"city" :  "Lyon", "broken": '
    call = {"id": "c1", "type": "function", "function": {"name": "trains", "arguments": arguments}}
    turn = turn_of({"role": "assistant", "content": None, "tool_calls": [call]})
    assert turn.content == ""
    assert turn.tool_calls == (ToolCall(id="c1", name="trains", arguments=arguments),)
    assert turn.text == f"trains({arguments})"


def test_openai_content_lists_hold_text_and_pictures() -> None:
    url = f"data:image/png;base64,{PIXEL}"
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}, "and this"]
    turn = turn_of({"role": "user", "content": parts})
    assert turn.content == (
        TextContent(text="look"),
        ImageContent(media_type="image/png", data=PIXEL, detail="low"),
        TextContent(text="and this"),
    )
    assert turn.text == "look\nand this"
    assert turn.images[0].decode().startswith(b"\x89PNG")


def test_the_responses_api_and_addresses_of_pictures() -> None:
    parts = [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "https://example.org/cat.png"}]
    assert turn_of({"role": "user", "content": parts}).images == (ImageContent(url="https://example.org/cat.png"),)


def test_anthropic_blocks() -> None:
    assistant = turn_of(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "I look.", "citations": []},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "/tmp/ä"}},
            ],
        }
    )
    assert assistant.tool_calls == (ToolCall(id="t1", name="read", arguments='{"path": "/tmp/ä"}'),)
    assert isinstance(assistant.parts[0], ReasoningContent)
    assert assistant.text == 'hm\nI look.\nread({"path": "/tmp/ä"})'
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    inner = [{"type": "text", "text": "bytes"}, picture]
    result = {"type": "tool_result", "tool_use_id": "t1", "content": inner, "is_error": True}
    user = turn_of({"role": "user", "content": [result]})
    assert isinstance(user.parts[0], ToolResultContent)
    assert user.answered_calls == ("t1",)
    assert user.parts[0].is_error
    assert len(user.images) == 1


def test_langchain_calls_and_roles() -> None:
    turn = turn_of({"role": "ai", "content": "", "tool_calls": [{"name": "f", "args": {"x": 1}, "id": "c"}]})
    assert turn.role == "assistant"
    assert turn.tool_calls[0].arguments == '{"x": 1}'


def test_unknown_fields_live_on() -> None:
    turn = turn_of(
        {"role": "assistant", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}], "refusal": None}
    )
    assert turn.extra == {"refusal": None}
    assert turn.parts[0].model_extra == {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-05-01T07:40:00+02:00", datetime(2026, 5, 1, 7, 40, tzinfo=timezone(timedelta(hours=2)))),
        ("2026-05-01 07:40", datetime(2026, 5, 1, 7, 40, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (datetime(2026, 5, 1), datetime(2026, 5, 1, tzinfo=UTC)),
        ("7:31 pm on 21 January, 2022", datetime(2022, 1, 21, 19, 31, tzinfo=UTC)),
        ("Fri, 01 May 2026 07:40:00 +0000", datetime(2026, 5, 1, 7, 40, tzinfo=UTC)),
        (None, None),
    ],
)
def test_times(given: Any, expected: datetime | None) -> None:
    assert turn_of({"role": "user", "content": "x", "created_at": given}).created_at == expected


@pytest.mark.parametrize(
    ("message", "error", "says"),
    [
        ({"role": "robot", "content": "x"}, InvalidTurn, "'robot'.*user"),
        ({"role": None, "content": "x"}, InvalidTurn, "None"),
        ({"content": "x"}, InvalidTurn, "None"),
        ({"role": "user", "content": 3}, UnsupportedContent, "3"),
        ({"role": "user", "content": b"x"}, UnsupportedContent, "b'x'"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text/html,<b>"}}]},
            UnsupportedContent,
            "data:text/html",
        ),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, UnsupportedContent, "URL"),
        ({"role": "user", "content": [{"type": "text"}]}, InvalidTurn, "text"),
        ({"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "@@"}}]}, InvalidTurn, "base64"),
        ({"role": "tool", "content": "x"}, InvalidTurn, "tool_call_id"),
        ({"role": "user", "content": "x", "tool_calls": [{"id": "c", "name": "f"}]}, InvalidTurn, "'user'"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, InvalidTurn, "id and a name"),
        ({"role": "assistant", "tool_calls": ["f"]}, InvalidTurn, "'f'"),
        ({"role": "user", "content": "x", "importance": 2}, InvalidTurn, "importance.*2"),
        ({"role": "user", "content": "x", "metadata": {"a": object()}}, InvalidTurn, "metadata"),
        ({"role": "user", "content": "x", "created_at": "yesterday"}, InvalidTurn, "'yesterday'"),
        ({"role": "user", "content": "x", "id": 7}, InvalidTurn, "7"),
        (("user",), TypeError, "tuple"),
        (5, TypeError, "5"),
        ("hello", TypeError, "'hello'"),
    ],
)
def test_what_is_no_turn_is_refused_with_its_value(message: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        turn_of(message)


def test_errors_do_not_quote_megabytes() -> None:
    with pytest.raises(UnsupportedContent) as caught:
        turn_of({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:video/mp4," + "x" * 1_000_000}}]})
    assert len(str(caught.value)) < 500

"""Messages of other shapes than plain text: every word that came is in the turn, data is not taken for words."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from optical_memory.errors import InvalidTurn
from optical_memory.turns.from_messages import turn_of
from optical_memory.turns.turn import CallPlace, OtherContent, ToolResultContent, Turn
from tests.turns.test_from_messages import PIXEL

DATA = base64.b64encode(b"%PDF-1.7 /Type /Page /Type /Page").decode()
NOTE = base64.b64encode(b"The gate code is 4411.").decode()


def user(*blocks: Any) -> Turn:
    return turn_of({"role": "user", "content": list(blocks)})


WORDS: list[tuple[Any, str]] = [
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "code 4411"}, "title": "Note"}, "code 4411\nNote"),
    ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "code 4411"}]}}, "code 4411"),
    (
        {"type": "document", "title": "Plan", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}},
        "[document]\nPlan",
    ),
    ({"type": "document", "source": {"type": "file", "file_id": "f"}}, "[document]"),
    ({"type": "search_result", "source": "kb://7", "title": "Site", "content": [{"type": "text", "text": "4411"}]}, "kb://7\nSite\n4411"),
    ({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "ferry"}}, 'web_search({"query": "ferry"})'),
    (
        {"type": "code_execution_tool_result", "tool_use_id": "s", "content": {"stdout": "42", "stderr": "", "return_code": 0}},
        "return_code: 0",
    ),
    ({"type": "mcp_tool_result", "tool_use_id": "s", "is_error": True, "content": [{"type": "text", "text": "no"}]}, "error\nno"),
    (
        {"type": "web_search_tool_result", "content": {"type": "web_search_tool_result_error", "error_code": "max_uses"}},
        "error_code: max_uses",
    ),
    ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "[input_audio]"),
    ({"type": "file", "file": {"filename": "a.txt", "file_data": f"data:text/plain;base64,{NOTE}"}}, "a.txt\nThe gate code is 4411."),
    ({"type": "file", "base64": DATA, "mime_type": "application/pdf", "filename": "plan.pdf"}, "[application/pdf]\nplan.pdf"),
    ({"type": "file", "mediaType": "text/plain", "data": NOTE}, "The gate code is 4411."),
    ({"type": "input_file", "file_id": "file-1"}, "[input_file]"),
    ({"type": "refusal", "refusal": "I cannot."}, "I cannot."),
    ({"type": "text-plain", "text": "plain words"}, "plain words"),
    ({"type": "resource", "resource": {"uri": "file:///a", "mimeType": "text/plain", "text": "inside"}}, "file:///a\ninside"),
    ({"type": "source-url", "sourceId": "1", "url": "https://a.example", "title": "A"}, "https://a.example\nA"),
    ({"type": "data-weather", "data": {"city": "Oslo", "degrees": 3}}, "city: Oslo\ndegrees: 3"),
    ({"type": "computer_call", "actions": [{"type": "type", "text": "order 4411"}]}, "4411"),
    ({"type": "of_tomorrow", "deep": [{"er": {"note": "4411"}}]}, "note: 4411"),
    ({"gate": 4411}, '{"gate": 4411}'),
    ({"document": {"format": "pdf", "name": "plan", "source": {"bytes": b"%PDF"}}}, "name: plan"),
    ({"executable_code": {"language": "PYTHON", "code": "print(4411)"}}, "print(4411)"),
    ({"type": "step-start"}, ""),
    ({"type": "compaction", "content": "They met in Oslo."}, "They met in Oslo."),
    ({"type": "compaction", "encrypted_content": "gAAAA"}, ""),
]


@pytest.mark.parametrize(("block", "words"), WORDS, ids=[str(block.get("type", list(block)))[:24] for block, _ in WORDS])
def test_words_of_a_block_are_words_of_the_turn(block: Any, words: str) -> None:
    turn = turn_of({"role": "assistant", "content": [block]})
    assert words in turn.text and (words or not turn.text)
    assert "gAAAA" not in turn.text and DATA not in turn.text


def test_an_unknown_block_is_kept_unchanged() -> None:
    block = {"type": "of_tomorrow", "id": "x", "note": "n", "encrypted_content": "e", "cache_control": {"type": "ephemeral"}}
    assert user(block).parts == (OtherContent(block=block),)


@pytest.mark.parametrize(
    ("block", "words", "data"),
    [
        ({"type": "thinking", "thinking": "hm", "signature": "c2ln"}, "hm", ["c2ln"]),
        ({"type": "redacted_thinking", "data": "c2Vj"}, "", ["c2Vj"]),
        ({"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e"}, "hm", ["e"]),
        ({"type": "reasoning", "reasoning": "hm", "extras": {"signature": "c2ln"}}, "hm", ["c2ln"]),
        ({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}}, "hm", ["c2ln"]),
        ({"type": "reasoning", "text": "hm", "providerMetadata": {"anthropic": {"signature": "c2ln"}}}, "hm", ["c2ln"]),
        ({"text": "hm", "thought": True, "thoughtSignature": "c2ln"}, "hm", ["c2ln"]),
    ],
)
def test_reasoning_has_words_and_sealed_data(block: Any, words: str, data: list[str]) -> None:
    turn = turn_of({"role": "assistant", "content": [block]})
    assert turn.text == words and [each.data for each in turn.opaque] == data


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "QX-1"},
        {"reasoning": "QX-1"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "QX-1"}]},
        {"thinking": "QX-1"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "QX-1", "signature": "s"}], "reasoning_content": "QX-1"},
        {"refusal": "QX-1"},
        {"audio": {"id": "a", "transcript": "QX-1", "data": "AAAA"}},
        {"annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example/QX-1", "title": "T"}}]},
    ],
)
def test_what_is_said_beside_the_content_is_said_once(fields: Any) -> None:
    turn = turn_of({"role": "assistant", "content": None, **fields})
    assert turn.text.count("QX-1") == 1 and turn.extra == fields


PICTURES: list[Any] = [
    {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
    {"type": "media", "mime_type": "image/png", "data": PIXEL},
    {"type": "image", "data": PIXEL, "mimeType": "image/png"},
    {"type": "image", "image": f"data:image/png;base64,{PIXEL}"},
    {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PIXEL}"},
    {"inline_data": {"mime_type": "image/png", "data": PIXEL}},
    {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
    {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}},
    {"type": "image", "source_type": "base64", "mime_type": "image/png", "data": PIXEL},
]


@pytest.mark.parametrize("block", PICTURES)
def test_pictures_of_every_shape_are_pictures(block: Any) -> None:
    assert [(image.media_type, image.data) for image in user(block).images] == [("image/png", PIXEL)]


ASK = {"type": "text", "text": "Looking."}
CALLS: list[tuple[Any, Any]] = [
    (
        {"type": "tool-weather", "toolCallId": "c", "state": "output-available", "input": {"at": "Oslo"}, "output": {"degrees": 3}},
        ('{"at": "Oslo"}', '{"degrees": 3}', False),
    ),
    (
        {"type": "dynamic-tool", "toolName": "weather", "toolCallId": "c", "state": "output-error", "input": {}, "errorText": "down"},
        ("{}", "down", True),
    ),
    (
        {
            "type": "tool-invocation",
            "toolInvocation": {"state": "result", "toolCallId": "c", "toolName": "weather", "args": {}, "result": "3"},
        },
        ("{}", "3", False),
    ),
]


@pytest.mark.parametrize(("part", "expected"), CALLS)
def test_a_tool_part_of_a_user_interface_is_a_call_and_its_result(part: Any, expected: Any) -> None:
    turn = turn_of({"role": "assistant", "parts": [{"type": "step-start"}, ASK, part, {"type": "text", "text": "Cold."}]})
    (call,) = turn.tool_calls
    (result,) = (part for part in turn.parts if isinstance(part, ToolResultContent))
    assert (call.name, call.arguments, result.text, result.is_error) == ("weather", *expected)
    assert turn.waiting_calls == () and turn.answered_calls == () and turn.text.endswith("Cold.")


def test_a_call_of_a_user_interface_that_is_not_answered_waits() -> None:
    part = {"type": "tool-weather", "toolCallId": "c", "state": "input-available", "input": {}}
    assert turn_of({"role": "assistant", "parts": [part]}).waiting_calls == ("c",)


ATTACHED = {"name": "a", "contentType": "text/plain", "url": f"data:text/plain;base64,{NOTE}"}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"role": "user", "parts": [{"type": "text", "text": "QX-1"}]}, "QX-1"),
        ({"role": "model", "parts": [{"text": "QX-1"}]}, "QX-1"),
        ({"role": "user", "content": "QX-1", "parts": [{"type": "text", "text": "QX-1"}]}, "QX-1"),
        ({"role": "user", "content": "", "parts": ["QX-1", "b"]}, "QX-1\nb"),
        ({"role": "assistant", "content": "", "toolInvocations": [CALLS[2][0]["toolInvocation"]]}, "weather({})\n3"),
        ({"role": "user", "content": "see", "experimental_attachments": [ATTACHED]}, "see\nname: a\nThe gate code is 4411."),
    ],
)  # fmt: skip
def test_parts_are_content(message: Any, text: str) -> None:
    assert turn_of(message).text == text


@pytest.mark.parametrize("key", ["text", "value", "body", "output", "mapping"])
def test_a_message_whose_words_are_not_found_is_refused(key: str) -> None:
    with pytest.raises(InvalidTurn, match=f"no content.*{key}"):
        turn_of({"role": "user", key: "words" if key != "mapping" else {"a": "words"}})


def test_calls_between_other_blocks_keep_their_places() -> None:
    call = {"type": "tool_use", "name": "f", "input": {}}
    turn = turn_of({"role": "assistant", "content": [{**call, "id": "a"}, ASK, {**call, "id": "a"}]})
    assert [part.place for part in turn.parts if isinstance(part, CallPlace)] == [0, 1]
    assert turn.text == "f({})\nLooking.\nf({})"
    both = turn_of({"role": "assistant", "content": [ASK, {**call, "id": "a"}], "tool_calls": [{"name": "f", "args": {}, "id": "a"}]})
    assert len(both.tool_calls) == 1 and len(both.parts) == 1, "made once, and last"


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "error"},
        {"is_error": True},
        {"isError": True},
    ],
)
def test_a_failed_call_of_any_shape_is_known(fields: Any) -> None:
    assert turn_of({"role": "tool", "tool_call_id": "c", "content": "42", **fields}).failed
    assert not turn_of({"role": "tool", "tool_call_id": "c", "content": "42", "status": "success"}).failed


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool-result", "toolCallId": "c", "toolName": "f", "output": {"type": "error-text", "value": "down"}},
        {"toolResult": {"toolUseId": "c", "content": [{"text": "down"}], "status": "error"}},
        {"functionResponse": {"id": "c", "name": "f", "response": {"error": "down"}}},
        {"type": "tool_result", "tool_use_id": "c", "content": "down", "is_error": True},
    ],
)
def test_results_inside_content(block: Any) -> None:
    (part,) = turn_of({"role": "user", "content": [block]}).parts
    assert isinstance(part, ToolResultContent) and (part.tool_call_id, part.text, part.is_error) == ("c", "down", True)


@pytest.mark.parametrize("arguments", ["", "null", " ", None, '""'])
def test_no_arguments_are_an_empty_object(arguments: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": arguments}}
    assert turn_of({"role": "assistant", "tool_calls": [call]}).tool_calls[0].parsed == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "2024-03-05T09:00:00Z"},
        {"createdAt": 1709629200000},
        {"create_time": 1709629200.0},
        {"ts": "1709629200.0001"},
        {"metadata": {"createdAt": "2024-03-05T09:00:00.000Z"}},
    ],
)
def test_times_under_other_names(fields: Any) -> None:
    turn = turn_of({"role": "user", "content": "x", **fields})
    assert str(turn.created_at)[:16] == "2024-03-05 09:00" and not turn.extra


@pytest.mark.parametrize("value", ["soon", 12, True, ["2024-03-05"]])
def test_what_is_no_time_is_none_and_stays(value: Any) -> None:
    turn = turn_of({"role": "user", "content": "x", "time": value})
    assert turn.created_at is None and turn.extra == {"time": value}

"""Exports of chats and messages of APIs: Claude.ai, OpenAI Responses, ShareGPT, LangChain, Vercel, Pydantic AI, chat messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optical_memory.errors import InvalidTurn
from optical_memory.turns.turn import ReasoningContent
from tests.imports.reading import imported, outline, written
from tests.imports.writers import DATA_URL, PNG


def claude_ai(*messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    said = [{"uuid": f"m{place}", "created_at": f"2025-03-05T09:0{place}:00Z", "text": "", **one} for place, one in enumerate(messages)]
    return [{"uuid": "c-1", "name": "Trip", "created_at": "2025-03-05T09:00:00Z", "chat_messages": said, **more}]


def test_results_between_the_blocks_of_an_answer_follow_their_calls(tmp_path: Path) -> None:
    pages = [{"type": "knowledge", "title": "Lyon", "url": "https://example.org", "text": "Trains to Lyon"}]
    blocks = [
        {"type": "thinking", "thinking": "Search twice."},
        {"type": "text", "text": "I search."},
        {"type": "tool_use", "id": None, "name": "web_search", "input": {"query": "a"}},
        {"type": "tool_result", "tool_use_id": None, "name": "web_search", "content": pages},
        {"type": "tool_use", "name": "web_search", "input": {"query": "b"}},
        {"type": "tool_result", "name": "web_search", "is_error": True, "content": [{"type": "text", "text": "timed out"}]},
        {"type": "text", "text": "Platform 9."},
    ]
    attached = {"attachments": [{"file_name": "plan.txt", "file_type": "txt", "extracted_content": "Be there at 7."}]}
    asked = {"sender": "human", "text": "When?", "content": [{"type": "text", "text": "When?"}], "files": [{"file_name": "map.png"}]}
    export = claude_ai(asked | attached, {"sender": "assistant", "content": blocks})
    files = {
        "conversations.json": export,
        "users.json": [{"uuid": "u"}],
        "projects.json": [],
        "memories.json": [{"conversations_memory": ""}],
    }
    turns = imported(written(tmp_path, files))["claude-ai/c-1"]
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert turns[0].text == "When?\n\n[file: plan.txt]\nBe there at 7.\n\n[file: map.png]"
    assert [turn.answered_calls for turn in turns[2:5:2]] == [(turns[1].tool_calls[0].id,), (turns[3].tool_calls[0].id,)]
    assert "Trains to Lyon" in turns[2].text
    assert "Search twice." in turns[1].model_dump_json()


def test_the_branch_that_claude_ai_shows_is_read(tmp_path: Path) -> None:
    said = [
        {"sender": "human", "text": "Paris?"},
        {"sender": "human", "text": "Lyon?"},
        {"sender": "assistant", "text": "7:40.", "parent_message_uuid": "m1"},
        {"sender": "assistant", "text": "7:40, platform 9.", "parent_message_uuid": "m1"},
    ]
    export = claude_ai(*said, current_leaf_message_uuid="m3")
    assert outline(imported(written(tmp_path, {"c.json": export}))["claude-ai/c-1"]) == [
        ("user", "Lyon?"),
        ("assistant", "7:40, platform 9."),
    ]


def test_an_unknown_sender_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InvalidTurn, match=r"c\.json, item 1: unknown sender 'robot'"):
        imported(written(tmp_path, {"c.json": claude_ai({"sender": "robot", "text": "x"})}))


def test_calls_of_hosted_tools_have_their_results(tmp_path: Path) -> None:
    output = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "Lyon"}},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}], "container_id": "x"},
        {"type": "mcp_call", "id": "mcp_1", "name": "book", "arguments": "{}", "error": "sold out", "server_label": "s"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Two.", "annotations": []}]},
    ]
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1741165200,
        "model": "gpt-5.2",
        "output": output,
        "instructions": "Be brief.",
    }
    turns = next(iter(imported(written(tmp_path, {"r.json": response})).values()))
    assert [call.name for turn in turns for call in turn.tool_calls] == ["web_search", "code_interpreter", "book"]
    assert [turn.text for turn in turns if turn.role == "tool"] == ["2", "sold out"]
    assert outline(turns)[0] == ("developer", "Be brief.")
    assert f"{turns[1].created_at:%Y-%m-%d}" == "2025-03-05"


def test_stored_items_that_come_newest_first_are_turned_round(tmp_path: Path) -> None:
    data = [
        {"type": "message", "id": "msg_2", "role": "assistant", "content": [{"type": "output_text", "text": "18 °C."}]},
        {"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": "18"},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
        {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
    ]
    listed = {"object": "list", "data": data, "first_id": "msg_2", "last_id": "msg_1", "has_more": False}
    turns = next(iter(imported(written(tmp_path, {"items.json": listed})).values()))
    assert outline(turns) == [("user", "Weather?"), ("assistant", "get_weather({})"), ("tool", "18"), ("assistant", "18 °C.")]


def test_an_item_of_an_unknown_type_is_refused(tmp_path: Path) -> None:
    request = {"model": "gpt-5", "input": [{"type": "message", "role": "user", "content": "Hi"}, {"type": "hologram"}]}
    with pytest.raises(InvalidTurn, match=r"r\.json, item 2: unknown item of type 'hologram'"):
        imported(written(tmp_path, {"r.json": request}))


def test_sharegpt_in_lines_with_calls_inside_texts(tmp_path: Path) -> None:
    rows = (
        {
            "id": "a",
            "conversations": [
                {"from": "system", "value": "You have tools."},
                {"from": "human", "value": "Add."},
                {"from": "gpt", "value": 'I add.\n<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'},
                {"from": "tool", "value": '<tool_response>\n{"name": "add", "content": 3}\n</tool_response>'},
                {"from": "gpt", "value": "3."},
            ],
        },
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}], "system": "Be kind."},
    )
    found = imported(written(tmp_path, {"set.jsonl": rows}))
    assert outline(found["sharegpt/a"])[2:4] == [("assistant", 'I add.\nadd({"a": 1})'), ("tool", "3")]
    assert outline(found["sharegpt/set-2"]) == [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello.")]


def test_an_unknown_speaker_is_named_with_its_line(tmp_path: Path) -> None:
    good = {"conversations": [{"from": "human", "value": "Hi"}]}
    with pytest.raises(InvalidTurn, match=r"set\.jsonl, line 2: unknown speaker 'robot'"):
        imported(written(tmp_path, {"set.jsonl": (good, {"conversations": [{"from": "robot", "value": "x"}]})}))


def test_langchain_s_dumps_and_states(tmp_path: Path) -> None:
    pytest.importorskip("langchain_core", reason="the dumps are LangChain's")
    from langchain_core.load import dumpd
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    calls: Any = [{"name": "add", "args": {"a": 1}, "id": "c1"}]
    said = [
        SystemMessage("Be kind."),
        HumanMessage(["Add.", {"type": "image", "base64": DATA_URL.partition(",")[2], "mime_type": "image/png"}]),
        AIMessage(
            [{"type": "text", "text": "I add."}, {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}], tool_calls=calls
        ),
        ToolMessage("3", tool_call_id="c1", name="add", artifact={"x": 1}),
    ]
    state = {"values": {"messages": [one.model_dump() for one in said]}, "config": {"configurable": {"thread_id": "th-1"}}}
    found = imported(written(tmp_path, {"dump.json": [dumpd(one) for one in said], "state.json": state}))
    for turns in (found["langchain/th-1"], found["langchain/dump"]):
        assert outline(turns)[2:] == [("assistant", 'I add.\nadd({"a": 1})'), ("tool", "3")]
        assert turns[1].images[0].decode() == PNG


def test_vercel_messages_of_version_4(tmp_path: Path) -> None:
    done = {"state": "result", "toolCallId": "c1", "toolName": "contacts", "args": {"name": "Tan"}, "result": {"phone": "555-0100"}}
    attached = [{"name": "t.png", "contentType": "image/png", "url": DATA_URL}]
    said = [
        {
            "id": "m1",
            "role": "user",
            "content": "Find Ms Tan",
            "createdAt": "2025-03-05T09:00:00.000Z",
            "experimental_attachments": attached,
        },
        {"id": "m2", "role": "assistant", "content": "Found.", "toolInvocations": [done], "createdAt": "2025-03-05T09:01:00.000Z"},
    ]
    turns = next(iter(imported(written(tmp_path, {"chat.json": said})).values()))
    assert [turn.role for turn in turns] == ["user", "assistant", "tool"]
    assert turns[0].images[0].decode() == PNG
    assert turns[2].text == '{"phone": "555-0100"}'
    assert f"{turns[2].created_at:%Y-%m-%d %H:%M}" == "2025-03-05 09:01"


def test_steps_of_a_vercel_answer_are_messages_with_their_results(tmp_path: Path) -> None:
    parts = [
        {"type": "step-start"},
        {"type": "reasoning", "text": "Two at once."},
        {"type": "tool-add", "toolCallId": "c1", "state": "output-available", "input": {"a": 1}, "output": 3},
        {"type": "dynamic-tool", "toolName": "sub", "toolCallId": "c2", "state": "output-error", "input": {}, "errorText": "no a"},
        {"type": "step-start"},
        {"type": "text", "text": "3."},
        {"type": "source-url", "sourceId": "s", "url": "https://example.org", "title": "Sums"},
        {"type": "data-weather", "data": {"city": "Lyon"}},
        {"type": "file", "mediaType": "application/pdf", "filename": "a.pdf", "url": "https://example.org/a.pdf"},
    ]
    chat = {"id": "ch", "title": "Sums", "messages": [{"id": "m1", "role": "assistant", "parts": parts}]}
    turns = imported(written(tmp_path, {"chat.json": chat}))["vercel/ch"]
    assert [turn.role for turn in turns] == ["assistant", "tool", "tool", "assistant"]
    assert [call.id for call in turns[0].tool_calls] == ["c1", "c2"]
    assert [turn.text for turn in turns[1:3]] == ["3", "no a"]
    assert "Lyon" in turns[3].text
    assert "[source: Sums https://example.org]" in turns[3].text


def test_pydantic_ai_s_instructions_stand_once_and_retries_are_failures(tmp_path: Path) -> None:
    def request(*parts: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "request", "instructions": "Be brief.", "parts": list(parts)}

    at = "2025-03-05T09:00:00Z"
    made = {"part_kind": "tool-call", "tool_name": "add", "args": '{"a":1}', "tool_call_id": "c1"}
    errors = [{"type": "missing", "loc": ["b"], "msg": "Field required", "input": {}}]
    retry = {"part_kind": "retry-prompt", "content": errors, "tool_name": "add", "tool_call_id": "c1", "timestamp": at}
    history = [
        request(
            {"part_kind": "user-prompt", "content": ["Add", {"kind": "image-url", "url": "https://example.org/a.png"}], "timestamp": at}
        ),
        {"kind": "response", "parts": [made], "timestamp": at, "model_name": "gpt-5"},
        request(retry),
    ]
    turns = next(iter(imported(written(tmp_path, {"h.json": history})).values()))
    assert [turn.role for turn in turns] == ["system", "user", "assistant", "tool"]
    assert "Field required" in turns[3].text
    assert turns[1].images[0].url == "https://example.org/a.png"


def test_lines_of_chats_without_a_format_of_their_own_stay_one_session(tmp_path: Path) -> None:
    rows = ({"messages": [{"role": "user", "content": "Hi"}]}, {"messages": [{"role": "user", "content": "Again"}]})
    assert list(imported(written(tmp_path, {"chat.jsonl": rows}) / "chat.jsonl")) == ["default"]


def test_a_chat_keeps_the_ids_that_earlier_releases_gave_it(tmp_path: Path) -> None:
    from optical_memory.turns.chat_files import identified

    messages = [{"role": "user", "content": "Hi", "created_at": "2025-03-05"}, {"role": "assistant", "content": "Hello.", "id": "x"}]
    (turns,) = imported(written(tmp_path, {"chat.json": messages}) / "chat.json").values()
    assert [turn.id for turn in turns] == [one["id"] for one in identified(json.loads(json.dumps(messages)), {})]


def test_a_prompt_saved_by_ai_studio(tmp_path: Path) -> None:
    """As Google Drive holds it: settings, and chunks, of which thoughts and files are some."""
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg=="
    chunks = [
        {"text": "What is in the picture?", "role": "user", "tokenCount": 6, "createTime": "2025-06-01T10:00:00Z"},
        {"inlineFile": {"mimeType": "image/png", "data": pixel}, "role": "user", "tokenCount": 258},
        {"driveDocument": {"id": "1AbC"}, "role": "user", "tokenCount": 100},
        {"text": "They ask about the red dot.", "role": "model", "isThought": True, "tokenCount": 7},
        {"text": "A red dot.", "role": "model", "finishReason": "STOP", "tokenCount": 4},
    ]
    saved = {
        "runSettings": {"temperature": 1.0, "model": "models/gemini-2.5-pro"},
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "chunkedPrompt": {"chunks": chunks, "pendingInputs": [{"text": "", "role": "user"}]},
    }
    (turns,) = imported(written(tmp_path, {"red-dot.json": saved})).values()
    assert turns[0].role == "system"
    text = "\n".join(turn.text for turn in turns)
    for words in ("Be brief.", "What is in the picture?", "[file: 1AbC]", "They ask about the red dot.", "A red dot."):
        assert words in text
    assert sum(len(turn.images) for turn in turns) == 1
    assert {turn.role for turn in turns} == {"system", "user", "assistant"}
    thoughts = [part for turn in turns for part in turn.drawn if isinstance(part, ReasoningContent)]
    assert [part.text for part in thoughts] == ["They ask about the red dot."]

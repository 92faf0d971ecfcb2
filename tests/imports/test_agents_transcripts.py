"""Transcripts of coding agents: Claude Code, Codex, and the Gemini CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.imports.reading import imported, outline, written


def row(uuid: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
    message = {"role": role, "content": content} | ({"id": more.pop("message")} if "message" in more else {})
    place = {"cwd": "/home/ada", "sessionId": "s-1", "version": "2.1.0", "timestamp": "2025-03-05T09:00:00.000Z"}
    return {"parentUuid": parent, "isSidechain": False, "type": role, "message": message, "uuid": uuid, **place, **more}


def use(id: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "Read", "input": {"file": id}}


def answer(id: str, text: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": text}


CLAUDE_CODE = (
    {"type": "summary", "summary": "Another session", "leafUuid": "elsewhere"},
    {"type": "file-history-snapshot", "messageId": "x", "snapshot": {}},
    row("u1", None, "user", "Read both files."),
    row("u0", "u1", "user", "<local-command-caveat>Caveat</local-command-caveat>", isMeta=True),
    row("a1", "u1", "assistant", [{"type": "thinking", "thinking": "Two files.", "signature": "sig"}], message="msg_1"),
    row("a2", "a1", "assistant", [{"type": "text", "text": "I read them."}], message="msg_1"),
    row("a3", "a2", "assistant", [use("t1")], message="msg_1"),
    row("r1", "a3", "user", [answer("t1", "one")], toolUseResult={"stdout": "one"}),
    row("a4", "a3", "assistant", [use("t2")], message="msg_1"),
    row("r2", "a4", "user", [answer("t2", "two") | {"is_error": True}]),
    row("r2", "a4", "user", [answer("t2", "two") | {"is_error": True}]),
    row("x1", None, "user", "Find the bug", isSidechain=True),
    row("x2", "x1", "assistant", [{"type": "text", "text": "Found."}], isSidechain=True, message="msg_9"),
    {"type": "system", "subtype": "compact_boundary", "uuid": "b", "parentUuid": None, "content": "Conversation compacted"},
    row("c1", "b", "user", "This session is being continued: both files were read.", isCompactSummary=True),
    row("a5", "c1", "assistant", [{"type": "text", "text": "Done."}], message="msg_2"),
    {"type": "summary", "summary": "Two files", "leafUuid": "a5"},
)


def test_a_message_over_several_rows_is_one_and_subagents_are_apart(tmp_path: Path) -> None:
    found = imported(written(tmp_path, {"s-1.jsonl": CLAUDE_CODE}))
    assert list(found) == ["claude-code/s-1", "claude-code/s-1/x1"]
    turns = found["claude-code/s-1"]
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "user", "user", "assistant"]
    assert "I read them." in turns[1].text
    assert [call.id for call in turns[1].tool_calls] == ["t1", "t2"]
    assert [turn.answered_calls for turn in turns[2:4]] == [("t1",), ("t2",)]
    assert outline(found["claude-code/s-1/x1"]) == [("user", "Find the bug"), ("assistant", "Found.")]
    assert turns[0].metadata["import"]["title"] == "Two files"  # type: ignore[index,call-overload]


def test_a_transcript_into_a_session_that_is_named(tmp_path: Path) -> None:
    found = imported(written(tmp_path, {"s-1.jsonl": CLAUDE_CODE}), session="work")
    assert list(found) == ["work", "work/x1"]


def test_the_summary_of_a_compaction_is_marked(tmp_path: Path) -> None:
    turns = imported(written(tmp_path, {"s-1.jsonl": CLAUDE_CODE}))["claude-code/s-1"]
    assert [bool(turn.metadata["import"].get("compaction")) for turn in turns] == [False] * 4 + [True, False]  # type: ignore[union-attr]


def test_rows_that_came_later_are_added_to_a_message_that_is_stored(tmp_path: Path) -> None:
    from optical_memory.imports import import_into
    from optical_memory.stores import SessionId, open_store

    store = open_store("memory://claude-code-grows")
    import_into(store, written(tmp_path, {"s-1.jsonl": CLAUDE_CODE[:7]}))
    (done, _) = import_into(store, written(tmp_path, {"s-1.jsonl": CLAUDE_CODE}))
    turns = store.read(SessionId("claude-code/s-1"))
    assert done.known == 2
    assert [call.id for turn in turns for call in turn.tool_calls] == ["t1", "t2"]
    assert sum(turn.text.count("I read them.") for turn in turns) == 1
    assert all(one.new == 0 for one in import_into(store, tmp_path))


def test_a_folder_of_projects_is_many_sessions(tmp_path: Path) -> None:
    said = (row("y1", None, "user", "Look"), row("y2", "y1", "assistant", "Seen."))
    agent = tuple(one | {"agentId": "7f", "isSidechain": True} for one in said)
    files = {"-home-ada/s-1.jsonl": CLAUDE_CODE, "-home-ada/s-1/subagents/agent-7f.jsonl": agent}
    found = imported(written(tmp_path, files | {"-home-ada/sessions-index.json": {"version": 1}}))
    assert sorted(found) == ["claude-code/s-1", "claude-code/s-1/7f", "claude-code/s-1/x1"]


def codex(kind: str, **payload: Any) -> dict[str, Any]:
    return {"timestamp": "2025-03-05T09:00:00.000Z", "type": kind, "payload": payload}


def codex_message(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return codex("response_item", type="message", role=role, content=[{"type": kind, "text": text}])


META = codex("session_meta", id="s-1", timestamp="2025-03-05T09:00:00.000Z", cwd="/home/ada", cli_version="0.80.0")
CODEX = (
    META,
    codex_message("user", "<environment_context>\n  <cwd>/home/ada</cwd>\n</environment_context>"),
    codex_message("user", "List the files."),
    codex("event_msg", type="user_message", message="List the files.", images=[]),
    codex("turn_context", cwd="/home/ada", model="gpt-5.2-codex"),
    codex("event_msg", type="agent_reasoning", text="**Listing**"),
    codex("response_item", type="reasoning", summary=[{"type": "summary_text", "text": "**Listing**"}], encrypted_content="gAAA"),
    codex("response_item", type="function_call", name="shell", arguments='{"command":["ls"]}', call_id="c1"),
    codex("response_item", type="function_call_output", call_id="c1", output="a.txt"),
    codex("response_item", type="custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="c2", status="completed"),
    codex("response_item", type="custom_tool_call_output", call_id="c2", output={"content": "no such file", "success": False}),
    codex("response_item", type="ghost_snapshot", ghost_commit={}),
    codex("compacted", message="The files were listed."),
    codex("event_msg", type="agent_message", message="There is a.txt."),
    codex_message("assistant", "There is a.txt."),
)


def test_a_text_that_stands_twice_is_taken_once(tmp_path: Path) -> None:
    turns = imported(written(tmp_path, {"rollout-1.jsonl": CODEX}))["codex/s-1"]
    texts = [turn.text for turn in turns]
    assert texts.count("List the files.") == 1
    assert sum("There is a.txt." in text for text in texts) == 1
    assert [turn.role for turn in turns] == ["user", "user", "assistant", "tool", "assistant", "tool", "user", "assistant"]
    assert [(call.name, call.arguments) for turn in turns for call in turn.tool_calls] == [
        ("shell", '{"command":["ls"]}'),
        ("apply_patch", "*** Begin Patch"),
    ]
    assert turns[0].metadata["import"]["injected"] is True  # type: ignore[index,call-overload]
    assert turns[6].metadata["import"]["compaction"] is True  # type: ignore[index,call-overload]
    assert "no such file" in turns[5].text


def test_events_alone_are_read(tmp_path: Path) -> None:
    events = (META, codex("event_msg", type="user_message", message="Hi"), codex("event_msg", type="agent_message", message="Hello."))
    assert outline(imported(written(tmp_path, {"rollout-1.jsonl": events}))["codex/s-1"]) == [("user", "Hi"), ("assistant", "Hello.")]


def test_rollouts_without_an_envelope_are_read(tmp_path: Path) -> None:
    rows = (
        {"id": "s-0", "timestamp": "2025-03-05T09:00:00Z", "instructions": None, "git": {}},
        {"record_type": "state"},
        {"type": "message", "id": None, "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
    )
    turns = imported(written(tmp_path, {"rollout-0.jsonl": rows}))["codex/s-0"]
    assert outline(turns) == [("user", "Hi"), ("assistant", "Hello.")]
    assert f"{turns[0].created_at:%Y-%m-%d}" == "2025-03-05"


def test_a_gemini_session_is_what_was_left_after_rewinds(tmp_path: Path) -> None:
    rows = (
        {"sessionId": "g-1", "projectHash": "0f", "startTime": "2025-03-05T09:00:00Z", "lastUpdated": "2025-03-05T09:00:00Z"},
        {"id": "m1", "timestamp": "2025-03-05T09:01:00Z", "type": "user", "content": [{"text": "Hi"}]},
        {
            "id": "m2",
            "timestamp": "2025-03-05T09:02:00Z",
            "type": "gemini",
            "content": "",
            "thoughts": [{"subject": "S", "description": "d"}],
        },
        {"id": "m2", "timestamp": "2025-03-05T09:02:00Z", "type": "gemini", "content": "Hello.", "model": "gemini-3-pro"},
        {"id": "m3", "timestamp": "2025-03-05T09:03:00Z", "type": "user", "content": "Wrong"},
        {"id": "m4", "timestamp": "2025-03-05T09:03:30Z", "type": "info", "content": "Request cancelled."},
        {"$rewindTo": "m3"},
        {"$set": {"summary": "Greeting", "lastUpdated": "2025-03-05T09:05:00Z"}},
        {"id": "m5", "timestamp": "2025-03-05T09:04:00Z", "type": "user", "content": "Right"},
    )
    turns = imported(written(tmp_path, {"session-1.jsonl": rows, "logs.json": [{"sessionId": "g-1", "messageId": 0, "type": "user"}]}))[
        "gemini/g-1"
    ]
    assert outline(turns) == [("user", "Hi"), ("assistant", "Hello."), ("user", "Right")]
    assert turns[0].metadata["import"]["title"] == "Greeting"  # type: ignore[index,call-overload]


def test_a_gemini_session_in_one_object_and_a_checkpoint(tmp_path: Path) -> None:
    messages = [{"id": "m1", "timestamp": "2025-03-05T09:01:00Z", "type": "user", "content": "Hi"}]
    record = {"sessionId": "g-2", "projectHash": "0f", "startTime": "2025-03-05T09:00:00Z", "lastUpdated": "x", "messages": messages}
    history = [
        {"role": "user", "parts": [{"text": "Add."}]},
        {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 1}}}]},
    ]
    history.append({"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"error": "no b"}}}]})
    found = imported(written(tmp_path, {"session-2.json": record, "checkpoint-a.json": {"history": history}}))
    assert outline(found["gemini/g-2"]) == [("user", "Hi")]
    turns = found["gemini/checkpoint-a"]
    assert outline(turns) == [("user", "Add."), ("assistant", 'add({"a": 1})'), ("tool", "no b")]
    assert turns[2].answered_calls == (turns[1].tool_calls[0].id,)


def told(*texts: str) -> list[dict[str, Any]]:
    """A user's message and the answer, for each text."""
    return [row for text in texts for row in (codex_message("user", text), codex_message("assistant", f"About {text}."))]


def rolled_back(turns: int) -> dict[str, Any]:
    return codex("event_msg", type="thread_rolled_back", num_turns=turns)


@pytest.mark.parametrize(
    ("turns", "left"),
    [(0, ["one", "two", "three"]), (1, ["one", "two"]), (2, ["one"]), (3, []), (9, [])],
)
def test_turns_that_a_codex_user_took_back_are_left_out(tmp_path: Path, turns: int, left: list[str]) -> None:
    environment = codex_message("user", "<environment_context>\n</environment_context>")
    rows = [META, environment, *told("one", "two", "three"), rolled_back(turns), *told("four")]
    said = imported(written(tmp_path, {"rollout-1.jsonl": tuple(rows)}))["codex/s-1"]
    users = [turn.text for turn in said if turn.role == "user"]
    assert users == ["<environment_context>\n</environment_context>", *left, "four"]
    assert [turn.text for turn in said if turn.role == "assistant"] == [f"About {text}." for text in [*left, "four"]]


def test_codex_takes_back_twice(tmp_path: Path) -> None:
    rows = [META, *told("one", "two", "three"), rolled_back(1), rolled_back(1), *told("four"), rolled_back(1)]
    said = imported(written(tmp_path, {"rollout-1.jsonl": tuple(rows)}))["codex/s-1"]
    assert [turn.text for turn in said] == ["one", "About one."]

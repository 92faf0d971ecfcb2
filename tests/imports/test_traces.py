"""Traces: each call of a model repeats the conversation, and an import takes every message once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.imports.reading import imported, outline, written

HI = {"role": "user", "content": "Hi"}
TALK = [("user", "Hi"), ("assistant", 'add({"a": 1})'), ("tool", "3"), ("assistant", "It is 3.")]
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
ASKED: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = {"role": "tool", "tool_call_id": "c1", "content": "3"}
DONE = {"role": "assistant", "content": "It is 3."}


def span(trace: str, began: int, attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"trace_id": trace, "span_id": f"s{began}", "start_timestamp": f"2025-03-05T09:0{began}:00Z", "attributes": attributes, **more}


def test_numbered_attributes(tmp_path: Path) -> None:
    def flat(kind: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for place, one in enumerate(messages):
            found |= {f"gen_ai.{kind}.{place}.{key}": one[key] for key in ("role", "content", "tool_call_id") if one.get(key)}
            for at, made in enumerate(one.get("tool_calls", [])):
                names = {"id": made["id"], "name": made["function"]["name"], "arguments": made["function"]["arguments"]}
                found |= {f"gen_ai.{kind}.{place}.tool_calls.{at}.{key}": value for key, value in names.items()}
        return found

    spans = [
        span("t1", 2, flat("prompt", [HI, ASKED, ANSWER]) | flat("completion", [DONE])),
        span("t1", 1, flat("prompt", [HI]) | flat("completion", [ASKED])),
    ]
    assert outline(imported(written(tmp_path, {"spans.json": spans}))["opentelemetry/t1"]) == TALK


def test_openinference_attributes(tmp_path: Path) -> None:
    call = "llm.output_messages.0.message.tool_calls.0.tool_call"
    first = {"llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "Hi", "session.id": "se"}
    first |= {"llm.output_messages.0.message.role": "assistant", f"{call}.id": "c1", f"{call}.function.name": "add"}
    first[f"{call}.function.arguments"] = '{"a": 1}'
    assert outline(imported(written(tmp_path, {"spans.json": [span("t1", 1, first)]}))["opentelemetry/se"]) == TALK[:2]


def test_events_of_older_conventions(tmp_path: Path) -> None:
    events = [
        {"name": "gen_ai.user.message", "attributes": {"gen_ai.event.content": json.dumps(HI)}},
        {"name": "gen_ai.assistant.message", "attributes": {"gen_ai.event.content": json.dumps(ASKED)}},
        {"name": "gen_ai.tool.message", "attributes": {"gen_ai.event.content": json.dumps({"id": "c1", "content": "3"})}},
        {"name": "gen_ai.choice", "attributes": {"gen_ai.event.content": json.dumps({"index": 0, "message": DONE})}},
    ]
    assert (
        outline(imported(written(tmp_path, {"s.jsonl": (span("t1", 1, {}, events=events), span("t1", 2, {}))}))["opentelemetry/t1"]) == TALK
    )


def test_runs_of_pydantic_ai(tmp_path: Path) -> None:
    said = [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}]},
        {"role": "user", "parts": [{"type": "tool_call_response", "id": "c1", "name": "add", "result": 3}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "It is 3."}]},
    ]
    run = span(
        "t1", 1, {"pydantic_ai.all_messages": said, "agent_name": "sums", "gen_ai.system_instructions": [{"type": "text", "content": "Be"}]}
    )
    turns = imported(written(tmp_path, {"rows.json": [run]}))["opentelemetry/t1"]
    assert outline(turns) == [("system", "Be"), *TALK]


def test_spans_that_were_printed_one_after_another(tmp_path: Path) -> None:
    """As OpenTelemetry's `ConsoleSpanExporter` prints them."""
    sent, came = json.dumps([HI]), json.dumps([DONE])
    spans = [
        {
            "name": "chat",
            "context": {"trace_id": "0x1", "span_id": f"0x{place}", "trace_state": "[]"},
            "parent_id": None,
            "start_time": f"2025-03-05T09:0{place}:00.000000Z",
            "attributes": {"gen_ai.operation.name": "chat", "gen_ai.input.messages": sent, "gen_ai.output.messages": came},
        }
        for place in (1, 2)
    ]
    printed = "\n".join(json.dumps(one, indent=4) for one in spans)
    turns = imported(written(tmp_path, {"spans.json": printed.encode()}))["opentelemetry/0x1"]
    assert outline(turns) == [("user", "Hi"), ("assistant", "It is 3.")]


def generation(place: int, sent: Any, came: Any, **more: Any) -> dict[str, Any]:
    times = {"startTime": f"2025-03-05T09:0{place}:00Z", "endTime": f"2025-03-05T09:0{place}:30Z"}
    return {"id": f"o{place}", "traceId": "t1", "type": "GENERATION", "input": sent, "output": came, **times, **more}


def test_observations_in_lines_with_json_in_texts(tmp_path: Path) -> None:
    rows = (
        generation(2, json.dumps({"messages": [HI, ASKED, ANSWER]}), json.dumps(DONE), sessionId="se"),
        generation(1, json.dumps({"messages": [HI]}), json.dumps(ASKED), sessionId="se"),
        {
            "id": "o3",
            "traceId": "t1",
            "type": "SPAN",
            "startTime": "2025-03-05T09:00:00Z",
            "input": "ignored",
            "output": None,
            "sessionId": "se",
        },
    )
    turns = imported(written(tmp_path, {"observations.jsonl": rows}))["langfuse/se"]
    assert outline(turns) == TALK
    assert f"{turns[-1].created_at:%H:%M:%S}" == "09:02:30"


def test_a_session_of_traces_without_generations(tmp_path: Path) -> None:
    traces = [
        {"id": "t2", "timestamp": "2025-03-05T09:02:00Z", "name": "chat", "input": "And 2?", "output": "It is 5.", "observations": []},
        {"id": "t1", "timestamp": "2025-03-05T09:01:00Z", "name": "chat", "input": {"messages": [HI]}, "output": DONE, "observations": []},
    ]
    turns = imported(written(tmp_path, {"session-se.json": {"id": "se", "traces": traces}}))["langfuse/se"]
    assert outline(turns) == [("user", "Hi"), ("assistant", "It is 3."), ("user", "And 2?"), ("assistant", "It is 5.")]


def test_a_word_said_twice_is_there_twice(tmp_path: Path) -> None:
    yes = {"role": "user", "content": "yes"}
    rows = (generation(1, [HI, DONE, yes], DONE), generation(2, [HI, DONE, yes, DONE, yes], DONE))
    turns = imported(written(tmp_path, {"observations.jsonl": rows}))["langfuse/t1"]
    assert [turn.text for turn in turns] == ["Hi", "It is 3.", "yes", "It is 3.", "yes", "It is 3."]


def test_runs_of_langsmith_with_children(tmp_path: Path) -> None:
    def run(id: str, kind: str, began: int, inputs: Any, outputs: Any, **more: Any) -> dict[str, Any]:
        times = {"start_time": f"2025-03-05T09:0{began}:00", "end_time": f"2025-03-05T09:0{began}:30"}
        return {"id": id, "trace_id": "t1", "name": id, "run_type": kind, "inputs": inputs, "outputs": outputs, **times, **more}

    ai = {"type": "ai", "content": "", "tool_calls": [{"name": "add", "args": {"a": 1}, "id": "c1"}]}
    human, tool, done = (
        {"type": "human", "content": "Hi"},
        {"type": "tool", "content": "3", "tool_call_id": "c1"},
        {"type": "ai", "content": "It is 3."},
    )
    children = [
        run("m1", "llm", 1, {"messages": [[human]]}, {"generations": [[{"text": "", "message": ai}]]}, parent_run_id="r"),
        run("add", "tool", 2, {"input": "{'a': 1}"}, {"output": "3"}, parent_run_id="r"),
        run("m2", "llm", 3, {"messages": [[human, ai, tool]]}, {"generations": [[{"message": done}]]}, parent_run_id="r"),
    ]
    whole = run("agent", "chain", 0, {"messages": [human]}, {"messages": [human, ai, tool, done]}, parent_run_id=None, child_runs=children)
    turns = imported(written(tmp_path, {"run.json": whole}))["langchain/t1"]
    assert outline(turns) == TALK
    assert f"{turns[0].created_at:%Y-%m-%d %H:%M}" == "2025-03-05 09:01"
    alone = {key: value for key, value in whole.items() if key != "child_runs"}
    assert outline(imported(written(tmp_path, {"run.json": alone}))["langchain/t1"]) == TALK

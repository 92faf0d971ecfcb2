"""Langfuse: a trace or a session downloaded as JSON, exports of traces and observations (JSON, lines), and answers of the API.

After Langfuse's documentation of 2026 ("Export a single trace or session", "Export data from the UI") and the API's `TraceWithFullDetails`
and `ObservationsView`, public API v1 and v2. Traces of one session are one conversation. In it the generations count: each repeats what was
said before, and every message is taken once. Where there are none, input and output of the traces do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import InvalidTurn
from ..base import Conversation, Document
from ..messages import as_text, is_mapping_with, mappings, moment
from ..runs import Run, chat_messages, merged

__all__ = ["conversations", "name", "recognise"]

name = "langfuse"
_KINDS = ("GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL")

Record = Mapping[str, Any]


def recognise(document: Document) -> bool:
    first = document.head[0] if document.head else None
    return isinstance(first, Mapping) and any(True for _ in _records(first))


def _is_observation(value: Record) -> bool:
    return value.get("type") in _KINDS and ("traceId" in value or "trace_id" in value or "startTime" in value or "start_time" in value)


def _is_trace(value: Record) -> bool:
    known = ("sessionId", "session_id", "htmlPath", "projectId", "userId", "observations", "scores", "bookmarked")
    return (
        is_mapping_with(value, "id", "timestamp") and ("input" in value or "observations" in value) and any(key in value for key in known)
    )


def _records(value: Any) -> Iterator[tuple[str, Record]]:
    """Traces and observations in a downloaded value, with the session that holds them."""
    if not isinstance(value, Mapping):
        return
    if _is_observation(value):
        yield "", value
    elif is_mapping_with(value, "trace", "observations"):
        trace = value["trace"]
        yield "", {**trace, "observations": value["observations"]} if isinstance(trace, Mapping) else {}
    elif _is_trace(value):
        yield "", value
    elif mappings(value.get("traces")):
        session = as_text(value.get("id") or (value.get("session") or {}).get("id"))
        yield from ((session, trace) for trace in mappings(value["traces"]) if "id" in trace)
    elif "meta" in value or "data" in value:
        yield from (record for one in mappings(value.get("data")) for record in _records(one))


def conversations(document: Document) -> Iterator[Conversation]:
    groups: dict[str, list[tuple[bool, Run]]] = {}
    sessions: dict[str, str] = {}  # of traces
    titles: dict[str, str] = {}
    for place, item in document.items():
        found = list(_records(item))
        if not found and not is_mapping_with(item, "data"):
            raise InvalidTurn(f"{document.name}, {place} is neither a trace nor an observation of Langfuse")
        for session, record in found:
            for one in _flat(record):
                trace = as_text(_get(one, "traceId", "trace_id") or one.get("id"))
                session = session or as_text(_get(one, "sessionId", "session_id"))
                sessions.setdefault(trace, session)
                groups.setdefault(trace, []).append((one.get("type") == "GENERATION", _run(one)))
                titles.setdefault(sessions[trace] or trace, as_text(_get(one, "traceName", "trace_name", "name")))
    whole: dict[str, list[Run]] = {}
    for trace, runs in groups.items():
        whole.setdefault(sessions[trace] or trace, []).extend(_counting(runs))
    for group, counting in whole.items():
        yield Conversation(group, merged(counting), title=titles.get(group, ""))


def _counting(runs: list[tuple[bool, Run]]) -> list[Run]:
    """The generations of a trace; without any, the first of the others that says something."""
    spoken = [(is_model, run) for is_model, run in runs if run.sent or run.came]
    return [run for is_model, run in spoken if is_model] or [run for _, run in spoken[:1]]


def _flat(record: Record) -> Iterator[Record]:
    yield record
    for one in mappings(record.get("observations")):
        yield {"traceId": record.get("id"), "sessionId": _get(record, "sessionId", "session_id"), **one}


def _get(value: Record, *keys: str) -> Any:
    return next((value[key] for key in keys if value.get(key)), None)


def _run(record: Record) -> Run:
    began = moment(_get(record, "startTime", "start_time", "timestamp"))
    ended = moment(_get(record, "endTime", "end_time"))
    return Run(chat_messages(record.get("input"), "user"), chat_messages(record.get("output"), "assistant"), began, ended)

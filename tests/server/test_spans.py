"""Calls as OpenTelemetry spans, received by a real collector's endpoint."""

from __future__ import annotations

import time
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optical_memory.server.local_upstream.serving import Serving
from tests.server.rig import claude, rig


def test_each_call_is_a_span_without_content(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []

    async def take(request: Request) -> Response:
        received.append(await request.body())
        return Response(b"", media_type="application/x-protobuf")

    with Serving(Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        with rig(otel=True) as made:
            parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            made.post("/v1/messages", claude(16, last="a secret question"), {"traceparent": parent})
            made.upstream.faults.append("529")
            made.post("/v1/messages", claude(1, last="x"))
            made.settled(2)
            usage = next(seen.bill for seen in made.upstream.seen if seen.bill)
    assert usage is not None
    spans = [span for body in received for span in _spans(body)]
    first, second = sorted(spans, key=lambda span: int(span["start"]))
    assert first["name"] == "chat claude-opus-4-8" and first["trace"] == "0af7651916cd43dd8448eb211c80319c"
    said = first["attributes"]
    assert (said["gen_ai.provider.name"], said["gen_ai.request.model"]) == ("anthropic", "claude-opus-4-8")
    assert said["gen_ai.usage.input_tokens"] == usage.total and said["optical_memory.pages"] == 3
    assert said["server.address"] == "127.0.0.1" and first["start"] < first["end"] < time.time_ns()
    assert second["attributes"]["error.type"] == "529"
    whole = b"".join(received)
    assert b"a secret question" not in whole and b"holds value" not in whole and b"secret-key" not in whole


def _spans(body: bytes) -> list[dict[str, Any]]:
    asked = ExportTraceServiceRequest.FromString(body)
    spans = [span for resource in asked.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return [
        {
            "name": span.name,
            "trace": span.trace_id.hex(),
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "attributes": {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        }
        for span in spans
    ]

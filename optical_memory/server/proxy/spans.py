"""Calls as OpenTelemetry spans, by the semantic conventions for generative AI. Never with content.

Names: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans. Ours begin with `optical_memory.`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ...errors import MissingExtra
from .calls import Call

__all__ = ["Spans"]

PROVIDERS = {"anthropic": "anthropic", "chat": "openai", "responses": "openai", "gemini": "gcp.gemini"}
NANO = 1_000_000_000


class Spans:
    """Makes a span of each call of a known wire format.

    The provider of spans is the one that is set up for this process, as by `opentelemetry-instrument`; else one that exports by OTLP over
    HTTP, to where `OTEL_EXPORTER_OTLP_ENDPOINT` says.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry import propagate, trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as exc:
            raise MissingExtra("spans of calls", "otel") from exc
        provider = trace.get_tracer_provider()
        if not isinstance(provider, TracerProvider):
            named = Resource.create({SERVICE_NAME: "optical-memory"}).merge(OTELResourceDetector().detect())
            provider = TracerProvider(resource=named)
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._provider, self._tracer = provider, provider.get_tracer("optical_memory")
        self._kind, self._extract, self._status = trace.SpanKind.CLIENT, propagate.extract, trace.Status(trace.StatusCode.ERROR)

    def add(self, call: Call, traced: Mapping[str, str]) -> None:
        """Make a span of a call that has ended.

        Args:
            traced: headers in which the client names its own span.
        """
        if not call.wire:
            return
        operation = "generate_content" if call.wire == "gemini" else "chat"
        span = self._tracer.start_span(
            f"{operation} {call.model}".rstrip(),
            context=self._extract(traced),
            kind=self._kind,
            start_time=int(call.time * NANO),
            attributes={"gen_ai.operation.name": operation, **dict(_attributes(call))},
        )
        if call.status >= 400 or call.end:
            span.set_attribute("error.type", str(call.status) if call.status >= 400 else call.end.partition(":")[0])
            span.set_status(self._status)
        span.end(int((call.time + call.total_ms / 1_000) * NANO))

    def close(self) -> None:
        """Export what waits. Blocks for some seconds at most."""
        self._provider.shutdown()


def _attributes(call: Call) -> Iterator[tuple[str, Any]]:
    place = urlsplit(call.origin)
    given = {
        "gen_ai.provider.name": PROVIDERS[call.wire],
        "gen_ai.request.model": call.model,
        "gen_ai.conversation.id": call.conversation,
        "server.address": place.hostname,
        "server.port": place.port or (443 if place.scheme == "https" else 80),
        "http.response.status_code": call.status,
        "optical_memory.pages": call.pages,
        "optical_memory.recalls": call.recalls,
        "optical_memory.text_reason": call.reason,
        "optical_memory.saved_tokens": call.saved,
    }
    yield from ((name, value) for name, value in given.items() if value is not None and value != "")
    usage = call.usage
    if usage is not None:  # the conventions count cached tokens as input too
        written = usage["write"] + usage["write_long"]
        yield "gen_ai.usage.input_tokens", usage["input"] + written + usage["read"]
        yield "gen_ai.usage.cache_creation.input_tokens", written
        yield "gen_ai.usage.cache_read.input_tokens", usage["read"]
        yield "gen_ai.usage.output_tokens", usage["output"]

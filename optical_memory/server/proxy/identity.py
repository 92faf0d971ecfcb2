"""Whose conversation is a request? By name where the client gives one, else by its beginning; and is it a side call?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .routes import Headers, credential_of, header
from .wire.request import Request

__all__ = ["Identity", "identify", "side_call"]

# The first header that is there names the conversation: Claude Code; opencode; OpenHands (LiteLLM); Codex; pi.
SESSIONS = (b"x-claude-code-session-id", b"x-session-id", b"x-session-affinity", b"x-litellm-session-id", b"session-id", b"session_id")
AGENTS = (b"x-claude-code-agent-id", b"x-agent-id")
TURN = b"x-codex-turn-metadata"
COMPACTS = re.compile(
    r"(create|write|provide|generate|produce)\W[^.]{0,60}\bsummary of (the|this|our)\b[^.]{0,30}\b(conversation|session|history)"
    r"|context checkpoint compaction|summari[sz]e (the|this|our) (entire |whole |above )?(conversation|session|history)",
    re.IGNORECASE,
)
LOOKED_AT = 12_000  # characters of the newest message in which a request for a summary is looked for


@dataclass(frozen=True, slots=True)
class Identity:
    """Names the conversations that a request may continue.

    Attributes:
        group: hash of what they have in common: credential, session and agent; or credential, system prompt and first user message.
        named: whether the client named the conversation.
    """

    group: str
    named: bool


def identify(request: Request, headers: Headers, query: bytes, wire: str) -> Identity:
    """Return the identity of a request. A connection names nothing, nor does the client's billing line."""
    credential = credential_of(headers, query)
    session = _session(request, headers)
    agent = next((value for name in AGENTS if (value := header(headers, name))), "")
    if session:
        return Identity(_hash(credential, wire, "session", session, agent), True)
    first = next((entry.key.hex() for entry in request.entries if entry.role == "user"), "")
    return Identity(_hash(credential, wire, "beginning", request.system.hex(), first, agent), False)


def _session(request: Request, headers: Headers) -> str:
    named = next((value for name in SESSIONS if (value := header(headers, name))), "")
    if named:
        return named
    key = request.value("prompt_cache_key")
    return key if isinstance(key, str) and key else _session_of_user(request.value("metadata"))


def _session_of_user(metadata: Any) -> str:
    """Return the session in Anthropic's `metadata.user_id`, which Claude Code fills with JSON."""
    user = metadata.get("user_id") if isinstance(metadata, Mapping) else None
    if not isinstance(user, str) or not user.startswith("{"):
        return ""
    try:
        session = json.loads(user).get("session_id")
    except (ValueError, AttributeError):
        return ""
    return session if isinstance(session, str) else ""


def side_call(request: Request, headers: Headers) -> str:
    """Return why a request is no turn of its conversation: a title, a routing, a compaction; empty if it is one."""
    kind = _turn_kind(header(headers, TURN))
    if kind not in ("", "turn", "user", "user_turn", "main", "normal"):
        return f"side call: {kind}"
    if not _has_tools(request) and _wants_schema(request):
        return "side call: structured output"
    if request.entries and COMPACTS.search(_newest_text(request)):
        return "side call: compaction"
    return ""


def _turn_kind(metadata: str) -> str:
    try:
        kind = json.loads(metadata).get("request_kind") if metadata else ""
    except (ValueError, AttributeError):
        return ""
    return kind if isinstance(kind, str) else ""


def _has_tools(request: Request) -> bool:
    return bool(request.value("tools"))


def _wants_schema(request: Request) -> bool:
    """Whether the answer is asked for in a JSON schema, in any provider's way."""
    output = request.value("output_config")
    if isinstance(output, Mapping) and output.get("format"):
        return True
    shape = request.value("response_format")
    text = request.value("text")
    shape = text.get("format") if isinstance(text, Mapping) else shape
    config = next((request.value(name) for name in ("generationConfig", "generation_config") if request.value(name)), None)
    if isinstance(config, Mapping) and any(config.get(name) for name in ("responseSchema", "responseJsonSchema", "response_schema")):
        return True
    return isinstance(shape, Mapping) and shape.get("type") in ("json_schema", "json_object")


def _newest_text(request: Request) -> str:
    """Return the end of the newest text of a user; results of tools do not count, since they may speak of summaries."""
    entry = request.entries[-1]
    if entry.role != "user":
        return ""
    content = entry.message.get("content", ())
    texts = [content] if isinstance(content, str) else [part.get("text", "") for part in content if part.get("type") in ("text", None)]
    return "\n".join(texts)[-LOOKED_AT:]


def _hash(*parts: str) -> str:
    joined = "".join(f"{len(part)}:{part}" for part in parts)  # lengths, since parts may hold any character
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:24]

"""Optical memory for Pydantic AI, as a capability of an agent.

    agent = Agent("openai:gpt-4o", capabilities=[OpticalMemoryCapability()])

Pages exist only in requests: `result.all_messages()` is unchanged. It has no place for a plan, so plans are kept here, by the
conversation's beginning and its id. A lost plan, for example in another process, costs a re-plan and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...errors import MissingExtra
from ...worker_threads import in_thread
from ..conversation_states import Conversations
from ..settings import AdapterSettings
from .messages import PageDialect, Said, key_of, render, said_in, turn_of_said

try:
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model, ModelRequestContext
    from pydantic_ai.tools import AgentDepsT, RunContext
except ImportError as exc:
    raise MissingExtra("OpticalMemoryCapability", "pydantic-ai") from exc

__all__ = ["OpticalMemoryCapability"]

KEPT_BY_PROVIDER = ("openai_previous_response_id", "openai_conversation_id")  # with these settings requests hold only new messages


class OpticalMemoryCapability(AbstractCapability[AgentDepsT]):
    """Sends the model a conversation's past as pages, and its recent turns unchanged.

    A model without image input in its profile, or without a reader profile, gets text. So does every model, with a warning, if pages cannot
    be drawn. A request whose newest turns exceed the budget raises `BudgetTooSmall`. With `ModelFallback`, each model tried gets its own
    pages; `FallbackModel` does not tell which model is next, so it gets pages for its first.

    Args:
        detail: OpenAI's image detail of the pages: `low`, `high` or `auto`; None for what each page was counted at. Google's models are
            asked for the `media_resolution` that each page was counted at instead.
        id: the capability's id in Pydantic AI.
        settings: the fields of `AdapterSettings`: `reader`, `budget`, `renderer`, `cache`, ...
    """

    def __init__(self, *, detail: str | None = None, id: str | None = None, **settings: Any) -> None:
        self.id = id
        self._detail = detail
        self._conversations = Conversations[Said](AdapterSettings(**settings), key=key_of, turn=turn_of_said)

    async def prepare_model_request(self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext) -> ModelRequestContext:
        """Replace the past with pages, in this request only. They are drawn in a worker thread."""
        model, kept = _first(request_context.model), request_context.model_settings or {}
        if any(kept.get(setting) for setting in KEPT_BY_PROVIDER):
            return request_context
        conversation = getattr(ctx, "conversation_id", None)
        messages = await in_thread(self._shown, request_context.messages, model, conversation)
        return replace(request_context, messages=messages)

    def _shown(self, messages: Sequence[ModelMessage], model: Model, conversation: str | None) -> list[ModelMessage]:
        start = _after_compaction(messages)
        recent = messages[start:]
        said, dialect = said_in(recent), PageDialect.of(model.system, self._detail)
        shown = self._conversations.show(
            said,
            model.model_name,
            lambda pieces: render(pieces, said, recent, dialect),
            name=conversation,
            takes_images=_takes_images(model),
            asks_resolution=dialect.google,
        )
        return [*messages[:start], *(recent if shown is None else shown)]


def _first(model: Model) -> Model:
    """Return the first model of a `FallbackModel`, else the model itself."""
    models: Sequence[Model] | None = getattr(model, "models", None)
    return models[0] if models else model


def _takes_images(model: Model) -> bool:
    """Whether a model accepts images; True if its profile does not say."""
    profile: Any = model.profile
    name = "supports_image_input"
    return (profile.get(name) if isinstance(profile, Mapping) else getattr(profile, name, None)) is not False


def _after_compaction(messages: Sequence[ModelMessage]) -> int:
    """Return the index of the first message after the last compaction. A compaction is sent unchanged, with all before it."""
    compacted = [place for place, message in enumerate(messages, 1) if message.kind == "response" and _is_compaction(message.parts)]
    return compacted[-1] if compacted else 0


def _is_compaction(parts: Sequence[Any]) -> bool:
    return any(part.part_kind == "compaction" for part in parts)

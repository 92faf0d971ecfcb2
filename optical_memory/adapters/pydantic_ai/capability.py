"""Optical memory for Pydantic AI, as a capability of an agent.

    agent = Agent("openai:gpt-4o", capabilities=[OpticalMemoryCapability()])

Pages exist in requests alone: `result.all_messages()` is what was said, word for word. There is no place for a plan beside it, so plans are
kept here, by how a conversation begins and by its id. Losing one, in another process say, costs a re-plan and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...errors import MissingExtra
from ...worker_threads import in_thread
from ..conversation_states import Conversations
from ..settings import AdapterSettings
from .messages import Said, key_of, render, said_in, turn_of_said

try:
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model, ModelRequestContext
    from pydantic_ai.tools import AgentDepsT, RunContext
except ImportError as exc:
    raise MissingExtra("OpticalMemoryCapability", "pydantic-ai") from exc

__all__ = ["OpticalMemoryCapability"]

KEPT_BY_PROVIDER = ("openai_previous_response_id", "openai_conversation_id")  # settings by which requests hold only what is new


class OpticalMemoryCapability(AbstractCapability[AgentDepsT]):
    """Shows the model a conversation's past as pages, and its recent turns as they are.

    A model whose profile takes no pictures, or that no reader profile is known for, gets text. So does every model where pages cannot be
    made, with a warning. A request whose newest turns do not fit the budget raises `BudgetTooSmall`. With `ModelFallback`, each model tried
    gets pages of its own; `FallbackModel` does not say which model is next, so pages are those of its first.

    Args:
        detail: how large OpenAI's models look at the pages: `low`, `high` or `auto`; as each page was counted if None.
        id: the capability's, as Pydantic AI knows it.
        settings: the fields of `AdapterSettings`: `reader`, `budget`, `renderer`, `cache`, ...
    """

    def __init__(self, *, detail: str | None = None, id: str | None = None, **settings: Any) -> None:
        self.id = id
        self._detail = detail
        self._conversations = Conversations[Said](AdapterSettings(**settings), key=key_of, turn=turn_of_said)

    async def prepare_model_request(self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext) -> ModelRequestContext:
        """Put pages in place of the past, in this request alone. They are drawn in a worker thread."""
        model, kept = _first(request_context.model), request_context.model_settings or {}
        if any(kept.get(setting) for setting in KEPT_BY_PROVIDER):
            return request_context
        conversation = getattr(ctx, "conversation_id", None)
        messages = await in_thread(self._shown, request_context.messages, model, conversation)
        return replace(request_context, messages=messages)

    def _shown(self, messages: Sequence[ModelMessage], model: Model, conversation: str | None) -> list[ModelMessage]:
        start = _after_compaction(messages)
        recent = messages[start:]
        said = said_in(recent)
        shown = self._conversations.show(
            said,
            model.model_name,
            lambda pieces: render(pieces, said, recent, self._detail),
            name=conversation,
            takes_images=_takes_images(model),
        )
        return [*messages[:start], *(recent if shown is None else shown)]


def _first(model: Model) -> Model:
    """The first of the models that a `FallbackModel` holds."""
    models: Sequence[Model] | None = getattr(model, "models", None)
    return models[0] if models else model


def _takes_images(model: Model) -> bool:
    """Whether a model's profile lets it have pictures; what it does not say is allowed."""
    profile: Any = model.profile
    name = "supports_image_input"
    return (profile.get(name) if isinstance(profile, Mapping) else getattr(profile, name, None)) is not False


def _after_compaction(messages: Sequence[ModelMessage]) -> int:
    """Where messages begin that no provider has compacted. A compaction goes back as it came, with all before it."""
    compacted = [place for place, message in enumerate(messages, 1) if message.kind == "response" and _is_compaction(message.parts)]
    return compacted[-1] if compacted else 0


def _is_compaction(parts: Sequence[Any]) -> bool:
    return any(part.part_kind == "compaction" for part in parts)

"""Facts about a chat model that decide what it can be sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .messages import Dialect

__all__ = ["KEPT", "ModelFacts", "is_kept"]

KEPT = (
    "the provider keeps this conversation itself (use_previous_response_id, previous_response_id or conversation), "
    "so none of it is sent as pages"
)

CHAT_COMPLETIONS = (  # providers whose packages send a tool result's blocks as they are, to a server that knows no pictures there
    "mistral", "groq", "together", "fireworks", "deepseek", "xai", "openrouter", "huggingface", "nvidia", "ollama", "perplexity",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a chat model. A capability missing in its profile counts as present.

    Attributes:
        name: the provider's name of the model.
        provider: LangChain's name of the provider.
        sees: whether it takes images.
        keeps_conversation: whether the provider keeps the conversation, so that requests hold only what is new.
        results_with_pictures: whether tool results may hold images.
        responses: whether it is called through OpenAI's Responses API.
    """

    name: str | None
    provider: str | None
    sees: bool
    keeps_conversation: bool
    results_with_pictures: bool
    responses: bool

    @classmethod
    def of(cls, model: Any) -> ModelFacts:
        """Return the facts of a chat model, also inside of bindings and fallbacks (their first model), or of a model by its name.

        Raises `TypeError` for anything else.
        """
        if isinstance(model, str):
            provider, _, name = model.rpartition(":")
            return cls(name, provider or _provider_of(name), True, False, True, False)
        model = _innermost(model)
        told = model._get_ls_params()  # the only name of the provider that is the same in all LangChain packages
        profile = getattr(model, "profile", None) or {}
        return cls(
            name=told.get("ls_model_name"),
            provider=told.get("ls_provider"),
            sees=profile.get("image_inputs") is not False,
            keeps_conversation=bool(getattr(model, "use_previous_response_id", False)) or is_kept(getattr(model, "model_kwargs", None)),
            results_with_pictures=profile.get("image_tool_message") is not False,
            responses=bool(getattr(model, "use_responses_api", False)),
        )

    def sees_results(self, dialect: Dialect) -> bool:
        """Whether tool results may hold images. In chat completions, of OpenAI and of others, they may not, even if a profile says so."""
        completions = dialect == "openai" or (self.provider or "").startswith(CHAT_COMPLETIONS)
        return self.results_with_pictures and (not completions or self.responses)


def is_kept(options: Mapping[str, Any] | None) -> bool:
    """Whether the options of a call say that the provider keeps the conversation: OpenAI's `conversation`, `previous_response_id`."""
    return any((options or {}).get(name) for name in ("conversation", "previous_response_id"))


def _innermost(model: Any) -> Any:
    """Return the chat model inside of `bind_tools`, `with_config`, `with_retry` and `with_fallbacks`."""
    for _ in range(20):  # deeper nesting is an accident
        if hasattr(model, "_get_ls_params"):
            return model
        model = getattr(model, "bound", None) or getattr(model, "runnable", None)
    raise TypeError("model is no chat model: pass a chat model, one with bound tools, or the name of a model such as 'openai:gpt-5.4'")


def _provider_of(name: str) -> str | None:
    starts = {"gpt": "openai", "o3": "openai", "o4": "openai", "claude": "anthropic", "gemini": "google_genai", "mistral": "mistralai"}
    return next((provider for start, provider in starts.items() if name.startswith(start)), None)

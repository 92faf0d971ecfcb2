"""One way to ask every adapter: what is a model sent when these are the messages of the conversation?

Messages go in and come out in one shape, OpenAI's for chat completions, whatever the framework's is. What that shape lacks has a key of its
own: `document` (a text file beside the words), `thinking` (reasoning before them), `thoughts` (reasoning before each call), `search` (that
the provider ran, and the address it found), `failed` (of a tool's result). `content` may be a list of texts. A driver imports its framework
when it is opened.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import pytest

from optical_memory import OpticalMemory

Message = dict[str, Any]
OWN = ("created_at", "importance", "document", "thinking", "thoughts", "search", "failed")  # keys that no provider knows


@dataclass(frozen=True)
class Sent:
    """One message as a model is sent it.

    Attributes:
        role: `system`, `user`, `assistant` or `tool`.
        text: all its words.
        pictures: how many it holds.
        calls: ids of the tools that it calls.
        answers: the id of the call that it is a result of.
        names: of its speaker and of the tools that it calls, where an adapter keeps a log.
        raw: all that a provider would see of it.
        original: the framework's own object, where an adapter may hand it on.
    """

    role: str
    text: str
    pictures: int = 0
    calls: tuple[str, ...] = ()
    answers: str | None = None
    raw: str = ""
    original: Any = None
    names: tuple[str, ...] = ()


def _text_file(text: str) -> str:
    return "data:text/plain;base64," + base64.b64encode(text.encode()).decode()


def _words(message: Message) -> list[str]:
    """The texts of a message, each a part of its own."""
    said = message["content"]
    return said if isinstance(said, list) else [said] if said else []


def _search_blocks(message: Message) -> list[Message]:
    """A search as Anthropic writes it: the question and what was found."""
    if "search" not in message:
        return []
    query, address = message["search"]
    found = {"type": "web_search_result", "title": "Timetable", "url": address, "encrypted_content": "zz"}
    return [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": query}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found]},
    ]


class Driver(Protocol):
    """An adapter that is asked once for every call of a model, with a conversation that grows or, if it keeps no log, changes."""

    keeps_log: bool
    sees_model: bool  # it goes by the name of the model that is called
    pairs_newest: bool  # calls and results since the last question, too: those of others go from the framework to the model as they are
    mends: bool  # a conversation out of which calls were cut

    @property
    def plan(self) -> Any:
        """What the framework keeps for it between two calls; None if that is nothing."""
        ...

    def given(self, messages: Sequence[Message]) -> list[Any]:
        """The framework's messages. The same message is the same object in every call."""
        ...

    def request(self, messages: Sequence[Message]) -> list[Sent]:
        """What is sent when the last of `messages` is what was said now."""
        ...

    def sent(self, message: Any) -> list[Sent]:
        """How a model would see one of the framework's messages."""
        ...

    def again(self) -> Driver:
        """The same as in another process that goes on with the conversation."""
        ...

    @property
    def log(self) -> OpticalMemory | None:
        """The log of an adapter that keeps one, to which others may append too."""
        ...


class _Driver:
    keeps_log = False
    sees_model = True
    pairs_newest = True
    mends = True
    plan: Any = None
    log: OpticalMemory | None = None

    def __init__(self, *, model: str = "gpt-4o", **options: Any) -> None:
        self.model, self._options = model, options
        self._known: dict[Hashable, Any] = {}
        self._open(dict(options))

    def given(self, messages: Sequence[Message]) -> list[Any]:
        keys = [(place, json.dumps(message, sort_keys=True, default=str)) for place, message in enumerate(messages)]
        for key, message in zip(keys, messages, strict=True):
            if key not in self._known:
                self._known[key] = self._message(message)
        return [self._known[key] for key in keys]

    def again(self) -> Any:
        other = type(self)(model=self.model, **self._options)
        for name in ("_known", "_stored", "plan"):
            if hasattr(self, name):
                setattr(other, name, getattr(self, name))
        return other

    def _open(self, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def _message(self, message: Message) -> Any:
        raise NotImplementedError


class _Log(_Driver):
    """An adapter that keeps the conversation itself: it is told what is new."""

    keeps_log = True
    sees_model = False
    mends = False  # it holds what was appended, in its order

    def request(self, messages: Sequence[Message]) -> list[Sent]:
        given, said = self.given(messages), len(messages) - 1
        if not self.pairs_newest:  # the framework keeps what was said since the last question
            said = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=said)
        self._add(given[self._stored : said])
        self._stored = max(self._stored, said)
        return [sent for message in self._view(given[self._stored :]) for sent in self.sent(message)]

    def _open(self, options: dict[str, Any]) -> None:
        self._stored = 0
        self.budget = options.pop("budget", None)
        options["store"] = options.pop("cache", "memory://")
        self._open_log(options)

    def _open_log(self, options: dict[str, Any]) -> None:
        raise NotImplementedError

    def _add(self, messages: Sequence[Any]) -> None:
        raise NotImplementedError

    def _view(self, newest: Sequence[Any]) -> Sequence[Any]:
        raise NotImplementedError


# -- LangChain ---------------------------------------------------------------------------------------------------------------------------
def _langchain_message(message: Message) -> Any:
    from langchain_core import messages as kinds

    if message["role"] == "tool":
        status: Any = "error" if message.get("failed") else "success"
        return kinds.ToolMessage(message["content"], tool_call_id=message["tool_call_id"], status=status)
    texts = [{"type": "text", "text": text} for text in _words(message)]
    plain: Any = texts if isinstance(message["content"], list) else message["content"] or ""
    if message["role"] != "assistant":
        if "document" in message:
            source = {"type": "text", "media_type": "text/plain", "data": message["document"]}
            plain = [{"type": "document", "source": source}, *texts]
        return {"user": kinds.HumanMessage, "system": kinds.SystemMessage}[message["role"]](plain, name=message.get("name"))
    calls = [
        {"name": call["function"]["name"], "args": json.loads(call["function"]["arguments"] or "{}") or {}, "id": call["id"]}
        for call in message.get("tool_calls") or ()
    ]
    if "thinking" in message or "search" in message:
        thoughts = [{"type": "thinking", "thinking": message["thinking"], "signature": "c2ln"}] if "thinking" in message else []
        plain = [*thoughts, *_search_blocks(message), *texts]
    if "thoughts" in message:
        plain = [
            block
            for thought, call in zip(message["thoughts"], calls, strict=True)
            for block in (
                {"type": "thinking", "thinking": thought, "signature": "c2ln"},
                {"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["args"]},
            )
        ]
    return kinds.AIMessage(plain, tool_calls=calls)


def _langchain_sent(message: Any) -> Sent:
    blocks = [{"type": "text", "text": message.content}] if isinstance(message.content, str) else message.content
    calls = [call["id"] for call in getattr(message, "tool_calls", ())]
    return Sent(
        {"human": "user", "ai": "assistant"}.get(message.type, message.type),
        "\n".join(block["text"] for block in blocks if block["type"] == "text"),
        sum(block["type"] in ("image", "image_url") for block in blocks),
        tuple(calls),
        getattr(message, "tool_call_id", None),
        json.dumps([message.type, message.content, calls, getattr(message, "tool_call_id", None)], sort_keys=True),
        message,
        tuple(name for name in (message.name, *(call["name"] for call in getattr(message, "tool_calls", ()))) if name),
    )


class LangChain(_Driver):
    """The middleware of `create_agent`, with the state that an agent would keep for it."""

    def _open(self, options: dict[str, Any]) -> None:
        middleware = pytest.importorskip("langchain.agents.middleware", reason="langchain is not installed")
        models = import_module("langchain_core.language_models.fake_chat_models")
        name = self.model

        class Named(models.ParrotFakeChatModel):  # type: ignore[name-defined,misc]
            def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
                return {"ls_provider": "scripted", "ls_model_name": name, "ls_model_type": "chat"}

        from optical_memory.adapters.langchain import OpticalMemoryMiddleware

        self._request, self._chat_model = middleware.ModelRequest, Named()
        self._middleware, self.plan = OpticalMemoryMiddleware(**options), {}

    def _message(self, message: Message) -> Any:
        return _langchain_message(message)

    def request(self, messages: Sequence[Message]) -> list[Sent]:
        given, sent = self.given(messages), list[Any]()
        request = self._request(model=self._chat_model, messages=given, state={"messages": given, **self.plan})
        answer = self._middleware.wrap_model_call(request, lambda inner: sent.extend(inner.messages) or inner)
        if hasattr(answer, "command"):
            self.plan = answer.command.update
        return [_langchain_sent(message) for message in sent]

    def sent(self, message: Any) -> list[Sent]:
        return [_langchain_sent(message)]


class LangChainHistory(_Log):
    """The chat history, seen through its runnable."""

    def _open_log(self, options: dict[str, Any]) -> None:
        pytest.importorskip("langchain_core.chat_history", reason="langchain-core is not installed")
        from optical_memory.adapters.langchain.history import OpticalChatMessageHistory

        self._history = OpticalChatMessageHistory("s", **options)
        self.log = self._history.memory

    def _message(self, message: Message) -> Any:
        return _langchain_message(message)

    def _add(self, messages: Sequence[Any]) -> None:
        self._history.add_messages(messages)

    def _view(self, newest: Sequence[Any]) -> Sequence[Any]:
        viewed: Sequence[Any] = self._history.as_runnable(budget=self.budget).invoke(list(newest))
        return viewed

    def sent(self, message: Any) -> list[Sent]:
        return [_langchain_sent(message)]


class LangChainClassic(LangChainHistory):
    """The memory of a chain of old, which is asked with the question; what an agent did since, the chain puts behind it."""

    pairs_newest = False

    def _open_log(self, options: dict[str, Any]) -> None:
        pytest.importorskip("langchain_classic.chains", reason="langchain-classic is not installed")
        from optical_memory.adapters.langchain.classic import OpticalConversationMemory

        self._memory = OpticalConversationMemory("s", **options, budget=self.budget)
        self._history = self._memory.chat_memory
        self.log = self._history.memory

    def _view(self, newest: Sequence[Any]) -> Sequence[Any]:
        return [*self._memory.load_memory_variables({"input": newest[0].content})["history"], *newest]


# -- OpenAI's Agents SDK -----------------------------------------------------------------------------------------------------------------
class OpenAIAgents(_Driver):
    """The filter of a model's input. One message may be several items."""

    mends = False  # a result without its call says that the server has the call, and all that came before

    def _open(self, options: dict[str, Any]) -> None:
        pytest.importorskip("agents", reason="the OpenAI Agents SDK is not installed (extra: openai-agents)")
        from optical_memory.adapters.openai_agents import optical_filter

        self._filter = optical_filter(**options)

    def _message(self, message: Message) -> Any:
        if message["role"] == "tool":
            status = {"status": "incomplete"} if message.get("failed") else {}
            return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"], **status}]
        if "document" in message:
            file = {"type": "input_file", "filename": "a.txt", "file_data": _text_file(message["document"])}
            return [{"role": "user", "content": [file, {"type": "input_text", "text": message["content"]}]}]
        calls = [{"type": "function_call", "call_id": call["id"], **call["function"]} for call in message.get("tool_calls") or ()]
        kind = "output_text" if message["role"] == "assistant" else "input_text"
        parts = [{"type": kind, "text": text} for text in _words(message)]
        words = [{"role": message["role"], "content": parts if isinstance(message["content"], list) else message["content"] or ""}]
        if "search" in message:
            query, address = message["search"]
            action = {"type": "search", "query": query, "sources": [{"type": "url", "url": address}]}
            calls = [{"type": "web_search_call", "id": "ws_1", "status": "completed", "action": action}]
            return [*calls, *words]
        if "thoughts" in message:
            thoughts = [self._thought(place, thought) for place, thought in enumerate(message["thoughts"])]
            return [item for pair in zip(thoughts, calls, strict=True) for item in pair]
        thought = [self._thought(1, message["thinking"])] if "thinking" in message else []
        return [*thought, *(words if message["content"] or not calls else []), *calls]

    def _thought(self, place: int, text: str) -> Message:
        return {"type": "reasoning", "id": f"rs_{place}", "summary": [{"type": "summary_text", "text": text}]}

    def request(self, messages: Sequence[Message]) -> list[Sent]:
        from agents import Agent
        from agents.run_config import CallModelData, ModelInputData

        items = [item for group in self.given(messages) for item in group]
        data = CallModelData(ModelInputData(list(items), "Be brief."), Agent("A", model=self.model), None)
        return self.sent(asyncio.run(self._filter(data)).input)  # type: ignore[arg-type]

    def sent(self, message: list[Message]) -> list[Sent]:
        return [self._sent(item) for item in message]

    def _sent(self, item: Message) -> Sent:
        if item.get("type") == "function_call":
            return Sent("assistant", "", calls=(item["call_id"],), raw=json.dumps(item), original=item)
        if item.get("type") in ("reasoning", "web_search_call"):
            return Sent("assistant", "", raw=json.dumps(item), original=item)
        if item.get("type") == "function_call_output":
            return Sent("tool", str(item["output"]), answers=item["call_id"], raw=json.dumps(item), original=item)
        blocks = [{"text": item["content"]}] if isinstance(item["content"], str) else item["content"]
        texts, pictures = (
            [block["text"] for block in blocks if "text" in block],
            sum(block.get("type") == "input_image" for block in blocks),
        )
        return Sent(item["role"], "\n".join(texts), pictures, raw=json.dumps(item), original=item)


# -- Pydantic AI -------------------------------------------------------------------------------------------------------------------------
class PydanticAI(_Driver):
    """The capability. Each message is a request or a response of its own."""

    def _open(self, options: dict[str, Any]) -> None:
        pytest.importorskip("pydantic_ai.capabilities", reason="pydantic-ai is not installed")
        from pydantic_ai.models.function import FunctionModel

        from optical_memory.adapters.pydantic_ai import OpticalMemoryCapability

        self._capability: Any = OpticalMemoryCapability(**options)
        self._chat_model = FunctionModel(lambda messages, info: messages[-1], model_name=self.model)  # type: ignore[arg-type,return-value]

    def _message(self, message: Message) -> Any:
        from pydantic_ai import messages as kinds

        if message["role"] == "assistant":
            calls = message.get("tool_calls") or ()
            parts = [kinds.ToolCallPart(call["function"]["name"], call["function"]["arguments"], call["id"]) for call in calls]
            words = [kinds.TextPart(text) for text in _words(message) or ([] if parts else [""])]
            if "thoughts" in message:
                thoughts = map(kinds.ThinkingPart, message["thoughts"])
                return kinds.ModelResponse(parts=[part for pair in zip(thoughts, parts, strict=True) for part in pair])
            before: list[Any] = [kinds.ThinkingPart(message["thinking"])] if "thinking" in message else []
            if "search" in message:
                query, address = message["search"]
                call, found = (  # under the names of pydantic-ai 1 if these are not there
                    getattr(kinds, f"NativeTool{kind}Part", None) or getattr(kinds, f"BuiltinTool{kind}Part") for kind in ("Call", "Return")
                )
                before.append(call("web_search", {"query": query}, "s"))
                before.append(found("web_search", [{"title": "Timetable", "url": address}], "s"))
            return kinds.ModelResponse(parts=[*before, *words, *parts])
        if message["role"] == "tool":
            answer: Any = kinds.ToolReturnPart("look", message["content"], message["tool_call_id"])
            if message.get("failed"):
                answer = kinds.RetryPromptPart(message["content"], tool_name="look", tool_call_id=message["tool_call_id"])
            return kinds.ModelRequest(parts=[answer])
        if "document" in message:
            file = kinds.BinaryContent(message["document"].encode(), media_type="text/plain")
            return kinds.ModelRequest(parts=[kinds.UserPromptPart([file, message["content"]])])
        if isinstance(message["content"], list):
            return kinds.ModelRequest(parts=[kinds.UserPromptPart(message["content"])])
        kind = kinds.SystemPromptPart if message["role"] == "system" else kinds.UserPromptPart
        return kinds.ModelRequest(parts=[kind(message["content"])])

    def request(self, messages: Sequence[Message]) -> list[Sent]:
        from pydantic_ai.models import ModelRequestContext, ModelRequestParameters
        from pydantic_ai.tools import RunContext
        from pydantic_ai.usage import RunUsage

        request = ModelRequestContext(
            model=self._chat_model,
            messages=self.given(messages),
            model_settings=None,
            model_request_parameters=ModelRequestParameters(),
        )
        context: RunContext[None] = RunContext(deps=None, model=self._chat_model, usage=RunUsage())
        shown = asyncio.run(self._capability.prepare_model_request(context, request)).messages
        return [sent for message in shown for sent in self._sent(message)]

    def sent(self, message: Any) -> list[Sent]:
        return list(self._sent(message))

    def _sent(self, message: Any) -> Iterator[Sent]:
        from pydantic_ai import messages as kinds

        if message.kind == "response":
            calls = tuple(part.tool_call_id for part in message.parts if isinstance(part, kinds.ToolCallPart))
            text = "\n".join(part.content for part in message.parts if isinstance(part, kinds.TextPart))
            raw = [getattr(part, "tool_call_id", "") or getattr(part, "content", "") for part in message.parts]
            yield Sent("assistant", text, calls=calls, raw=f"assistant {raw}", original=message)
            return
        for part in message.parts:
            if isinstance(part, kinds.ToolReturnPart | kinds.RetryPromptPart):
                text = str(part.content)
                yield Sent("tool", text, answers=part.tool_call_id, raw=f"tool {part.tool_call_id} {text}", original=message)
                continue
            items = [part.content] if isinstance(part.content, str) else part.content
            pictures = [item for item in items if isinstance(item, kinds.BinaryContent) and item.is_image]
            role = "system" if isinstance(part, kinds.SystemPromptPart) else "user"
            text = "\n".join(item for item in items if isinstance(item, str))
            raw = f"{role} {[item if isinstance(item, str) else getattr(item, 'data', item) for item in items]}"
            yield Sent(role, text, len(pictures), raw=raw, original=message)


class PydanticAIJoined(PydanticAI):
    """What stands between two answers is one request, results first, as the framework itself would have it."""

    def given(self, messages: Sequence[Message]) -> list[Any]:
        joined: list[Any] = []
        for message in super().given(messages):
            if joined and message.kind == joined[-1].kind == "request":
                parts = sorted([*joined[-1].parts, *message.parts], key=lambda part: part.part_kind != "tool-return")
                joined[-1] = type(message)(parts=parts)
            else:
                joined.append(message)
        return joined


# -- LiteLLM -----------------------------------------------------------------------------------------------------------------------------
class LiteLLM(_Driver):
    """The hook, as a call that is not asynchronous uses it."""

    def _open(self, options: dict[str, Any]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would ask the network for prices while it is imported
            pytest.importorskip("litellm", reason="LiteLLM is not installed (extra: litellm)")
        from optical_memory.adapters.litellm import OpticalMemoryHook

        self._hook = OpticalMemoryHook(**options)

    def _message(self, message: Message) -> Any:
        plain = {key: value for key, value in message.items() if key not in OWN}
        texts = [{"type": "text", "text": text} for text in _words(message)]
        if isinstance(message["content"], list) or "search" in message:
            plain["content"] = [*_search_blocks(message), *texts]
        if "document" in message:
            file = {"type": "file", "file": {"filename": "a.txt", "file_data": _text_file(message["document"])}}
            plain["content"] = [file, *texts]
        if "thoughts" in message:  # calls stand beside what an answer says, in an order of their own
            plain["content"] = [{"type": "thinking", "thinking": text, "signature": "c2ln"} for text in message["thoughts"]]
        if "thinking" in message:
            plain["reasoning_content"] = message["thinking"]
        return plain | ({"is_error": True} if message.get("failed") else {})

    def request(self, messages: Sequence[Message]) -> list[Sent]:
        return [sent for message in self._hook.messages(self.given(messages), self.model) for sent in self.sent(message)]

    def sent(self, message: Message) -> list[Sent]:
        blocks = [{"type": "text", "text": message["content"] or ""}] if not isinstance(message["content"], list) else message["content"]
        texts = [block["text"] for block in blocks if block["type"] == "text"]
        calls = tuple(call["id"] for call in message.get("tool_calls") or ())
        pictures = sum(block["type"] in ("image_url", "image") for block in blocks)
        return [Sent(message["role"], "\n".join(texts), pictures, calls, message.get("tool_call_id"), json.dumps(message), message)]


# -- LlamaIndex --------------------------------------------------------------------------------------------------------------------------
class LlamaIndex(_Log):
    """The block, into which all but what was said since the last question was flushed."""

    pairs_newest = False

    def _open_log(self, options: dict[str, Any]) -> None:
        pytest.importorskip("llama_index.core.memory", reason="llama-index-core is not installed")
        from optical_memory.adapters.llama_index import OpticalMemoryBlock

        self.log = OpticalMemory("s", **options)
        self._block = OpticalMemoryBlock(memory=self.log, budget=self.budget)

    def _message(self, message: Message) -> Any:
        from llama_index.core.base.llms.types import ChatMessage, CitableBlock, DocumentBlock, TextBlock, ThinkingBlock, ToolCallBlock

        calls = [
            ToolCallBlock(tool_call_id=call["id"], tool_name=call["function"]["name"], tool_kwargs=call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ]
        answered = {"tool_call_id": message["tool_call_id"]} if message["role"] == "tool" else {}
        answered |= {"is_error": True} if message.get("failed") else {}
        before: list[Any] = [ThinkingBlock(content=message["thinking"])] if "thinking" in message else []
        if "document" in message:
            before.append(DocumentBlock(data=message["document"].encode(), document_mimetype="text/plain", title="a"))
        if "search" in message:  # of what a provider's search found, its blocks have the passage, and where it is from
            query, address = message["search"]
            before.append(CitableBlock(title=f"Timetable for {query}", source=address, content=[TextBlock(text="7:40")]))
        if "thoughts" in message:
            thoughts = [ThinkingBlock(content=text) for text in message["thoughts"]]
            return ChatMessage(role="assistant", blocks=[block for pair in zip(thoughts, calls, strict=True) for block in pair])
        answered |= {"name": message["name"]} if "name" in message else {}
        words = [TextBlock(text=text) for text in _words(message) or [""]]
        return ChatMessage(role=message["role"], blocks=[*before, *words, *calls], additional_kwargs=answered)

    def _add(self, messages: Sequence[Any]) -> None:
        asyncio.run(self._block.aput(list(messages), from_short_term_memory=True, session_id="s"))

    def _view(self, newest: Sequence[Any]) -> Sequence[Any]:
        return [*asyncio.run(self._block.aget(list(newest))), *newest]

    def sent(self, message: Any) -> list[Sent]:
        from llama_index.core.base.llms.types import ImageBlock, TextBlock, ToolCallBlock

        texts = [block.text for block in message.blocks if isinstance(block, TextBlock)]
        calls = tuple(str(block.tool_call_id) for block in message.blocks if isinstance(block, ToolCallBlock))
        answers = message.additional_kwargs.get("tool_call_id")
        raw = json.dumps([message.role.value, [block.model_dump_json() for block in message.blocks], answers])
        pictures = sum(isinstance(block, ImageBlock) for block in message.blocks)
        names = [str(block.tool_name) for block in message.blocks if isinstance(block, ToolCallBlock)]
        names += [str(name)] if (name := message.additional_kwargs.get("name")) else []
        return [Sent(message.role.value, "\n".join(texts), pictures, calls, answers, raw, message, tuple(names))]


DRIVERS: dict[str, Callable[..., Driver]] = {
    "langchain": LangChain,
    "langchain history": LangChainHistory,
    "langchain classic": LangChainClassic,
    "litellm": LiteLLM,
    "llama-index": LlamaIndex,
    "openai-agents": OpenAIAgents,
    "pydantic-ai": PydanticAI,
    "pydantic-ai, joined": PydanticAIJoined,
}

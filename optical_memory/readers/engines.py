"""Facts about servers of open models, dated: how their caches identify pictures, and which requests must be refused.

Sources are the projects' own code and documentation of the versions named; docs/serving.md has the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UnknownName

__all__ = ["ENGINES", "Engine", "engine_of"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A kind of server.

    Attributes:
        as_of: the version that was examined; empty where nothing beyond the protocol is assumed.
        picture_ids: accepts a `uuid` with a picture as the key of its caches.
        deepseek_profile: the reader profile with the price of a page for DeepSeek-OCR on this server; empty for the model's own.
        deepseek_pictures: most pictures in one request if their cost must not depend on their number; 0 for no such limit.
        deepseek_extra: fields of a request that DeepSeek-OCR needs there.
    """

    name: str
    as_of: str = ""
    picture_ids: bool = False
    deepseek_profile: str = ""
    deepseek_pictures: int = 0
    deepseek_extra: tuple[tuple[str, object], ...] = ()


_LOOP_GUARD = {"ngram_size": 30, "window_size": 90, "whitelist_token_ids": [128821, 128822]}  # <td> and </td>; vLLM's recipe

ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "vllm",
            "0.33",
            picture_ids=True,
            deepseek_profile="deepseek-ocr-on-vllm",
            deepseek_extra=(("vllm_xargs", _LOOP_GUARD), ("skip_special_tokens", False)),
        ),
        # It cuts tiles only while a request has at most two pictures, so that a page's cost depends on its neighbours. How many it cuts was
        # not examined; vLLM's six are assumed.
        Engine("sglang", "0.5.23", deepseek_profile="deepseek-ocr-on-vllm", deepseek_pictures=2),
        Engine("lmdeploy"),
        Engine("llama.cpp"),
        Engine("openai"),
    )
}


def engine_of(name: str | Engine) -> Engine:
    """A kind of server by name. Raises `UnknownName`."""
    if isinstance(name, Engine):
        return name
    if name not in ENGINES:
        raise UnknownName("engine", name, list(ENGINES))
    return ENGINES[name]

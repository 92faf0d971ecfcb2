"""Server settings that the store's promises depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import StoreUnavailable
from .wire import Said, Wire

__all__ = ["eviction_warning", "information", "persistence_warning"]


def information(wire: Wire, section: str) -> dict[str, str]:
    """A section of `INFO` of one server; empty where it is forbidden or where the client asks a whole cluster."""
    try:
        answer = wire.once("INFO", section)
    except (StoreUnavailable, Said):
        return {}
    return {str(name): str(value) for name, value in _of_one_node(answer).items()}


def eviction_warning(wire: Wire) -> str:
    """A warning about the eviction policy; '' if it is safe or not reported."""
    memory = information(wire, "memory")
    policy, limit = memory.get("maxmemory_policy", ""), memory.get("maxmemory", "0")
    if not policy.startswith("allkeys-"):
        return ""
    now = "" if limit != "0" else " once maxmemory is set"
    return (
        f"maxmemory-policy {policy} throws sessions away{now}, their logs included. "
        "Set volatile-lru: then only what has an end is thrown away, which is pages unless you gave sessions a ttl"
    )


def persistence_warning(wire: Wire) -> str:
    """What a crash of the server would cost; '' if at most the last append can be lost, or if the server does not say."""
    state = information(wire, "persistence")
    if not state:
        return ""
    if state.get("aof_enabled") == "1":
        return "" if state.get("aof_last_write_status", "ok") == "ok" else "the server cannot write its append-only file: look into its log"
    return "the server keeps no append-only file: a crash loses everything since its last snapshot, if it makes any. Set appendonly yes"


def _of_one_node(answer: Any) -> Mapping[str, Any]:
    """A cluster's client answers with one section a node; the first speaks for all."""
    if isinstance(answer, Mapping) and answer and all(isinstance(each, Mapping) for each in answer.values()):
        return next(iter(answer.values()))
    return answer if isinstance(answer, Mapping) else {}

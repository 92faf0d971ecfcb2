"""Whose conversation is it? Forks, sub-agents, side calls and compactions never get another's pages or plan."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from optical_memory.memory.message_list import TENANT
from optical_memory.server.local_upstream.serving import Serving
from optical_memory.server.proxy import turn_log
from optical_memory.server.proxy.serve import Proxy
from optical_memory.server.proxy.settings import ProxySettings
from optical_memory.stores.base import SessionId
from tests.remembered import REMEMBERED
from tests.server.histories import PATHS, history
from tests.server.rig import Rig, claude, rig

NAMED = {"x-claude-code-session-id": "session-1"}


@pytest.fixture
def here() -> Iterator[Rig]:
    with rig() as made:
        yield made


def _pages(body: dict[str, Any]) -> list[str]:
    """Return the pictures of a request."""
    return [
        block["source"]["data"]
        for message in body["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "image"
    ]


def _sent(here: Rig, body: Any, **headers: str) -> dict[str, Any]:
    assert here.post("/v1/messages", body, headers).status_code == 200
    return dict(here.last.json)


def _conversations(here: Rig, calls: int) -> list[dict[str, Any]]:
    here.settled(calls)
    return list(here.get("/api/conversations"))


def test_a_marked_block_list_that_becomes_a_string_is_the_same_message(here: Rig) -> None:
    body = claude(16, last="first question")
    before = _sent(here, body)
    body["messages"][-1] = {"role": "user", "content": "first question"}
    body["messages"] += [{"role": "assistant", "content": "answer"}, {"role": "user", "content": [{"type": "text", "text": "second"}]}]
    assert _pages(_sent(here, body)) == _pages(before) != []
    (conversation,) = _conversations(here, 2)
    assert (conversation["calls"], conversation["lines"], conversation["epoch"]) == (2, 1, 1)


def test_the_clients_billing_line_and_item_ids_name_nothing(here: Rig) -> None:
    body = claude(16, last="x")
    first = _sent(here, body)
    body["system"][0]["text"] = "x-billing: cc 987"
    assert _pages(_sent(here, body)) == _pages(first)
    items = history("responses", 16, last="x")
    for prefix in ("a", "b"):
        for at, item in enumerate(items["input"]):
            item["id"] = f"{prefix}{at}"
        assert here.post(PATHS["responses"], items).status_code == 200
    assert sorted(each["calls"] for each in _conversations(here, 4)) == [2, 2]


def test_sub_agents_that_differ_in_one_header_only_are_apart(here: Rig) -> None:
    body = claude(16, last="x")
    agents = [{}, {"x-claude-code-agent-id": "one"}, {"x-claude-code-agent-id": "two", "x-claude-code-parent-agent-id": "one"}]
    for agent in agents:
        _sent(here, body, **NAMED, **agent)
    found = _conversations(here, 3)
    assert len(found) == 3 and all(each["calls"] == 1 for each in found)


def test_keys_of_different_users_are_apart_and_kept_nowhere(here: Rig) -> None:
    body = claude(16, last="x")
    for key in ("secret-one", "secret-two"):
        _sent(here, body, **{"x-api-key": key}, **NAMED)
    text = json.dumps(_conversations(here, 2)) + json.dumps(here.get("/api/requests"))
    assert len(here.get("/api/conversations")) == 2 and "secret" not in text


@pytest.mark.parametrize("headers", [{}, NAMED])
def test_two_forks_go_their_own_ways(here: Rig, headers: dict[str, str]) -> None:
    shared = claude(16, last="x")
    one, two = copy.deepcopy(shared), copy.deepcopy(shared)
    _sent(here, shared, **headers)
    for turn in range(3):
        for name, body in (("left", one), ("right", two)):
            text = f"{name} {turn} " + f"{name} says much. " * 700
            body["messages"] += [{"role": "assistant", "content": text}, {"role": "user", "content": f"{name} goes on {turn}"}]
            sent = _sent(here, body, **headers)
            assert sent["messages"][-1] == body["messages"][-1]
            other = "right" if name == "left" else "left"
            assert other not in json.dumps([message for message in sent["messages"] if "image" not in json.dumps(message)])
    lines = here.proxy.rewriter.conversations.lines()
    assert len(lines) == 2 and lines[0].keys != lines[1].keys
    assert len(_conversations(here, 7)) == (1 if headers else 2)


def test_an_edit_in_the_past_is_never_answered_with_the_old_pages(here: Rig) -> None:
    body = claude(16, last="x")
    before = _pages(_sent(here, body))
    body["messages"][2]["content"][0]["content"] = "the result was shortened by the client"
    after = _sent(here, body)
    assert before and set(_pages(after)).isdisjoint(before[:1])
    assert _pages(_sent(here, claude(16, last="x")))[:1] == before[:1]  # the line of before still has its own


def test_a_compacted_history_is_a_new_epoch(here: Rig) -> None:
    _sent(here, claude(16, last="x"), **NAMED)
    short = claude(2, last="go on", seed="b")
    short["messages"][0]["content"] = "A summary of all that happened."
    assert not _pages(_sent(here, short, **NAMED))
    (conversation,) = _conversations(here, 2)
    assert (conversation["epoch"], conversation["lines"], conversation["calls"]) == (2, 2, 2)


SIDE_CALLS = {
    "title": {"tools": [], "output_config": {"format": {"type": "json_schema", "schema": {}}}},
    "compaction": {},
}


@pytest.mark.parametrize("kind", SIDE_CALLS)
def test_side_calls_pass_and_leave_the_conversation_alone(here: Rig, kind: str) -> None:
    body = claude(16, last="x")
    before = _sent(here, body, **NAMED)
    side = {**copy.deepcopy(body), **SIDE_CALLS[kind]}
    if kind == "compaction":
        side["messages"][-1] = {
            "role": "user",
            "content": "Your task is to create a detailed summary of the conversation so far.",
        }
    raw = json.dumps(side).encode()
    here.post("/v1/messages", raw, NAMED)
    assert here.last.body == raw and here.settled(2)[0]["reason"].startswith("side call")
    assert _pages(_sent(here, body, **NAMED)) == _pages(before)
    (conversation,) = _conversations(here, 3)
    assert (conversation["calls"], conversation["lines"]) == (2, 1)


def test_codex_says_itself_what_is_a_compaction(here: Rig) -> None:
    body = history("responses", 16, last="x", prompt_cache_key="k")
    for kind, calls in (("compaction", 0), ("turn", 1)):
        here.post(PATHS["responses"], body, {"x-codex-turn-metadata": json.dumps({"request_kind": kind})})
        assert bool(here.last.pages) is bool(calls)


@pytest.mark.slow
def test_one_cache_key_for_many_conversations_keeps_them_apart(here: Rig) -> None:
    for seed in ("a", "b", "c"):
        body = history("chat", 16, last="x", seed=seed, prompt_cache_key="all of them")
        assert here.post(PATHS["chat"], body).status_code == 200
        text = json.dumps(here.last.json)
        assert here.last.pages and not any(f"task {other}" in text for other in "abc" if other != seed)


def test_two_proxies_on_one_store_send_the_same(here: Rig) -> None:
    base = dict.fromkeys(("anthropic", "openai", "gemini"), here.direct)
    both = [
        Proxy.of(ProxySettings(store="memory://two-proxies", renderer=REMEMBERED, draw_wait=60.0, upstreams=base, probe=False))
        for _ in range(2)
    ]
    body, sent, calls = claude(16, last="x"), [], []
    with Serving(both[0].app, close=both[0].close) as one, Serving(both[1].app, close=both[1].close) as two:
        for turn in range(4):
            address = (one, two)[turn % 2].address
            assert here.post("/v1/messages", body, address=address).status_code == 200
            sent.append(here.last.json["messages"])
            body["messages"] += [{"role": "assistant", "content": f"answer {turn}"}, {"role": "user", "content": f"more {turn}"}]
            until = time.monotonic() + 20
            while time.monotonic() < until:
                calls = [record.totals.calls for record in both[turn % 2].records.all()]  # what the other one can know of
                if calls == [turn + 1]:
                    break
                time.sleep(0.02)
    assert calls == [4] and _pages({"messages": sent[0]})
    for before, after in pairwise(sent):
        assert after[: len(before) - 1] == before[:-1]


def test_conversations_that_were_not_used_for_long_are_removed(here: Rig) -> None:
    _sent(here, claude(16, last="x"))
    _conversations(here, 1)
    store, records = here.proxy.store, here.proxy.records
    (record,) = records.all()
    home, turns = SessionId(record.home, TENANT), SessionId(record.conversation, turn_log.TENANT)
    assert store.names(home) and store.length(turns) and records.expire(60.0) == 0
    assert records.expire(0.0) == 1 and not records.all() and not store.names(home) and not store.length(turns)


def test_the_log_keeps_every_turn_whatever_the_client_drops(here: Rig) -> None:
    body = claude(16, last="x")
    _sent(here, body, **NAMED)
    body["messages"] += [{"role": "assistant", "content": "continue"}, {"role": "user", "content": "continue"}]
    body["messages"] += [{"role": "assistant", "content": "continue"}, {"role": "user", "content": "continue"}]
    _sent(here, body, **NAMED)
    compacted = {**body, "messages": [{"role": "user", "content": "Summary: all went well."}]}
    _sent(here, compacted, **NAMED)
    (conversation,) = _conversations(here, 3)
    turns = here.proxy.store.read(SessionId(**conversation["session"]))
    texts = [turn.text for turn in turns]
    assert texts.count("continue") == 4 and texts[-1] == "Summary: all went well." and len(turns) == 1 + 2 * 16 + 2 + 4 + 1
    assert [turn.number for turn in turns] == list(range(1, len(turns) + 1))


def test_turns_are_not_kept_if_they_are_not_wanted() -> None:
    with rig(keep_turns=False) as made:
        _sent(made, claude(1, last="x"))
        (conversation,) = _conversations(made, 1)
        assert conversation["session"] is None and not made.proxy.store.sessions(turn_log.TENANT)


def test_the_api_says_why_pages_have_changed_and_where_they_are(here: Rig) -> None:
    _sent(here, claude(16, last="x"), **NAMED)
    (conversation,) = _conversations(here, 1)
    (change,) = conversation["changes_of_pages"]
    assert (change["reason"], change["call"], change["pages_before"]) == ("the provider's cache is cold", 1, 0)
    assert change["pages"] == here.last.pages and here.proxy.store.names(SessionId(**conversation["pages_session"]))
    assert conversation["client"].startswith("python-httpx") and conversation["on"] is True


def test_gemini_sends_results_twice_after_resuming(here: Rig) -> None:
    body = history("gemini", 16, last="x")
    here.post(PATHS["gemini"], body)
    pages = here.last.pages
    for content in body["contents"]:
        content["parts"] = [part for part in content["parts"] for _ in range(2 if "functionResponse" in part else 1)]
    here.post(PATHS["gemini"], body)
    assert pages and len(_conversations(here, 2)) == 2

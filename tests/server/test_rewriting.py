"""Old entries become pages; everything else of a request stays as it came, and nothing may break by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from optical_memory.errors import RenderError, StoreUnavailable
from tests.sampling import mostly_slow
from tests.server.histories import PATHS, entries, history
from tests.server.rig import Rig, claude, rig

WIRES = list(PATHS)


@pytest.fixture
def here() -> Iterator[Rig]:
    with rig() as made:
        yield made


def _sent(here: Rig, wire: str, body: Any, **headers: str) -> dict[str, Any]:
    answer = here.post(PATHS[wire], body, headers)
    assert answer.status_code == 200, answer.text
    return dict(here.last.json)


def _take_pages_from(monkeypatch: pytest.MonkeyPatch, characters: int) -> None:
    """Take pages as soon as they are drawn and a request is so long."""
    monkeypatch.setattr("optical_memory.server.proxy.rewriting.FULL_CHARACTERS", characters)
    monkeypatch.setattr("optical_memory.server.proxy.rewriting.WORTH_IT", 0.0)


def _pages_of(wire: str, body: dict[str, Any]) -> list[int]:
    return [at for at, entry in enumerate(entries(wire, body)) if "iVBORw0KGgo" in json.dumps(entry)]


@pytest.mark.parametrize("wire", WIRES)
def test_the_end_and_the_beginning_stay_word_for_word(here: Rig, wire: str) -> None:
    body = history(wire, 16, last="What was the first value?")
    raw = json.dumps(body, indent=1).encode()  # with white space of its own
    here.post(PATHS[wire], raw)
    sent = here.last
    assert sent.status == 200 and sent.pages
    before, after = entries(wire, body), entries(wire, sent.json)
    (at,) = _pages_of(wire, sent.json)
    kept = len(after) - at - 1
    assert after[:at] == before[:at] and after[at + 1 :] == before[-kept:] and kept > 2
    assert after[at]["role"] == "user"
    assert {name: value for name, value in sent.json.items() if value != after} == {
        name: value for name, value in body.items() if value != before
    }
    assert list(sent.json) == list(body)
    start, end = raw.index(b'"Work on task a."'), raw.rindex(b"Round 15.")
    assert sent.body.startswith(raw[:start]) and sent.body.endswith(raw[end:])


@pytest.mark.parametrize("wire", WIRES)
def test_the_beginning_stays_byte_for_byte_while_the_plan_stands(here: Rig, wire: str) -> None:
    here.post(PATHS[wire], history(wire, 16, last="one"))
    first = here.last
    for more in ("two", "three"):
        body = history(wire, 16, last="one")
        key = {"anthropic": "messages", "chat": "messages", "responses": "input", "gemini": "contents"}[wire]
        said = {"gemini": {"role": "model", "parts": [{"text": "an answer"}]}}.get(wire, {"role": "assistant", "content": "an answer"})
        asked = {"gemini": {"role": "user", "parts": [{"text": more}]}}.get(wire, {"role": "user", "content": more})
        body[key] = [*body[key], said, asked]
        assert _sent(here, wire, body)
        again, before = entries(wire, here.last.json), entries(wire, first.json)
        assert again[: len(before)] == before and here.last.pages == first.pages


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES)
def test_a_long_tool_loop_is_drawn_once_it_fills_the_window(here: Rig, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _take_pages_from(monkeypatch, 150_000)
    for rounds in (2, 8, 16, 32, 48):
        sent = _sent(here, wire, history(wire, rounds))
    assert len(_pages_of(wire, sent)) == 1 and here.last.pages > 2


def test_pages_wait_until_they_pay_while_the_text_is_cached(here: Rig) -> None:
    for rounds in (2, 8, 16, 32, 40):
        _sent(here, "anthropic", claude(rounds))
    assert not here.last.pages and "do not pay yet" in here.settled(5)[0]["reason"]
    (line,) = here.proxy.rewriter.conversations.lines()
    line.record.cached_at -= 400  # the provider has forgotten it
    _sent(here, "anthropic", claude(41))
    assert here.last.pages


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", mostly_slow(["400", "413"], quick=["400"]))
def test_a_refused_request_is_sent_as_it_came_and_the_line_stays_text(here: Rig, wire: str, status: str) -> None:
    body = history(wire, 16, last="x")
    here.upstream.faults.append(status)
    raw = json.dumps(body).encode()
    answer = here.post(PATHS[wire], raw)
    refused, original = here.upstream.seen[-2:]
    assert answer.status_code == 200 and refused.pages and original.body == raw
    here.post(PATHS[wire], raw)
    assert here.last.body == raw
    newest, older = here.settled(2)[:2]
    assert older["refused"] == int(status) and not older["rewritten"] and "refused" in newest["reason"]
    assert "refused" in here.get("/api/conversations")[0]["text_only"]


def test_an_original_that_is_refused_too_is_not_held_against_pages(here: Rig) -> None:
    body = history("anthropic", 16, last="x")
    here.upstream.faults.extend(["400", "400"])
    assert here.post("/v1/messages", body).status_code == 400
    assert _pages_of("anthropic", _sent(here, "anthropic", body))


def test_another_model_may_have_pages_again(here: Rig) -> None:
    here.upstream.faults.append("400")
    _sent(here, "anthropic", history("anthropic", 16, last="x"))
    assert _pages_of("anthropic", _sent(here, "anthropic", history("anthropic", 16, last="x", model="claude-sonnet-5")))


@pytest.mark.parametrize("error", [RenderError("no"), StoreUnavailable("full"), OSError("disk full"), MemoryError(), ZeroDivisionError()])
def test_a_fault_of_ours_sends_the_original(here: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    for name in ("render", "render_each", "fills"):
        monkeypatch.setattr(f"tests.remembered.RememberedPillow.{name}", broken)
    raw = json.dumps(history("anthropic", 16, last="x")).encode()
    for _ in range(2):
        assert here.post("/v1/messages", raw).status_code == 200
        assert here.last.body == raw
    assert here.settled(2)[0]["reason"]


def test_a_store_that_fails_costs_no_answer(here: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    for name in ("get", "put", "names"):
        monkeypatch.setattr(here.proxy.store, name, full)
    raw = json.dumps(history("anthropic", 16, last="x")).encode()
    for _ in range(3):
        assert here.post("/v1/messages", raw).status_code == 200
        assert here.last.body == raw


def test_a_budget_that_is_too_small_sends_the_original() -> None:
    with rig(budget=10) as made:
        raw = json.dumps(history("chat", 16, last="x")).encode()
        made.post(PATHS["chat"], raw)
        assert made.last.body == raw and "BudgetTooSmall" in made.settled(1)[0]["reason"]


@pytest.mark.slow
def test_without_waiting_the_next_request_has_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    _take_pages_from(monkeypatch, 10_000)
    with rig(draw_wait=0.0) as made:
        raw = json.dumps(history("anthropic", 16, last="x")).encode()
        made.post("/v1/messages", raw)
        assert made.last.body == raw
        lines = made.proxy.rewriter.conversations.lines
        for _ in range(400):
            if lines() and lines()[0].splice:
                break
            made.settled(1)
        made.post("/v1/messages", raw)
        assert made.last.pages


@pytest.mark.parametrize("model", ["gpt-4o-mini", "some-unknown-model"])
def test_models_that_do_not_read_pages_get_text(here: Rig, model: str) -> None:
    raw = json.dumps(history("chat", 16, last="x", model=model)).encode()
    here.post(PATHS["chat"], raw)
    assert here.last.body == raw and "profile" in here.settled(1)[0]["reason"]


def test_models_that_are_allowed_by_name_get_pages() -> None:
    with rig(models={"some-*": "gpt-5.4"}) as made:
        assert _pages_of("chat", _sent(made, "chat", history("chat", 16, last="x", model="some-unknown-model")))


# -- Anthropic's markers, thinking, asides -----------------------------------------------------------------------------------------------


def _markers(body: Any) -> list[tuple[str, str]]:
    found = []

    def look(value: Any, place: str) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("cache_control"), dict):
                found.append((place, value["cache_control"].get("ttl", "5m")))
            for name, inner in value.items():
                look(inner, f"{place}.{name}")
        elif isinstance(value, list):
            for at, inner in enumerate(value):
                look(inner, f"{place}[{at}]")

    look(body, "")
    return found


def test_the_free_marker_ends_the_pages(here: Rig) -> None:
    body = claude(16, last="x")
    sent = _sent(here, "anthropic", body)
    (at,) = _pages_of("anthropic", sent)
    assert len(_markers(body)) == 3 and len(_markers(sent)) == 4
    assert sent["messages"][at]["content"][-1]["cache_control"] == {"type": "ephemeral"}
    assert sent["messages"][at]["content"][-1]["type"] == "image"


def test_a_marker_is_moved_if_none_is_free_and_keeps_its_lifetime(here: Rig) -> None:
    body = claude(16, last="x")
    for block in body["system"][1:]:
        block["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
    body["messages"][-3]["content"][-1]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}  # as opencode marks the last two
    sent = _sent(here, "anthropic", body)
    (at,) = _pages_of("anthropic", sent)
    marked = _markers(sent)
    assert len(marked) == 4 and sorted(ttl for _, ttl in marked) == ["1h", "1h", "1h", "5m"]
    assert sent["messages"][at]["content"][-1]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert "cache_control" in sent["messages"][-1]["content"][-1] and "cache_control" not in sent["messages"][-3]["content"][-1]


def test_a_client_without_markers_gets_none(here: Rig) -> None:
    body = json.loads(json.dumps(claude(16, last="x")).replace('"cache_control"', '"other"'))
    assert not _markers(_sent(here, "anthropic", body))


def test_adaptive_thinking_of_before_the_pages_goes_and_of_after_stays(here: Rig) -> None:
    thinking = {"thinking": {"type": "adaptive"}}
    body = claude(0, **thinking)
    body["messages"][0]["content"] = "ROUND 0 OF 40"
    counts = []
    for at in range(24):
        answer = here.post("/v1/messages", body)
        assert answer.status_code == 200, answer.text
        said = answer.json()["content"]
        counts.append(sum(json.dumps(message).count('"signature"') for message in here.last.json["messages"]))
        call = said[-1]
        text = f"ROUND {at + 1} OF 40 " + " ".join(f"value {at}.{each}" for each in range(700))
        body["messages"].append({"role": "assistant", "content": said})
        body["messages"].append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": text}]})
    calls = here.settled(24)
    assert not any(call["refused"] for call in calls) and here.last.pages
    assert counts[5] == 5 and counts[-1] < 23  # kept while nothing changed before it, and left out where something did


def test_thinking_with_a_budget_stays(here: Rig) -> None:
    body = claude(40, thinking={"type": "enabled", "budget_tokens": 2_000})
    for message in body["messages"]:
        if message["role"] == "assistant":
            message["content"].insert(0, {"type": "thinking", "thinking": "so", "signature": "s"})
    sent = _sent(here, "anthropic", body)
    (at,) = _pages_of("anthropic", sent)
    kept = sent["messages"][at + 1 :]
    assert kept == body["messages"][-len(kept) :] and kept[0]["content"][0]["type"] == "thinking"


def test_back_to_text_after_thinking_that_was_written_after_pages(here: Rig) -> None:
    body = claude(20, thinking={"type": "adaptive"})
    body["messages"] += [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "ROUND 0 OF 9"}]
    answer = here.post("/v1/messages", body)
    assert here.last.pages
    body["messages"] += [{"role": "assistant", "content": answer.json()["content"]}]
    result = {"type": "tool_result", "tool_use_id": answer.json()["content"][-1]["id"], "content": "ROUND 9 OF 9"}
    body["messages"] += [{"role": "user", "content": [result]}]
    here.post("/api/switch", {"on": False})
    assert here.post("/v1/messages", body).status_code == 200
    assert not here.last.pages and b'"signature"' not in here.last.body
    before = len(here.upstream.seen)
    assert here.post("/v1/messages", body).status_code == 200 and len(here.upstream.seen) == before + 1


def test_system_messages_among_the_old_ones_stay_text_in_their_order(here: Rig) -> None:
    body = claude(16, last="x")
    for at, text in ((1, "first rules"), (9, "more rules"), (len(body["messages"]), "newest rules")):
        body["messages"].insert(at, {"role": "system", "content": text})
    sent = _sent(here, "anthropic", body)
    (at,) = _pages_of("anthropic", sent)
    assert [message["content"] for message in sent["messages"] if message["role"] == "system"] == [
        "first rules",
        "more rules",
        "newest rules",
    ]
    assert at == 2 and sent["messages"][3]["content"] == "more rules"


def test_pictures_that_only_the_provider_has_stay(here: Rig) -> None:
    body = claude(16, last="x")
    file = {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]}
    body["messages"][3:3] = [{"role": "assistant", "content": "Show it."}, file]
    sent = _sent(here, "anthropic", body)
    assert _pages_of("anthropic", sent) and file in sent["messages"]


def test_nothing_before_a_compaction_is_drawn(here: Rig) -> None:
    body = claude(24, last="x")
    compacted = {"role": "assistant", "content": [{"type": "compaction", "content": "a summary"}]}
    body["messages"][9:9] = [compacted, {"role": "user", "content": "go on"}]
    sent = _sent(here, "anthropic", body)
    (at,) = _pages_of("anthropic", sent)
    assert sent["messages"][:at] == body["messages"][:at] and at == 10


def test_history_that_the_provider_holds_is_left_alone(here: Rig) -> None:
    for field in ({"previous_response_id": "resp_1"}, {"conversation": "conv_1"}):
        raw = json.dumps(history("responses", 16, last="x", **field)).encode()
        here.post(PATHS["responses"], raw)
        assert here.last.body == raw and "held by the provider" in here.settled(1)[0]["reason"]


def test_unknown_blocks_of_tools_are_written_on_pages(here: Rig) -> None:
    body = claude(16, last="x")
    content = body["messages"][1]["content"]
    content.insert(1, {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}})
    content.insert(
        2, {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "title": "T", "url": "u"}]}
    )
    assert _pages_of("anthropic", _sent(here, "anthropic", body))

"""What calls cost, and what their text would have cost under the same cache state."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.profiles.profile import CachePrices
from optical_memory.server.local_upstream.prompt_cache import AutomaticCache, Block, MarkedCache
from optical_memory.server.proxy.accounting import Correction, pays, text_cost_of
from optical_memory.server.proxy.usage import AnswerCopy, Billed
from tests.server.rig import Rig, claude, rig

CLAUDE = CachePrices(write=1.25, write_long=2.0, read=0.1)
GPT = CachePrices(read=0.1)


def _copy(content: bytes, encoding: str = "") -> AnswerCopy:
    copy = AnswerCopy(encoding)
    for at in range(0, len(content), 7):
        copy.add(content[at : at + 7])
    return copy


STREAM = b"".join(
    b"event: x\ndata: " + json.dumps(event).encode() + b"\n\n"
    for event in (
        {
            "type": "message_start",
            "message": {"usage": {"input_tokens": 3, "cache_creation_input_tokens": 50, "cache_read_input_tokens": 7, "output_tokens": 1}},
        },
        {"type": "content_block_delta", "delta": {"text": 'he says "usage"'}},
        {"type": "message_delta", "usage": {"output_tokens": 99}},
    )
)


def test_usage_of_a_stream_is_put_together() -> None:
    assert _copy(STREAM).billed() == Billed(3, 50, 0, 7, 99)


def test_usage_of_a_long_stream_stands_at_its_ends() -> None:
    middle = b'event: x\ndata: {"type": "content_block_delta"}\n\n' * 50_000
    first, last = STREAM.index(b"event", 5), STREAM.rindex(b"event")
    copy = AnswerCopy("", is_stream=True)
    for part in (STREAM[:first], *(middle[at : at + 5_000] for at in range(0, len(middle), 5_000)), STREAM[last:]):
        copy.add(part)
    assert copy.billed() == Billed(3, 50, 0, 7, 99)
    whole = {"type": "response.completed", "response": {"output": ["x" * 400_000], "object": "response", "usage": RESPONSES, "user": None}}
    copy = AnswerCopy("", is_stream=True)
    for at in range(0, 500_000, 1_000):
        copy.add(b"event: response.completed\ndata: " * (at == 0) + json.dumps(whole).encode()[at : at + 1_000])
    assert copy.billed() == Billed(5, 0, 0, 4, 2)


def test_usage_of_compressed_and_cut_answers() -> None:
    packed = gzip.compress(STREAM)
    assert _copy(packed, "gzip").billed() == Billed(3, 50, 0, 7, 99)
    assert _copy(STREAM[: STREAM.index(b"he says")]).billed() == Billed(3, 50, 0, 7, 1)
    assert _copy(b"\x00\x01", "gzip").billed() is None
    assert _copy(b"<html>").billed() is None
    assert _copy(STREAM, "strange").billed() is None


CHAT = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 64}}
RESPONSES = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 2}
GEMINI = {"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
LONG = {"input_tokens": 1, "cache_creation_input_tokens": 9, "cache_creation": {"ephemeral_1h_input_tokens": 4}}


@pytest.mark.parametrize(
    ("answer", "billed"),
    [
        ({"usage": CHAT}, Billed(36, 0, 0, 64, 5)),
        ({"object": "response", "usage": RESPONSES}, Billed(5, 0, 0, 4, 2)),
        ({"usageMetadata": GEMINI}, Billed(5, 0, 0, 4, 5)),
        ({"type": "message", "usage": LONG}, Billed(1, 5, 4, 0, 0)),
    ],
)
def test_usage_of_each_format(answer: object, billed: Billed) -> None:
    assert _copy(json.dumps(answer).encode()).billed() == billed


def test_a_warm_request_is_compared_with_a_warm_text() -> None:
    """The example of a text of 30,000 tokens, 28,000 before the marker, shown as 3,000 tokens of pages."""
    cost = text_cost_of(Billed(2_000, 1_000, 0, 3_000), CLAUDE, gap=24_000, cached=27_000, alive=True, switched=False, marked=0)
    assert cost.actual == pytest.approx(3_550) and cost.text == pytest.approx(5_950) and cost.cached == 28_000


def test_a_cold_request_is_compared_with_a_cold_text() -> None:
    cost = text_cost_of(Billed(2_000, 3_000), CLAUDE, gap=25_000, cached=27_000, alive=True, switched=False, marked=0)
    assert cost.actual == pytest.approx(5_750) and cost.text == pytest.approx(37_000)


def test_the_call_that_changes_the_pages_is_dearer_than_its_text() -> None:
    cost = text_cost_of(Billed(500, 9_000, 0, 0), CLAUDE, gap=6_000, cached=14_000, alive=True, switched=True, marked=0)
    assert cost.text < cost.actual


def test_automatic_caches_count_in_steps() -> None:
    cost = text_cost_of(Billed(1_000, 0, 0, 4_096), GPT, gap=5_000, cached=9_000, alive=True, switched=False, marked=None)
    assert cost.text == pytest.approx(8_960 * 0.1 + (10_096 - 8_960))


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_text_that_was_sent_costs_itself(input_: int, write: int, read: int, cached: int, alive: bool, switched: bool) -> None:
    cost = text_cost_of(Billed(input_, write, 0, read), CLAUDE, gap=0, cached=cached, alive=alive, switched=switched, marked=0)
    assert cost.actual == cost.text


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_text_with_more_tokens_never_costs_less_in_the_same_state(input_: int, write: int, read: int, gap: int, cached: int) -> None:
    if not read:  # cold
        cost = text_cost_of(Billed(input_, write, 0, 0), CLAUDE, gap=gap, cached=cached, alive=True, switched=False, marked=0)
        assert cost.text >= cost.actual - 1e-6


def test_pages_pay_later_while_the_text_is_cached() -> None:
    asked = {"shared": 0.0, "tail": 10_000.0, "prices": CLAUDE}
    assert not pays(20_000, 7_000, calls=14, cached=True, **asked)
    assert pays(20_000, 7_000, calls=16, cached=True, **asked)
    assert pays(20_000, 7_000, calls=1, cached=False, **asked) and not pays(7_000, 20_000, calls=1, cached=False, **asked)


def test_corrections_stay_within_bounds() -> None:
    correction = Correction()
    for ratio in (50.0, 0.001, 1.3):
        correction = correction.with_text(ratio).with_pages(ratio)
        assert 0.5 <= correction.text <= 2.0 and 0.5 <= correction.pages <= 2.0
    assert correction.text_samples == correction.page_samples == 3


def test_a_conversation_that_costs_more_than_its_text_goes_back_to_it() -> None:
    with rig() as made:
        body = claude(16, last="x")
        for _ in range(10):
            assert made.post("/v1/messages", body).status_code == 200
            assert made.last.pages
            made.settled(1)
            (line,) = made.proxy.rewriter.conversations.lines()
            line.record.differences = [-1e6] * len(line.record.differences)
        made.settled(10)
        made.post("/v1/messages", body)
        made.settled(11)
        assert made.get("/api/conversations")[0]["text_only"] == "pages cost more than text over ten calls"
        made.post("/v1/messages", body)
        assert not made.last.pages


def test_pages_that_are_billed_dearer_than_published_are_given_up_after_ten_calls() -> None:
    with rig(picture_price=5.0) as made:
        body = claude(16, last="x")
        with_pages = []
        for at in range(16):
            made.post("/v1/messages", body)
            with_pages.append(bool(made.last.pages))
            body["messages"] += [{"role": "assistant", "content": f"answer {at}"}, {"role": "user", "content": f"more {at}"}]
            made.settled(at + 1)
        (conversation,) = made.get("/api/conversations")
        assert conversation["saved"] < 0 and conversation["text_only"] == "pages cost more than text over ten calls"
        assert 10 <= sum(with_pages) <= 12 and not any(with_pages[12:])
        assert made.get("/api/switch")["corrections"]["claude-opus-4-8"]["pages"] <= 2.0


def _probed(made: Rig) -> list[Any]:
    return [seen for seen in made.upstream.seen if seen.path.endswith("count_tokens")]


def test_the_provider_counts_what_pages_replace_once_for_each_change_of_pages() -> None:
    with rig(probe=True) as made:
        body = claude(16, last="x")
        for at in range(3):
            made.post("/v1/messages?beta=true", {**body, "metadata": {"user_id": "u"}, "stream": bool(at)}, {"accept-encoding": "gzip"})
            body["messages"] += [{"role": "assistant", "content": f"answer {at}"}, {"role": "user", "content": f"more {at}"}]
            made.settled(at + 1)
        (asked,) = _probed(made)
        assert (asked.status, asked.query, dict(asked.headers)["x-api-key"]) == (200, "beta=true", "secret-key")
        counted = json.loads(bytes(asked.answer))["input_tokens"]
        bill = next(seen.bill for seen in made.upstream.seen if seen.bill)
        (line,) = made.proxy.rewriter.conversations.lines()
        assert line.record.gap == counted - bill.total > 0
        (conversation,) = made.get("/api/conversations")
        assert conversation["text_counted"] and made.get("/api/switch")["corrections"]["claude-opus-4-8"]["probes"] == 1
        first = sorted(made.settled(3), key=lambda call: float(call["time"]))[0]
        assert first["text_cost"] == pytest.approx(counted * 1.25, abs=1.0)  # all of it would have been written to the cache


def test_an_upstream_without_count_tokens_is_asked_once() -> None:
    with rig(probe=True) as made:
        made.upstream.counts_tokens = False
        for at, seed in enumerate("ab"):
            made.post("/v1/messages", claude(16, last="x", seed=seed))
            made.settled(at + 1)
        until = time.monotonic() + 20
        while not _probed(made) and time.monotonic() < until:
            time.sleep(0.05)
        assert len(_probed(made)) == 1 and not any(each["text_counted"] for each in made.get("/api/conversations"))


def test_text_is_not_counted() -> None:
    with rig(probe=True) as made:
        made.post("/v1/messages", claude(1, last="x"))
        made.settled(1)
        assert not _probed(made)


def test_the_accounts_agree_with_the_bill() -> None:
    with rig() as made:
        for at in range(4):
            made.post("/v1/messages", claude(16 + at, last="x"))
        made.settled(4)
        conversations = made.get("/api/conversations")
        bills = [seen.bill for seen in made.upstream.seen if seen.bill]
        for name in ("input", "write", "read"):
            assert sum(each[name] for each in conversations) == sum(getattr(bill, name) for bill in bills)
        text = made.address + "/metrics"
        assert 'optical_memory_requests_total{model="claude-opus-4-8"' in httpx.get(text).text


# -- the local provider's own accounting -------------------------------------------------------------------------------------------------


def _blocks(*contents: str, marked: tuple[int, ...] = (), lifetime: str = "5m") -> list[Block]:
    return [Block(content, 1_000, lifetime if at in marked else "") for at, content in enumerate(contents)]


def test_a_marked_cache_reads_what_it_wrote_within_its_lifetime() -> None:
    now = [0.0]
    cache = MarkedCache(1_024, clock=lambda: now[0])
    first = cache.bill("m", _blocks("a", "b", "c", marked=(1,)))
    assert (first.input, first.write, first.read) == (1_000, 2_000, 0)
    second = cache.bill("m", _blocks("a", "b", "c", "d", marked=(1, 3)))
    assert (second.input, second.write, second.read) == (0, 2_000, 2_000)
    assert cache.bill("m", _blocks("x", "b", "c", marked=(1,))).read == 0
    now[0] = 301
    assert cache.bill("m", _blocks("a", "b", "c", marked=(1,))).read == 0


def test_a_marked_cache_looks_twenty_blocks_back() -> None:
    for more, read in ((18, 2_000), (30, 0)):
        cache = MarkedCache(1_024)
        cache.bill("m", _blocks("a", "b", marked=(1,)))
        contents = ["a", "b", *(f"{at}" for at in range(more))]
        assert cache.bill("m", _blocks(*contents, marked=(len(contents) - 1,))).read == read


def test_too_many_markers_and_a_long_lifetime_after_a_short_one_are_refused() -> None:
    with pytest.raises(ValueError, match="maximum of 4"):
        MarkedCache().bill("m", _blocks(*"abcde", marked=(0, 1, 2, 3, 4)))
    with pytest.raises(ValueError, match="1h"):
        MarkedCache().bill("m", [Block("a", 1_000, "5m"), Block("b", 1_000, "1h")])


def test_an_automatic_cache_reads_in_steps() -> None:
    cache = AutomaticCache(1_024, 128)
    cache.bill("m", _blocks("a", "b"))
    assert cache.bill("m", _blocks("a", "b", "c")).read == 1_920
    assert cache.bill("m", _blocks("z", "b", "c")).read == 0

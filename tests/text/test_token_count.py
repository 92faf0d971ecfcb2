"""Counting tokens: the real tokenizer where it is at hand, else an estimate that errs high."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tokens import reference, samples
from optical_memory.text import token_count as tokens
from optical_memory.text.token_count import Estimate, open_counter

DATA = Path(__file__).parents[1] / "data"
estimate = Estimate()


def test_an_unknown_encoding_is_estimated() -> None:
    older = open_counter("no-such-encoding")
    assert older.name == "estimate"
    assert older.count("plain words") == estimate.count("plain words")
    assert older.count("நன்றி, спасибо, 謝謝") > estimate.count("நன்றி, спасибо, 謝謝")


def test_nothing_is_ever_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    name = tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790"  # where tiktoken caches o200k_base; damaged, it would download anew
    name.write_bytes(b"damaged")
    assert open_counter().name in {"estimate", "bpe-openai/o200k_base"}
    assert name.read_bytes() == b"damaged"


@pytest.mark.parametrize("text", ["", "a", "hello world", "字", "🏳️‍🌈", "\x00", "\ud800", "<|endoftext|>", " ", "\n", "\r\n", "é" * 10])
def test_only_nothing_counts_nothing(text: str) -> None:
    assert (estimate.count(text) == 0) == (text == "")


@pytest.mark.parametrize(
    ("text", "true"),  # counted with tiktoken's o200k_base
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("def f(x):\n    return x\n", 8),
        ('{"reservation_id":"NO6JO3","price":152.50,"passengers":[{"first_name":"Mia"}]}', 26),
        ("2024-05-15T15:00:00Z ERROR [worker-7] request id=4f1c took 312ms status=500", 33),
        ("Das Wetter in München ist heute überraschend schön geworden.", 11),
        ("我想在这些附近景点里找一个评分比较高的餐馆，人均消费不要太贵。", 23),
        ("昨日は東京で友達と一緒に美味しい寿司を食べました。", 20),
        ("어제 서울에서 친구와 함께 맛있는 저녁을 먹었습니다.", 15),
        ("وصل القطار إلى المحطة متأخرا عن موعده بنصف ساعة.", 17),
        ("कल हम सब मिलकर बाज़ार गए और फल खरीदे।", 14),
        ("Вчера мы долго гуляли по набережной и говорили о работе.", 16),
        ("Great job! 🎉🔥 See you tomorrow 😀", 10),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 43),
        ("SGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0IHRleHQu", 28),
    ],
)
def test_known_counts_are_met_from_above(text: str, true: int) -> None:
    assert true <= estimate.count(text) <= 1.15 * true + 2


@given(st.text(st.characters(), max_size=200), st.text(st.characters(), max_size=200))
def test_parts_cost_about_what_the_whole_does(first: str, second: str) -> None:
    assert estimate.count(first + second) <= 1.2 * (estimate.count(first) + estimate.count(second)) + 8


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_never_more_tokens_than_bytes(text: str) -> None:
    assert estimate.count(text) <= len(text.encode()) * tokens.MARGIN + 1


@pytest.mark.parametrize("text", ["a", " ", "\n", "-", "A", "字", "a-", "\u0301", "é", "0"])
def test_a_flood_is_counted_in_linear_time(text: str) -> None:
    began = time.process_time()
    assert estimate.count(text * 200_000) > 1_000
    assert time.process_time() - began < 5


def test_the_filter_is_the_size_that_the_code_reads() -> None:
    assert Path(tokens.__file__).with_name("o200k_base.filter").stat().st_size * 8 == tokens.FILTER_BITS


needs_reference = pytest.mark.skipif(reference() is None, reason="no real tokenizer here: pip install bpe-openai")


@needs_reference
@pytest.mark.parametrize("name", ["coding-agent", "office-agent", "assistant-chats", "travel-chat-chinese", "reasoning-maths-code"])
def test_the_estimate_errs_high_on_real_conversations(name: str) -> None:
    real = reference()
    assert real is not None
    messages = json.loads((DATA / f"{name}.json").read_text())["messages"]
    text = "\n".join(message["content"] for message in messages if isinstance(message["content"], str))
    ratios = [estimate.count(sample) / real.count(sample) for sample in samples(text, real)]
    assert min(ratios) >= 0.98
    assert 1.0 <= sum(ratios) / len(ratios) <= 1.15


@needs_reference
@given(st.text(st.characters(), max_size=100))
def test_the_real_counter_takes_any_text(text: str) -> None:
    real = reference()
    assert real is not None
    assert (real.count(text + "<|endoftext|>")) >= 3


@pytest.mark.skipif(importlib.util.find_spec("tiktoken") is None or reference() is None, reason="needs tiktoken and a vocabulary")
def test_a_vocabulary_in_the_cache_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = tokens.cached_vocabulary("o200k_base")
    if found is None:
        pytest.skip("tiktoken has not cached o200k_base")
    shutil.copy(found, tmp_path / found.name)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    counter = open_counter()
    assert (counter.name, counter.count("hello world")) == ("tiktoken/o200k_base", 2)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.generation import CHUNK, StopWatch, prefill

from .oracle import random_model


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "", "c\n", "STOP", "ST"]), max_size=20),
    st.lists(st.sampled_from(["ab", "STOP", "bc", "\n"]), max_size=3),
)
def test_nothing_of_a_stop_string_is_said(pieces: list[str], stops: list[str]) -> None:
    watch = StopWatch(stops)
    said = "".join(watch.push(piece) for piece in pieces) + watch.rest()
    whole = "".join(pieces)
    first = min((place for stop in stops if (place := whole.find(stop)) >= 0), default=None)
    if first is None:
        assert (said, watch.stopped) == (whole, False)
    else:
        assert watch.stopped
        assert whole.startswith(said)
        assert not any(stop in said for stop in stops)
        assert len(said) <= first + max(map(len, stops))


def test_text_is_held_back_no_longer_than_it_must() -> None:
    watch = StopWatch(["END"])
    assert [watch.push(piece) for piece in ("ab", "E", "N", "o", "EN")] == ["ab", "", "", "ENo", ""]
    assert watch.rest() == "EN"


def test_a_prompt_in_chunks_is_the_prompt_at_once() -> None:
    model = random_model(DeepseekOcrConfig.tiny())
    rows = torch.randn(2 * CHUNK + 7, model.config.decoder.hidden_size)
    cache = model.new_cache()
    scores = prefill(model, rows, cache)
    assert cache.length == len(rows)
    assert scores is not None
    assert float((scores - model(rows[None], logits_to_keep=1)[0, -1]).abs().max()) < 1e-5


def test_a_cancelled_prompt_stops_between_chunks() -> None:
    model = random_model(DeepseekOcrConfig.tiny())
    cache = model.new_cache()
    asked = iter([False, True])
    assert prefill(model, torch.randn(3 * CHUNK, model.config.decoder.hidden_size), cache, cancelled=lambda: next(asked)) is None
    assert cache.length == CHUNK

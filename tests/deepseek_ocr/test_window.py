"""The sliding window of Unlimited-OCR: what it sees, and that no past is shared under it."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.attention import attention_mask
from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.modeling import DeepseekOcrForConditionalGeneration

from .oracle import oracle, random_model

WINDOW = 16


@pytest.fixture(scope="module")
def ours() -> DeepseekOcrForConditionalGeneration:
    config = DeepseekOcrConfig.tiny("unlimited-ocr")
    return random_model(replace(config, decoder=replace(config.decoder, sliding_window=WINDOW)), seed=3)


def test_who_sees_whom() -> None:
    mask = attention_mask(2, 6, window=3, prompt=2, device=torch.device("cpu"))
    assert mask is not None
    assert mask.tolist() == [[True, True, False, False, True, True, True, False], [True, True, False, False, False, True, True, True]]


def test_one_call_is_all_prompt_as_in_transformers(ours: DeepseekOcrForConditionalGeneration) -> None:
    pytest.importorskip("transformers", minversion="5.20", reason="the vlm extra is not installed: nothing to compare with")
    theirs = oracle(ours)
    assert set(theirs.config.text_config.layer_types) == {"reference_sliding_attention"}
    ids = torch.randint(2, 900, (1, 5 * WINDOW))
    with torch.inference_mode():
        expected = theirs(input_ids=ids, use_cache=False).logits
    assert expected.std() > 0.1
    assert float((ours(ours.embed(ids[0])[None]) - expected).abs().max()) < 1e-4


def test_said_token_by_token_is_computed_at_once(ours: DeepseekOcrForConditionalGeneration) -> None:
    rows, prompt, cache = torch.randn(1, 60, ours.config.decoder.hidden_size), 20, ours.new_cache()
    whole = ours(rows, prompt_length=prompt)
    parts = [ours(rows[:, :prompt], cache=cache, prompt_length=prompt)]
    parts += [ours(rows[:, place : place + 1], cache=cache, prompt_length=prompt) for place in range(prompt, 60)]
    assert float((torch.cat(parts, 1) - whole).abs().max()) < 1e-5


def test_no_past_is_shared(ours: DeepseekOcrForConditionalGeneration) -> None:
    cache = ours.new_cache()
    with pytest.raises(ValueError, match=r"window of 16 shares no past.*full_attention"):
        cache.fork()
    rows = torch.randn(1, 4, ours.config.decoder.hidden_size)
    ours(rows, cache=cache)
    with pytest.raises(ValueError, match=r"after 4 positions.*pass prompt_length"):
        ours(rows, cache=cache)

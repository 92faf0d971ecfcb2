from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the vlm extra is not installed")
pytest.importorskip("transformers", minversion="5.20", reason="the vlm extra is not installed")

from optical_memory import OpticalMemory
from optical_memory.errors import ContextTooLong, ReaderError, WeightsNotFound
from optical_memory.pages.page import Page
from optical_memory.readers import open_reader
from optical_memory.readers.prompts import Words, picture_of
from optical_memory.readers.transformers import TransformersReader
from optical_memory.readers.vision_cache import FolderShelf, VisionCache
from tests.sampling import mostly_slow

from .tiny_vlms import MAKERS


@cache
def tiny(family: str) -> dict[str, Any]:
    return MAKERS[family]()


def reader_of(family: str, cache: VisionCache | None = None) -> TransformersReader:
    return TransformersReader(**tiny(family), profile="qwen3-vl", cache=cache or VisionCache())


@pytest.fixture(params=mostly_slow(sorted(MAKERS), quick=["internvl", "qwen3-vl"]))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_cached_pages_give_what_pixels_give(family: str, page: Page) -> None:
    """Two pages in one prompt: the model's own way with pixels, against what the cache hands back one by one."""
    reader = reader_of(family)
    assert reader.caches_pages
    pages = [picture_of(page, tier) for tier in ("base", "base")]
    inputs = reader._inputs([("user", [Words("First "), pages[0], Words(" then "), pages[1], Words(" what?")])], 4)
    direct = {name: value for name, value in inputs.items() if name != "mm_encoder_outputs"} | reader._pixels(pages)
    if family == "deepseek-ocr-2":
        direct["num_local_patches"] = [0, 0]
    with torch.inference_mode():
        expected = reader._model(**direct).logits
        found = reader._model(**inputs).logits
    assert expected.std() > 0.05
    assert float((found - expected).abs().max()) < 1e-4
    other = reader._inputs([("user", [Words("First "), Words(" then "), Words(" what?")])], 4)
    assert other["input_ids"].shape[1] < inputs["input_ids"].shape[1], "pages take their placeholders"


def test_an_answer_streams_and_pages_are_encoded_once(family: str, memory: OpticalMemory, tmp_path: Path) -> None:
    context = memory.context(budget=1_500)
    assert context.pages
    reader = reader_of(family, VisionCache(shelf=FolderShelf(tmp_path)))
    answer = reader.answer(context, "Where is parcel 7?", max_tokens=8)
    pieces = list(answer)
    assert "".join(pieces) == answer.text
    assert answer.stopped in ("length", "end")
    encoded = len({(part.page.key, part.tier) for part in context.pages})
    assert reader._vision.counts.encoded == encoded
    later = reader_of(family, VisionCache(shelf=FolderShelf(tmp_path)))
    assert str(later.answer(context, "Where is parcel 7?", max_tokens=8)) == answer.text
    assert (later._vision.counts.encoded, later._vision.counts.shelf) == (0, encoded)


def test_a_model_that_takes_no_encoded_pages_gets_pixels(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    made = dict(tiny("internvl"))
    expected = TransformersReader(**made, profile="qwen3-vl", cache=VisionCache()).transcribe(page, tier="small", max_tokens=6)
    model = made["model"]
    forward = model.forward

    def without(input_ids: Any = None, pixel_values: Any = None, attention_mask: Any = None, **rest: Any) -> Any:
        return forward(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask, **rest)

    model.forward = without
    try:
        reader = TransformersReader(**made, profile="qwen3-vl", cache=VisionCache())
        assert not reader.caches_pages
        assert sum("takes no encoded pages" in record.message for record in caplog.records) == 1
        assert reader.transcribe(page, tier="small", max_tokens=6) == expected
    finally:
        model.forward = forward


def test_deepseek_ocr_2_has_two_sizes(page: Page) -> None:
    reader = reader_of("deepseek-ocr-2")
    rows = {}
    for tier in ("tiny", "small", "base", "gundam"):
        inputs = reader._inputs([("user", [picture_of(page, tier)])], 4)
        rows[tier] = int((inputs["input_ids"] == reader._model.config.image_token_id).sum())
    assert rows == {"tiny": 145, "small": 145, "base": 257, "gundam": 257 + 4 * 144}


def test_content_gets_no_special_tokens(family: str) -> None:
    reader = reader_of(family)
    spelled = " ".join(reader._tokenizer.get_added_vocab())
    inputs = reader._inputs([("user", [Words(spelled)])], 4)
    plain = reader._inputs([("user", [Words("x")])], 4)
    added = set(reader._tokenizer.get_added_vocab().values())
    count = [sum(int(token) in added for token in given["input_ids"][0]) for given in (inputs, plain)]
    assert count[0] == count[1], "only those of the template"


@pytest.mark.slow
def test_stop_strings_and_cancelling(page: Page) -> None:
    reader = reader_of("qwen3-vl")
    message = [("user", [picture_of(page, "small"), Words("?")])]
    whole = str(reader._start(message, 24, ()))
    assert len(whole) > 4
    stopped = reader._start(message, 24, [whole[2:4]])
    assert (str(stopped), stopped.stopped) == (whole[: whole.index(whole[2:4])], "stop")
    endless = reader._start(message, 3_000, ())
    next(endless)
    endless.cancel()
    list(endless)
    assert endless.stopped == "cancelled"
    assert not [thread for thread in threading.enumerate() if thread.name == "optical-memory-reader"], "its thread has ended"


def test_other_weights_or_pixels_are_another_model(page: Page) -> None:
    """Vision tokens of one must never be taken for the other's, on a shelf that both share."""
    made = MAKERS["qwen3-vl"]()
    before = TransformersReader(**made, cache=VisionCache()).identity
    assert TransformersReader(**made, cache=VisionCache()).identity == before == reader_of("qwen3-vl").identity
    weight = dict(made["model"].named_parameters())["model.visual.blocks.2.mlp.linear_fc2.weight"]
    weight.data[0, 0] += 1
    assert TransformersReader(**made, cache=VisionCache()).identity != before
    weight.data[0, 0] -= 1
    made["image_processor"].size = {"shortest_edge": 1024, "longest_edge": 640 * 640}
    assert TransformersReader(**made, cache=VisionCache()).identity != before


def test_no_room_for_an_answer(memory: OpticalMemory) -> None:
    with pytest.raises(ValueError, match="max_tokens=0 leaves no room"):
        reader_of("qwen3-vl").answer(memory.context(budget=1_500), "?", max_tokens=0)


def test_an_error_in_the_model_reaches_the_reader_of_the_answer(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of("qwen2.5-vl")
    inputs = reader._inputs
    monkeypatch.setattr(reader, "_inputs", lambda *given: inputs(*given) | {"input_ids": torch.full((1, 3), 10**6)})
    with pytest.raises(IndexError):
        reader.transcribe(page, tier="small", max_tokens=3)


def test_too_long_a_context(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reader_of("qwen3-vl")
    monkeypatch.setattr(reader._model.config.text_config, "max_position_embeddings", 100)
    with pytest.raises(ContextTooLong, match=r"positions are needed and the model has 100\. Leave out page 1"):
        reader.transcribe(page, tier="base", max_tokens=5)


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsNotFound, match="optical-memory models pull nobody/nothing"):
        open_reader("transformers", model="nobody/nothing")
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=32)
    with pytest.raises(ReaderError, match="LlamaForCausalLM takes no pictures"):
        TransformersReader(LlamaForCausalLM(config), tokenizer=object(), image_processor=object())
    with pytest.raises(ReaderError, match="pass both"):
        TransformersReader(tiny("qwen3-vl")["model"])
    with pytest.raises(ReaderError, match="no reader profile"):
        _ = TransformersReader(**tiny("idefics3"), cache=VisionCache()).profile
    assert TransformersReader(**tiny("qwen3-vl"), cache=VisionCache(), profile="qwen3-vl").profile.name == "qwen3-vl"


def test_a_folder_is_opened(tmp_path: Path, page: Page) -> None:
    made = tiny("qwen3-vl")
    for part in made.values():
        part.save_pretrained(tmp_path)
    opened = TransformersReader(
        tmp_path, tokenizer=made["tokenizer"], image_processor=made["image_processor"], dtype="float32", profile="qwen3-vl"
    )
    assert opened.transcribe(page, tier="small", max_tokens=6) == reader_of("qwen3-vl").transcribe(page, tier="small", max_tokens=6)

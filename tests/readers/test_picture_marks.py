"""The tokens around, between and for a picture, against the processor class of each model: the same ids, the same pixels."""

from __future__ import annotations

import importlib
import importlib.machinery
import io
import sys
import types
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the vlm extra is not installed")
transformers = pytest.importorskip("transformers", minversion="5.20", reason="the vlm extra is not installed")

from PIL import Image

from optical_memory.pages.tiers import Tier
from optical_memory.readers.prompts import Picture, Words
from optical_memory.readers.transformers import TransformersReader
from optical_memory.readers.vision_cache import VisionCache

from .tiny_vlms import MAKERS, llama4

SIZES = ((140, 140), (133, 90), (60, 140), (512, 512), (61, 57))  # width and height; the third and fourth are odd in patches


@cache
def tiny(family: str) -> dict[str, Any]:
    return {**MAKERS, "llama4": llama4}[family]()


@pytest.fixture
def pixtral_processor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The processor class. Its module imports torchvision, for another image processor than the one that is used here."""
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.v2", "torchvision.transforms.v2.functional"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["torchvision.transforms.v2"].functional = sys.modules["torchvision.transforms.v2.functional"]  # type: ignore[attr-defined]
    sys.modules["torchvision.transforms.v2"].InterpolationMode = None  # type: ignore[attr-defined]
    sys.modules["torchvision.transforms"].InterpolationMode = None  # type: ignore[attr-defined]
    before = set(sys.modules)
    yield importlib.import_module("transformers.models.pixtral.processing_pixtral").PixtralProcessor
    for name in set(sys.modules) - before:
        del sys.modules[name]


Expected = dict[str, Any]


def made_by_processor(processor: Any, text: str, image: Image.Image) -> Expected:
    return dict(processor(text=text, images=[image], return_tensors="pt", add_special_tokens=False))


def made_by_smolvlm(made: dict[str, Any], text: str, image: Image.Image) -> Expected:
    """As its processor does it, which cannot be opened without a processor of films."""
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    seen = made["image_processor"](images=[[image]], return_row_col_info=True, return_tensors="pt")
    names = {"fake_token_around_image": "<fake_token_around_image>", "image_token": "<image>", "global_image_token": "<global-img>"}
    marks = get_image_prompt_string(seen.pop("rows")[0][0], seen.pop("cols")[0][0], 16, **names)
    tokens = made["tokenizer"](text.replace("<image>", marks), add_special_tokens=False, return_tensors="pt")
    return {"input_ids": tokens["input_ids"], **seen}


def picture(size: tuple[int, int]) -> Picture:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, "PNG")
    return Picture(f"{size}", Tier.BASE, size, f"a page of {size}", file.getvalue)


def check(family: str, size: tuple[int, int], expect: Callable[[dict[str, Any], str, Image.Image], Expected]) -> None:
    """The reader's inputs are those of the processor, and so is what the model makes of them."""
    made = tiny(family)
    reader = TransformersReader(**made, profile="qwen3-vl", cache=VisionCache())
    page = picture(size)
    inputs = reader._inputs([("user", [Words("See "), page, Words(" what?")])], 4)
    text = f"<|im_start|>user\nSee {reader._image_marker} what?<|im_end|>\n<|im_start|>assistant\n"
    expected = expect(made, text, page.load())
    assert inputs["input_ids"][0].tolist() == expected["input_ids"][0].tolist()
    assert torch.equal(reader._pixels([page])["pixel_values"].float(), expected["pixel_values"].float())
    if "token_type_ids" in expected:
        assert torch.equal(inputs["token_type_ids"], expected["token_type_ids"].int())
    names = ("pixel_values", "pixel_attention_mask", "image_sizes", "token_type_ids")
    taken = {name: value for name, value in expected.items() if name in names}
    with torch.inference_mode():
        alone = reader._model(input_ids=expected["input_ids"], attention_mask=torch.ones_like(expected["input_ids"]), **taken).logits
        found = reader._model(**inputs).logits
    assert float((found - alone).abs().max()) < 1e-4


def name_of(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("size", SIZES, ids=name_of)
@pytest.mark.parametrize("family", ["gemma3", "idefics3"])
def test_a_prompt_is_token_by_token_what_the_processor_makes(family: str, size: tuple[int, int]) -> None:
    def expect(made: dict[str, Any], text: str, image: Image.Image) -> Expected:
        both = {"image_processor": made["image_processor"], "tokenizer": made["tokenizer"]}
        if family == "gemma3":
            return made_by_processor(transformers.Gemma3Processor(**both, image_seq_length=16), text, image)
        return made_by_processor(transformers.Idefics3Processor(**both, image_seq_len=16), text, image)

    check(family, size, expect)


@pytest.mark.parametrize("size", SIZES, ids=name_of)
def test_smolvlm(size: tuple[int, int]) -> None:
    check("smolvlm", size, made_by_smolvlm)


@pytest.mark.parametrize("size", SIZES, ids=name_of)
def test_llama_4(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks of its own processor class, for tiles that a stand-in of its image processor cuts."""
    from transformers.modeling_outputs import MoeCausalLMOutputWithPast
    from transformers.models.llama4.processing_llama4 import Llama4Processor

    monkeypatch.setattr(
        MoeCausalLMOutputWithPast, "image_outputs", None, raising=False
    )  # transformers 5.24.0 reads it, and it is not there

    def expect(made: dict[str, Any], text: str, image: Image.Image) -> Expected:
        seen = made["image_processor"](images=[image], return_tensors="pt")
        marks = Llama4Processor._prompt_split_image(None, seen["aspect_ratios"][0].tolist(), 4)
        tokens = made["tokenizer"](text.replace("<|image|>", marks), add_special_tokens=False, return_tensors="pt")
        return {"input_ids": tokens["input_ids"], **seen}

    check("llama4", size, expect)


@pytest.mark.parametrize("size", SIZES, ids=name_of)
@pytest.mark.parametrize("family", ["mistral3", "pixtral"])
def test_mistral_s_sides_are_whole_merged_patches(family: str, size: tuple[int, int], pixtral_processor: Any) -> None:
    def expect(made: dict[str, Any], text: str, image: Image.Image) -> Expected:
        both = {"image_processor": made["image_processor"], "tokenizer": made["tokenizer"]}
        merged = 2 if family == "mistral3" else 1
        return made_by_processor(pixtral_processor(**both, patch_size=14, spatial_merge_size=merged), text, image)

    check(family, size, expect)

"""A tiny model with random weights in the released format, to run every path without a download. It cannot read, and is marked so."""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingExtra
from .configuration import DeepseekOcrConfig, Family
from .tokenization import BEGINNINGS, ENDS, IMAGE
from .weights import save_model

__all__ = ["make_tiny"]

PAD = "<｜▁pad▁｜>"
ADDED = (
    IMAGE,
    "<|ref|>",
    "<|/ref|>",
    "<|det|>",
    "<|/det|>",
    "<|grounding|>",
    "<td>",
    "</td>",
    "<tr>",
    "</tr>",
    "<|User|>",
    "<|Assistant|>",
)
MERGES = (("t", "h"), ("th", "e"), ("i", "n"), ("a", "n"), ("an", "d"), ("Ġ", "the"), ("Ġ", "and"), ("e", "r"), ("o", "n"), ("Ġ", "in"))
VOCABULARY = 320  # rows of the embedding: bytes, merges, added tokens and some to spare
NOTICE = "The weights in this folder are random. The model reads nothing; it exists so that programs can be tried without a download.\n"


def make_tiny(folder: Path, *, seed: int = 0, family: Family = "deepseek-ocr") -> Path:
    """Write a model of some 300,000 random weights: config.json, tokenizer.json, one safetensors file and its index.

    The same seed gives the same bytes. Raises `FileExistsError` for a folder that holds something else, `MissingExtra`.
    """
    try:
        import torch

        from .modeling import DeepseekOcrForConditionalGeneration
    except ImportError as exc:
        raise MissingExtra("a model of DeepSeek-OCR's kind", "deepseek") from exc
    if folder.exists() and any(folder.iterdir()) and not folder.joinpath("RANDOM.txt").exists():
        raise FileExistsError(f"{str(folder)!r} is not empty and holds no random model; name another folder")
    image = _write_tokenizer(folder)
    config = DeepseekOcrConfig.tiny(family, vocab_size=VOCABULARY, image_token_id=image)
    model = DeepseekOcrForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if "norm" not in name and not name.startswith(("model.sam_model.neck.1", "model.sam_model.neck.3")):
                spread = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.3
                weight.normal_(0, spread, generator=generator)
    save_model(model.to(torch.bfloat16), folder, random=True)
    folder.joinpath("RANDOM.txt").write_text(NOTICE, encoding="utf-8")
    return folder


def _write_tokenizer(folder: Path) -> int:
    """A byte-level BPE tokenizer with a few merges and the model's added tokens. Returns the id of `<image>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [BEGINNINGS[0], ENDS[0], PAD, *alphabet, *("".join(pair) for pair in MERGES)]
    inner = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=list(MERGES)))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in (BEGINNINGS[0], ENDS[0], PAD)])
    inner.add_tokens([AddedToken(name, special=False, normalized=False) for name in ADDED])
    folder.mkdir(parents=True, exist_ok=True)
    inner.save(str(folder / "tokenizer.json"))
    image = inner.token_to_id(IMAGE)
    assert image is not None
    return image

"""What a kept prefix saves: a context of 20 pages at Base, prefilled cold and from memory, with a decoder of the published width."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.table import Table

from optical_memory.context.context import Context, PagePart, Usage, tally
from optical_memory.context.plan import Plan
from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.modeling import DeepseekOcrForConditionalGeneration
from optical_memory.deepseek_ocr.tiny import make_tiny
from optical_memory.deepseek_ocr.weights import save_model
from optical_memory.pages.page import Box, Page, Segment
from optical_memory.pages.tiers import Tier
from optical_memory.readers.deepseek_ocr import DeepseekOcrReader
from optical_memory.readers.vision_cache import PageKey, VisionCache

from ._timing import timed

__all__ = ["first_token", "vision_hit"]

PAGES = 20
LAYERS = 3  # one dense, two with experts; the published decoder has nine more like the last
RUNS = 5  # answers from a kept prefix; the cold one is prefilled twice
HITS = 1000
FRAMING = "The pages below are pictures of earlier turns of this conversation, oldest first."
QUESTION = "Which track did parcel 7 leave on?"


def shown() -> Context:
    """Pages that exist by name only: nobody draws or encodes them."""
    parts = []
    for n in range(1, PAGES + 1):
        page = Page(f"{n:032x}", n, (Segment(n, (Box(0, 0, 1024, 1024),)),), text_tokens=2000, sidecar=(), width=1024, height=1024)
        parts.append(PagePart(page, Tier.BASE, f"[page {n} #{n}-{n}]", Tier.BASE.sequence_length, 12))
    tokens = sum(part.tokens for part in parts)
    usage = Usage(tokens, 2000 * PAGES, PAGES * Tier.BASE.sequence_length, *tally(parts), tokens, 0, "")
    return Context(tuple(parts), Plan(epoch=1, basis="", budget=None, high_water=0, reason="pages alone"), usage, FRAMING)


def wide_reader(folder: Path, device: str) -> DeepseekOcrReader:
    """A reader in bfloat16 whose decoder has the published width, experts and heads, and random weights; its encoder is tiny."""
    make_tiny(folder)
    tiny, published = DeepseekOcrConfig.from_folder(folder), DeepseekOcrConfig.published()
    decoder = replace(published.decoder, num_hidden_layers=LAYERS, vocab_size=tiny.decoder.vocab_size)
    torch.set_default_dtype(torch.bfloat16)
    model = DeepseekOcrForConditionalGeneration(replace(tiny, decoder=decoder))
    torch.set_default_dtype(torch.float32)
    for name, weight in model.named_parameters():
        if "norm" not in name:
            weight.data.normal_(0, weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.3)
    save_model(model, folder, random=True)
    return DeepseekOcrReader(folder, dtype="bfloat16", device=device, cache=VisionCache())


def encode_by_chance(reader: DeepseekOcrReader, context: Context) -> None:
    """Put random rows where the encoder's would be."""
    keys = [PageKey(part.page.key, part.tier.label, reader.identity) for part in context.pages]
    rows = torch.randn(len(keys), Tier.BASE.sequence_length, 1280, dtype=torch.bfloat16)
    reader._vision.get_or_encode(keys, lambda places: [{"rows": rows[place].clone()} for place in places])


def to_first_token(reader: DeepseekOcrReader, context: Context) -> float:
    """Milliseconds from the question to the first token."""
    return timed(lambda: str(reader.answer(context, QUESTION, max_tokens=1)))


def first_token(device: str) -> Table:
    """Time to the first token, and positions that were computed for it."""
    context = shown()
    with tempfile.TemporaryDirectory() as folder:
        reader = wide_reader(Path(folder) / "wide", device)
        encode_by_chance(reader, context)
        cold = []
        for _ in range(2):
            reader._prefixes.clear()
            cold.append(to_first_token(reader, context))
        computed = reader.stats().positions_computed // 2
        reused = statistics.median(to_first_token(reader, context) for _ in range(RUNS))
        again = (reader.stats().positions_computed - 2 * computed) // RUNS
    table = Table(
        "", "positions computed", "ms to first token", title=f"{PAGES} pages at Base, {LAYERS} decoder layers, bfloat16, random weights"
    )
    table.add_row("cold", f"{computed:,}", f"{min(cold):,.0f}")
    table.add_row("prefix reused", f"{again:,}", f"{reused:,.0f}")
    table.add_row("ratio", f"{computed / again:,.0f}", f"{min(cold) / reused:,.0f}")
    return table


def vision_hit(_device: str) -> Table:
    """Microseconds to find a page's vision tokens in memory."""
    table = Table("page", "us a hit", title="Vision tokens found in memory, 16 bits")
    for tier in (Tier.SMALL, Tier.BASE):
        table.add_row(tier.label, f"{statistics.median(hits(tier)) * 1_000:.1f}")
    return table


def hits(tier: Tier) -> list[float]:
    """Milliseconds of each of many hits."""
    cache, keys = VisionCache(), [PageKey("0" * 32, tier.label, "an encoder")]
    cache.get_or_encode(keys, lambda _: [{"rows": torch.zeros(tier.sequence_length, 1280, dtype=torch.bfloat16)}])
    return [timed(lambda: cache.get_or_encode(keys, lambda _: [])) for _ in range(HITS)]

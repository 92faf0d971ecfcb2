"""What reading costs, with random weights: DeepEncoder against transformers' encoder, kept prefixes against prefilled ones.

`python -m benchmarks.reader [section ...] [--device cuda]` prints every section, or those named. The two encoders have the published sizes
and the same weights, and run in turn in one process, so that a busy machine slows both. Wall-clock seconds are the best of the runs; CPU
seconds, of all threads, their median, which another process disturbs less. Peak memory is measured in a process of its own for each side
(Linux only; on a GPU, the most that torch has allocated there).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.table import Table
from torch import Tensor

from optical_memory.deepseek_ocr import sam
from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.processing import PagePixels, page_pixels
from optical_memory.pages.tiers import Tier
from tests.deepseek_ocr.oracle import oracle, random_model

from ._console import open_console
from ._prefixes import first_token, vision_hit
from ._timing import timed

Encode = Callable[[Tensor], Tensor]
SIDES = {512: 9, 640: 9, 1024: 5}  # px of a page: runs of each side
THREADS = 2
PROCESSES = 3  # whose peak memory is measured; a single one is sometimes far off
LAYER_RUNS = 5
MEMORY = "--peak"  # asks for one measurement of memory, in this process


def encoders(device: str, wanted: str = "both") -> dict[str, Encode]:
    """Full-size encoders in bfloat16 with the same weights: (1, 3, S, S) pixels to the rows of a page."""
    ours = full_size()
    found: dict[str, Encode] = {}
    theirs = oracle(ours).to(device, torch.bfloat16) if wanted in ("both", "transformers") else None
    if wanted in ("both", "ours"):
        ours.to(device)
        found["ours"] = lambda pixels: rows_of_ours(ours, pixels)
    if theirs is not None:
        found["transformers"] = lambda pixels: torch.cat(theirs.get_image_features(pixels).pooler_output)
    return found


def full_size() -> Any:
    """The published model in bfloat16 with random weights; of its decoder little is built."""
    published = DeepseekOcrConfig.published()
    decoder = replace(published.decoder, num_hidden_layers=1, vocab_size=1024)
    torch.set_default_dtype(torch.bfloat16)
    model = random_model(replace(published, decoder=decoder, image_token_id=1000))
    torch.set_default_dtype(torch.float32)
    return model


def rows_of_ours(model: Any, pixels: Tensor) -> Tensor:
    """The rows of one page, newlines and separator included."""
    rows: Tensor = model.encode_page(PagePixels(pixels[0]))
    return rows


def noise(side: int, device: str) -> Tensor:
    """A page that no encoder has seen."""
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(side)).to(device, torch.bfloat16)


def clocked(encode: Encode, pixels: Tensor) -> tuple[float, float]:
    """Wall-clock and CPU seconds of one page."""
    wall, cpu = time.perf_counter(), time.process_time()
    encode(pixels).flatten()[0].item()  # a GPU is waited for
    return time.perf_counter() - wall, time.process_time() - cpu


@torch.inference_mode()
def encoder_speed(device: str) -> Table:
    """Seconds a page, and how far the two outputs are apart."""
    torch.set_num_threads(THREADS)
    table = Table(
        "page", "ours", "transformers", "ratio", "CPU, ours", "CPU, transf.", "ratio", "least cosine", title="Seconds a page, bfloat16"
    )
    found = encoders(device)
    for side, runs in SIDES.items():
        pixels = noise(side, device)
        first, second = (encode(pixels).float() for encode in found.values())  # warms both
        cosine = float(torch.cosine_similarity(first, second, -1).min())
        taken = [[clocked(encode, pixels) for encode in found.values()] for _ in range(runs)]
        best = [min(run[place][0] for run in taken) for place in (0, 1)]
        cpu = [statistics.median(run[place][1] for run in taken) for place in (0, 1)]
        cells = [f"{value:.2f}" for value in (*best, best[1] / best[0], *cpu, cpu[1] / cpu[0])]
        table.add_row(f"{side} px", *cells, f"{cosine:.5f}")
    return table


@torch.inference_mode()
def tier_speed(device: str) -> Table:
    """Pages a second at every tier, several at a time where the device has room for them."""
    torch.set_num_threads(THREADS)
    model, at_once = full_size().to(device), 1 if device == "cpu" else 16
    table = Table("tier", "rows", "pages a second", title=f"DeepEncoder, bfloat16, {at_once} at a time")
    for tier in Tier:
        page = page_pixels(Image.effect_noise((tier.side, tier.side), 64), tier)
        taken = [timed(partial(encoded, model, [page] * at_once)) for _ in range(3)]
        table.add_row(tier.label, str(page.rows), f"{at_once * 1000 / min(taken):.2f}")
    return table


def encoded(model: Any, pages: Sequence[PagePixels]) -> float:
    """One number of the rows of several pages, so that a GPU is waited for."""
    return float(model.encode_pages(pages, batch=16)[0][0, 0].item())


def encoder_memory(device: str) -> Table:
    """Peak memory above the weights while a process encodes its first page; the median of three processes."""
    table = Table("page", "ours", "transformers", "ours / theirs", title="Peak MB above the weights, bfloat16")
    for side in SIDES:
        peaks = [statistics.median(measured(which, side, device) for _ in range(PROCESSES)) for which in ("ours", "transformers")]
        table.add_row(f"{side} px", *(f"{peak:,.0f}" for peak in peaks), f"{peaks[0] / peaks[1]:.2f}")
    return table


def measured(which: str, side: int, device: str) -> float:
    """MB, from a fresh process."""
    command = [sys.executable, "-m", "benchmarks.reader", MEMORY, which, str(side), device]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(said.stdout.split()[-1])


@torch.inference_mode()
def peak(which: str, side: int, device: str) -> float:
    """MB that this process takes at most while it encodes one page, above what it holds before."""
    torch.set_num_threads(THREADS)
    [encode] = encoders(device, which).values()
    pixels = noise(side, device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        encode(pixels)
        return (torch.cuda.max_memory_allocated() - held) / 1e6
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # what building left behind is not lent to the page
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again
    before = status("VmRSS")
    encode(pixels)
    return (status("VmHWM") - before) / 1024


def status(name: str) -> int:
    """A line of the kernel's account of this process, in kB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0])


@torch.inference_mode()
def attention(_device: str) -> Table:
    """CPU seconds of one SAM attention over a grid of patches, 12 heads of 64: the ways to bring in the relative positions."""
    torch.set_num_threads(THREADS)
    table = Table("patches", "type", "bias laid out whole", "bias in parts", "folded", title="CPU seconds of one attention, median")
    for dtype in (torch.bfloat16, torch.float32):
        for side in (64, 40):
            q, k, v = (torch.randn(1, 12, side**2, 64, dtype=dtype) for _ in range(3))
            rows, columns = (torch.randn(1, 12, side, side, side, dtype=dtype) for _ in range(2))
            step = max(1, sam.SCORES // (12 * side**3))
            ways = [partial(sam._biased, q, k, v, rows, columns, steps) for steps in (side, step)]
            ways.append(partial(sam._folded, q, k, v, rows, columns, step))
            taken = [[cpu_seconds(way) for way in ways] for _ in range(LAYER_RUNS)]
            medians = [statistics.median(run[place] for run in taken) for place in range(len(ways))]
            table.add_row(f"{side} x {side}", str(dtype).removeprefix("torch."), *(f"{median:.2f}" for median in medians))
    return table


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


@torch.inference_mode()
def parity(_device: str) -> Table:
    """How far apart the two networks are at the published widths, in 32 bits, with 3 of the 12 decoder layers."""
    torch.set_num_threads(THREADS)
    published = DeepseekOcrConfig.published()
    ours = random_model(replace(published, decoder=replace(published.decoder, num_hidden_layers=3)))
    theirs = oracle(ours)
    table = Table("what", "greatest difference", "spread of the values", title="Published widths, 32 bits, random weights")
    for side in SIDES:
        pixels = torch.randn(1, 3, side, side)
        expected = torch.cat(theirs.get_image_features(pixels).pooler_output)
        table.add_row(f"rows at {side} px", *apart(rows_of_ours(ours, pixels), expected))
    ids = torch.randint(2, 100_000, (1, 200))
    table.add_row("scores of 200 tokens", *apart(ours(ours.embed(ids[0])[None]), theirs(input_ids=ids).logits))
    return table


def apart(found: Tensor, expected: Tensor) -> tuple[str, str]:
    """The greatest difference of two tensors, and the standard deviation of the second."""
    return f"{float((found - expected).abs().max()):.1e}", f"{float(expected.std()):.2f}"


SECTIONS: dict[str, Callable[[str], Table]] = {
    "encoder": encoder_speed,
    "tiers": tier_speed,
    "memory": encoder_memory,
    "attention": attention,
    "parity": parity,
    "prefixes": first_token,
    "vision": vision_hit,
}


def main(arguments: Sequence[str] = ()) -> None:
    """Print the sections named, or all."""
    if arguments and arguments[0] == MEMORY:
        print(peak(arguments[1], int(arguments[2]), arguments[3]))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader")
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.sections if name not in SECTIONS]:
        parser.error(f"unknown section {unknown[0]!r}; known: {', '.join(SECTIONS)}")
    console = open_console()
    for name in given.sections or SECTIONS:
        console.print(SECTIONS[name](given.device))


if __name__ == "__main__":
    main(sys.argv[1:])

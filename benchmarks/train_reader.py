"""Train a reader of pages on the output of `optical-memory bulk pairs`: loss on pages that it has not seen, from checkpoint to checkpoint.

    optical-memory bulk pairs words --count 400 --languages en --tiers tiny --renderers pillow --out pairs
    python -m benchmarks.train_reader pairs --out trained --minutes 5

Without `--weights` it trains the tiny DeepSeek-OCR of 300,000 random weights, to show that all of the way works; on a GPU, with the
published weights, it is `--weights deepseek-ocr --device cuda --tier base`. Run again into the same folder, it goes on at its last
checkpoint. Whether a reader looks at its pages at all is told by its loss when each is shown the page of another: it must be larger.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from optical_memory.deepseek_ocr.attention import attention_mask
from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.deepencoder import page_rows
from optical_memory.deepseek_ocr.hub import resolve
from optical_memory.deepseek_ocr.modeling import DeepseekOcrForConditionalGeneration
from optical_memory.deepseek_ocr.processing import page_pixels
from optical_memory.deepseek_ocr.tiny import make_tiny
from optical_memory.deepseek_ocr.tokenization import Tokenizer
from optical_memory.deepseek_ocr.weights import load_model, save_model
from optical_memory.pages.tiers import Tier

PROMPT = "\nFree OCR."  # the published prompt of the task, which stands after the picture
HELD_OUT = 10  # one item in so many is never trained on
CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"
CLIP = 1.0  # largest norm of a gradient
WARM_UP = 50  # steps in which the learning rate rises


@dataclass(frozen=True, slots=True)
class Sample:
    """A page as it is shown, and the words on it."""

    png: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is trained with; a checkpoint belongs to one of these."""

    tier: Tier
    batch: int
    rate: float
    longest: int
    seed: int


def samples(folder: Path, tier: Tier) -> tuple[list[Sample], list[Sample]]:
    """Pairs at a tier: those to train on, and those held out, by a hash of the item, so that no page stands in both."""
    import pyarrow.compute as pc
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(folder / "pairs").to_table(["item", "renderer", "png", "text"], filter=pc.field("tier") == tier.label)
    parts: tuple[list[Sample], list[Sample]] = ([], [])
    for row in sorted(table.to_pylist(), key=lambda row: (row["item"], row["renderer"])):
        digest = hashlib.sha256(row["item"].encode()).digest()
        parts[digest[0] % HELD_OUT == 0].append(Sample(row["png"], row["text"]))
    if not all(parts):
        raise ValueError(f"{str(folder)!r} has too few pages at {tier.label}: make some hundred, with --tiers {tier.label}")
    return parts


class Trainer:
    """A model in training."""

    def __init__(self, model: DeepseekOcrForConditionalGeneration, tokenizer: Tokenizer, settings: Settings) -> None:
        self.model, self.tokenizer, self.settings, self.step = model.train().requires_grad_(True), tokenizer, settings, 0
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=settings.rate, betas=(0.9, 0.95), weight_decay=0.01)

    def train(self, known: Sequence[Sample]) -> float:
        """Take a step; return its loss. Which samples it takes depends on seed and step alone, so that a resumed run takes the same."""
        some = random.Random(f"{self.settings.seed}/{self.step}").sample(known, min(self.settings.batch, len(known)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * min(1.0, (self.step + 1) / WARM_UP)
        loss = self.loss(some, some)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def loss(self, shown: Sequence[Sample], said: Sequence[Sample]) -> Tensor:
        """Mean cross entropy of the words of `said`, in nats a token, when the pages of `shown` are looked at."""
        tier, core = self.settings.tier, self.model.model
        pixels = [page_pixels(Image.open(io.BytesIO(sample.png)), tier, max_tiles=self.model.config.max_tiles) for sample in shown]
        rows = page_rows(pixels, self.model.deep_encoder, core.image_newline, core.view_seperator, batch=len(pixels))
        prompt = self.tokenizer.encode_prompt(PROMPT)
        losses = [self._loss_of_one(page, prompt, sample.text) for page, sample in zip(rows, said, strict=True)]
        return torch.stack(losses).mean()

    def _loss_of_one(self, page: Tensor, prompt: Sequence[int], text: str) -> Tensor:
        answer = [*self.tokenizer.encode(text)[: self.settings.longest], self.tokenizer.eos_id]
        ids = torch.tensor([self.tokenizer.bos_id, *prompt, *answer], device=page.device)
        rows = self.model.model.embed_tokens(ids)  # (T, hidden)
        x = torch.cat([rows[:1], page, rows[1:]])[None]  # (1, 1 + page + T - 1, hidden)
        scores = self._scores(x)[0, -len(answer) - 1 : -1]  # of the token after each position
        return F.cross_entropy(scores.float(), ids[-len(answer) :])

    def _scores(self, x: Tensor) -> Tensor:
        """The decoder as `DeepseekOcrForConditionalGeneration.forward` runs it, which keeps no gradients."""
        core, length = self.model.model, x.shape[1]
        mask = attention_mask(length, 0, window=None, prompt=length, device=x.device)
        angles = core.rotary(torch.arange(length, device=x.device), x.dtype)
        for layer in core.layers:
            x = layer(x, angles, mask, None)
        scores: Tensor = self.model.lm_head(core.norm(x))
        return scores

    @torch.no_grad()
    def test(self, unseen: Sequence[Sample], most: int = 32) -> tuple[float, float]:
        """Loss on unseen pages, each with its own picture, and each with the picture of the next."""
        some = list(unseen[:most])
        turned = [*some[1:], *some[:1]]
        size = self.settings.batch
        starts = range(0, len(some), size)
        own = [float(self.loss(some[at : at + size], some[at : at + size])) for at in starts]
        other = [float(self.loss(turned[at : at + size], some[at : at + size])) for at in starts]
        return sum(own) / len(own), sum(other) / len(other)

    def save(self, folder: Path) -> None:
        """Write a checkpoint in the place of the last one."""
        state = {"step": self.step, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, folder / f"{CHECKPOINT}.new")
        (folder / f"{CHECKPOINT}.new").replace(folder / CHECKPOINT)

    def resume(self, folder: Path) -> bool:
        """Go on at the folder's checkpoint; False without one."""
        if not (folder / CHECKPOINT).exists():
            return False
        state = torch.load(folder / CHECKPOINT, map_location=self.model.device, weights_only=True)
        self.step = int(state["step"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        return True


def opened(weights: str | None, out: Path, device: str, settings: Settings) -> tuple[Trainer, Path]:
    """A trainer of the model asked for, and the folder that the model came from."""
    source = make_tiny(out / "untrained", seed=settings.seed) if weights is None else resolve(weights, "deepseek-ocr")
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    model = load_model(source, dtype=dtype, device=device, config=DeepseekOcrConfig.from_folder(source).full_attention())
    return Trainer(model, Tokenizer.from_folder(source), settings), source


def run(trainer: Trainer, known: list[Sample], unseen: list[Sample], out: Path, *, steps: int, minutes: float, every: int) -> None:
    """Train until the steps are taken or the time is over; a checkpoint and a line of the log now and then."""
    until = time.monotonic() + 60 * minutes
    recent: list[float] = []
    while trainer.step < steps and time.monotonic() < until:
        if trainer.step == 0:
            _log(out, trainer, None, unseen)
        recent.append(trainer.train(known))
        if trainer.step % every == 0:
            _log(out, trainer, sum(recent) / len(recent), unseen)
            trainer.save(out)
            recent.clear()
    trainer.save(out)
    if recent:
        _log(out, trainer, sum(recent) / len(recent), unseen)


def _log(out: Path, trainer: Trainer, trained: float | None, unseen: Sequence[Sample]) -> None:
    own, other = trainer.test(unseen)
    line = {"step": trainer.step, "loss": trained and round(trained, 4), "unseen": round(own, 4), "page_of_another": round(other, 4)}
    print(json.dumps(line), flush=True)
    with (out / LOG).open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> None:
    """Train as asked on the command line, and leave the model in the released format, to be opened by `open_reader`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="folder of a job `bulk pairs`")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and model")
    parser.add_argument("--weights", help="folder or hub id; by default the tiny model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tier", default="tiny")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--longest", type=int, default=48, help="tokens of a page's words that are asked for, from its beginning")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    settings = Settings(Tier.parse(given.tier), given.batch, given.rate, given.longest, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    known, unseen = samples(given.pairs, settings.tier)
    trainer, source = opened(given.weights, given.out, given.device, settings)
    if trainer.resume(given.out):
        print(f"going on at step {trainer.step}")
    print(f"{len(known)} pages to train on, {len(unseen)} held out, {sum(p.numel() for p in trainer.model.parameters()):,} weights")
    run(trainer, known, unseen, given.out, steps=given.steps, minutes=given.minutes, every=given.every)
    save_model(trainer.model.eval(), given.out / "model", random=given.weights is None)
    shutil.copy(source / "tokenizer.json", given.out / "model")


if __name__ == "__main__":
    main()

"""The two ways of SAM's attention, which are one formula."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr import sam
from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig

from .oracle import random_model


def written_out(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, by_row: torch.Tensor, by_column: torch.Tensor) -> torch.Tensor:
    """Attention with the whole bias, in 64 bits."""
    bias = (by_row.unsqueeze(-1) + by_column.unsqueeze(-2)).flatten(4).flatten(2, 3).double()
    scores = q.double() @ k.double().transpose(2, 3) / q.shape[-1] ** 0.5 + bias
    return scores.softmax(-1) @ v.double()


@pytest.mark.parametrize("step", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("attend", [sam._biased, sam._folded])
def test_the_bias_in_parts_is_the_bias_at_once(attend: object, step: int) -> None:
    side, generator = 5, torch.Generator().manual_seed(step)
    q, k, v = (torch.randn(2, 3, side * side, 8, generator=generator) for _ in range(3))
    by_row, by_column = (torch.randn(2, 3, side, side, side, generator=generator) for _ in range(2))
    seen = attend(q, k, v, by_row, by_column, step)  # type: ignore[operator]
    assert float((seen - written_out(q, k, v, by_row, by_column)).abs().max()) < 1e-5
    assert float((seen - written_out(q, k, v, by_column, by_row)).abs().max()) > 0.1  # rows are not columns


@pytest.mark.parametrize("side", [512, 640, 1024])
def test_sixteen_bits_see_the_same_page(side: int) -> None:
    exact = random_model(DeepseekOcrConfig.tiny())
    rough = random_model(DeepseekOcrConfig.tiny()).to(torch.bfloat16)
    pixels = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(side))
    one, other = exact.deep_encoder(pixels), rough.deep_encoder(pixels.to(torch.bfloat16))
    assert float(torch.cosine_similarity(one, other.float(), -1).min()) > 0.999

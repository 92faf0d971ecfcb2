"""Self-attention of the decoder: rotary positions, plain multi-head, full or Unlimited-OCR's reference sliding window."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration import DecoderConfig
from .kv_cache import KVCache

__all__ = ["Rotary", "SelfAttention", "attention_mask"]

Angles = tuple[Tensor, Tensor]


class Rotary(nn.Module):
    """Cosines and sines of rotary positions (RoFormer, arXiv 2104.09864), halves rotated against each other as in Llama."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self._dim, self._theta = config.head_dim, config.rope_theta

    def forward(self, positions: Tensor, dtype: torch.dtype) -> Angles:
        """(T,) positions to two tensors (T, head size)."""
        steps = torch.arange(0, self._dim, 2, dtype=torch.int64, device=positions.device).float() / self._dim
        angles = positions.float()[:, None] * (1.0 / self._theta**steps)
        both = torch.cat([angles, angles], -1)
        return both.cos().to(dtype), both.sin().to(dtype)


def _rotated(x: Tensor, angles: Angles) -> Tensor:
    cos, sin = angles
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def attention_mask(new: int, past: int, *, window: int | None, prompt: int, device: torch.device) -> Tensor | None:
    """Return the mask (new, past + new), True where a new position attends to another; None if causal attention is enough.

    Args:
        window: each position attends to this many, itself included, and to the first `prompt` ones; None for all before it.
    """
    if window is None and (past == 0 or new == 1):
        return None
    rows = torch.arange(past, past + new, device=device)[:, None]
    columns = torch.arange(past + new, device=device)[None, :]
    mask = columns <= rows
    if window is not None:
        mask &= (rows - columns < window) | (columns < prompt)
    return mask


class SelfAttention(nn.Module):
    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.dim = layer, config.head_dim
        width, keys = config.num_attention_heads * self.dim, config.num_key_value_heads * self.dim
        self.grouped = config.num_attention_heads != config.num_key_value_heads
        self.q_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=False)
        self.o_proj = nn.Linear(width, config.hidden_size, bias=False)

    def forward(self, x: Tensor, angles: Angles, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        q, k, v = (proj(x).unflatten(-1, (-1, self.dim)).transpose(1, 2) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k = _rotated(q, angles), _rotated(k, angles)  # (B, heads, T, head size)
        if cache is not None:
            k, v = cache.update(self.layer, k, v)
        causal = mask is None and x.shape[1] > 1
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=self.grouped)
        out: Tensor = self.o_proj(seen.transpose(1, 2).flatten(2))
        return out

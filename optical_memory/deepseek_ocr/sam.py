"""SAM ViT-B with the 16x compressor: the first half of DeepEncoder.

Module names are the published checkpoint's. The relative-position bias of an attention over n x n patches is a table of n^4 entries a
head, 0.8 GB for a page of 1024 px in 32 bits; it is never laid out whole (see `_biased` and `_folded`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration import SamConfig

__all__ = ["SamEncoder", "resized_table"]

# Scores that exist at a time, in all heads: on a CPU the softmax then finds them in the cache (128 queries of a page of 1024 px); a GPU is
# kept busy by more.
SCORES = 12 * 128 * 64**2
SCORES_ELSEWHERE = 12 * 1024 * 64**2


class SamEncoder(nn.Module):
    """(B, 3, S, S) pixels to (B, 1024, S / 64, S / 64) features; S is a multiple of 64."""

    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        width, out = config.hidden_size, config.output_channels
        self.patch_embed = _PatchEmbed(config)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.grid, config.grid, width))
        blocks = (_Block(config, 0 if i in config.global_attn_indexes else config.window_size) for i in range(config.num_hidden_layers))
        self.blocks = nn.ModuleList(blocks)
        self.neck = nn.Sequential(
            nn.Conv2d(width, out, 1, bias=False), _LayerNorm2d(out), nn.Conv2d(out, out, 3, padding=1, bias=False), _LayerNorm2d(out)
        )
        middle, last = config.downsample_channels
        self.net_2 = nn.Conv2d(out, middle, 3, stride=2, padding=1, bias=False)
        self.net_3 = nn.Conv2d(middle, last, 3, stride=2, padding=1, bias=False)

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.patch_embed(pixel_values)  # (B, n, n, width) with n = S / 16
        x = x + resized_table(self.pos_embed, x.shape[1])
        for block in self.blocks:
            x = block(x)
        x = self.neck(x.permute(0, 3, 1, 2))  # (B, 256, n, n)
        compressed: Tensor = self.net_3(self.net_2(x))
        return compressed  # (B, 1024, n / 4, n / 4)


def resized_table(table: Tensor, side: int) -> Tensor:
    """A position table (1, n, n, C) for `side` x `side` positions: antialiased bicubic in 32 bits, as the model was trained with."""
    if table.shape[1] == side:
        return table
    planes = table.permute(0, 3, 1, 2).float()
    planes = F.interpolate(planes, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
    return planes.to(table.dtype).permute(0, 2, 3, 1)


class _PatchEmbed(nn.Module):
    def __init__(self, config: SamConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.hidden_size, config.patch_size, stride=config.patch_size)

    def forward(self, x: Tensor) -> Tensor:
        embedded: Tensor = self.proj(x)
        return embedded.permute(0, 2, 3, 1)


class _LayerNorm2d(nn.Module):
    """Layer norm over the channels of (B, C, H, W), eps 1e-6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), self.weight, self.bias, 1e-6)
        return normed.permute(0, 3, 1, 2)


class _Block(nn.Module):
    """Attention, within windows unless `window` is 0, and an MLP; both normed before and added."""

    def __init__(self, config: SamConfig, window: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attn = _Attention(config, window or config.grid)
        self.norm2 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp = _Mlp(width, config.mlp_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._attended(self.norm1(x))
        mixed: Tensor = x + self.mlp(self.norm2(x))
        return mixed

    def _attended(self, x: Tensor) -> Tensor:
        batch, side, _, width = x.shape
        if not self.window:
            everywhere: Tensor = self.attn(x)
            return everywhere
        pad = -side % self.window
        across = (side + pad) // self.window
        padded = F.pad(x, (0, 0, 0, pad, 0, pad)).view(batch, across, self.window, across, self.window, width)
        windows = padded.transpose(2, 3).reshape(-1, self.window, self.window, width)
        attended = self.attn(windows)
        back = attended.view(batch, across, across, self.window, self.window, width).transpose(2, 3)
        whole: Tensor = back.reshape(batch, side + pad, side + pad, width)
        return whole[:, :side, :side]


class _Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, inner)
        self.lin2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.lin2(F.gelu(self.lin1(x)))
        return mixed


class _Attention(nn.Module):
    """Multi-head attention over an n x n grid with decomposed relative positions:
    score(i, j) = q_i.k_j / sqrt(d) + q_i.Rh[y_i - y_j] + q_i.Rw[x_i - x_j] (MViTv2, arXiv 2112.01526, equation 4).
    """

    def __init__(self, config: SamConfig, table: int) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * table - 1, config.head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * table - 1, config.head_dim))

    def forward(self, x: Tensor) -> Tensor:
        batch, side, _, width = x.shape
        qkv = self.qkv(x).view(batch, side * side, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, n * n, d)
        attended = self._attend(q, k, v, side).transpose(1, 2).reshape(batch, side, side, width)
        out: Tensor = self.proj(attended)
        return out

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, side: int) -> Tensor:
        """Return (B, heads, n * n, d), by the faster method for this type and device (measured; both are exact)."""
        grid = q.reshape(*q.shape[:2], side, side, q.shape[-1])
        by_row = torch.einsum("bhyxd,ykd->bhyxk", grid, _distances(self.rel_pos_h, side))  # (B, heads, n, n, n)
        by_column = torch.einsum("bhyxd,xkd->bhyxk", grid, _distances(self.rel_pos_w, side))
        on_cpu = q.device.type == "cpu"
        scores = SCORES if on_cpu else SCORES_ELSEWHERE
        step = max(1, scores // (q.shape[0] * q.shape[1] * side**3))  # grid rows of queries at a time
        attend = _folded if on_cpu and q.dtype != torch.float32 else _biased
        return attend(q, k, v, by_row, by_column, step)


def _biased(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor, step: int) -> Tensor:
    """Fused attention, some grid rows of queries at a time, so that the bias exists only for them."""
    side = by_row.shape[-1]
    parts = []
    for begin in range(0, side, step):
        bias = by_row[:, :, begin : begin + step].unsqueeze(-1) + by_column[:, :, begin : begin + step].unsqueeze(-2)
        rows = q[:, :, begin * side : (begin + step) * side]
        parts.append(F.scaled_dot_product_attention(rows, k, v, attn_mask=bias.flatten(4).flatten(2, 3)))
    return torch.cat(parts, 2)


def _folded(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor, step: int) -> Tensor:
    """The bias as more channels of queries and keys: [q / sqrt(d) | by row | by column] . [k | y is j | x is j].

    One product gives the whole score, rounded once: in 16 bits that is nearer to exact than adding a rounded bias. Against fused attention
    with a bias it takes 0.4 of the time in bfloat16 on a CPU (AVX-512), and 1.5 times as long in 32 bits.
    """
    batch, heads, length, dim = q.shape
    side = by_row.shape[-1]
    queries = q.new_empty(batch, heads, side, side, dim + 2 * side)  # filled in place: what is put together by cat is copied twice
    queries[..., :dim] = q.reshape(batch, heads, side, side, dim) * dim**-0.5
    queries[..., dim : dim + side], queries[..., dim + side :] = by_row, by_column
    keys = k.new_empty(batch, heads, side, side, dim + 2 * side)
    keys[..., :dim] = k.reshape(batch, heads, side, side, dim)
    ones = torch.eye(side, dtype=k.dtype, device=k.device)
    keys[..., dim : dim + side], keys[..., dim + side :] = ones[:, None], ones
    queries, keys = queries.view(batch, heads, length, -1), keys.view(batch, heads, length, -1).transpose(2, 3)
    chunks, v = torch.split(queries, step * side, 2), v.contiguous()  # once, not per chunk
    return torch.cat([(chunk @ keys).softmax(-1) @ v for chunk in chunks], 2)


def _distances(table: Tensor, side: int) -> Tensor:
    """Rows of a table of relative positions for every pair of `side` positions: (side, side, d); interpolated in 32 bits if need be."""
    if table.shape[0] != 2 * side - 1:
        table = F.interpolate(table.T[None].float(), size=2 * side - 1, mode="linear")[0].T.to(table.dtype)
    places = torch.arange(side, device=table.device)
    return table[places[:, None] - places[None, :] + side - 1]

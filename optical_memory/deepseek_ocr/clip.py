"""CLIP-L over SAM's compressed feature map: the second half of DeepEncoder. Module names are the published checkpoint's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration import ClipConfig
from .sam import resized_table

__all__ = ["ClipEncoder"]


class ClipEncoder(nn.Module):
    """(B, 1024, n, n) features to (B, 1 + n * n, 1024): the class token, then the grid row by row. There is no norm at the end."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.embeddings = _Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)  # the checkpoint's spelling
        self.transformer = _Transformer(config)

    def forward(self, features: Tensor) -> Tensor:
        seen: Tensor = self.transformer(self.pre_layrnorm(self.embeddings(features)))
        return seen


class _Embeddings(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=False)  # in the checkpoint, unused
        self.position_embedding = nn.Embedding(config.grid**2 + 1, width)

    def forward(self, features: Tensor) -> Tensor:
        batch, width, side, _ = features.shape
        patches = features.flatten(2).transpose(1, 2)  # (B, n * n, width)
        tokens = torch.cat([self.class_embedding.expand(batch, 1, width), patches], 1)
        table = self.position_embedding.weight
        grid = round((table.shape[0] - 1) ** 0.5)
        places = resized_table(table[1:].view(1, grid, grid, width), side).reshape(-1, width)
        return tokens + torch.cat([table[:1], places])


class _Transformer(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _Layer(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = _Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = _Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        mixed: Tensor = x + self.mlp(self.layer_norm2(x))
        return mixed


class _Attention(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv_proj = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv_proj(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(attended.transpose(1, 2).reshape(batch, length, width))
        return out


class _Mlp(nn.Module):
    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.fc1(x)
        mixed: Tensor = self.fc2(inner * torch.sigmoid(1.702 * inner))  # "quick" GELU
        return mixed

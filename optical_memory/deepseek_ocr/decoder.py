"""The layers of the decoder. Module names are the published checkpoint's."""

from __future__ import annotations

from torch import Tensor, nn

from .attention import SelfAttention
from .configuration import DecoderConfig
from .kv_cache import KVCache
from .moe import GatedMlp, MixtureOfExperts

__all__ = ["DecoderLayer"]


class DecoderLayer(nn.Module):
    """Attention, then a dense MLP or a mixture of experts; both normed before and added."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = SelfAttention(config, layer)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        dense = layer < config.first_k_dense_replace
        self.mlp = GatedMlp(config.hidden_size, config.intermediate_size) if dense else MixtureOfExperts(config)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], mask: Tensor | None, cache: KVCache | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), angles, mask, cache)
        mixed: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return mixed

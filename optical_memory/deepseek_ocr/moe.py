"""Feed-forward layers of the decoder: dense ones, and mixtures of routed and shared experts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .configuration import DecoderConfig

__all__ = ["GatedMlp", "MixtureOfExperts"]


class GatedMlp(nn.Module):
    """down(silu(gate(x)) * up(x)), without biases."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class _Gate(nn.Module):
    """The router's weights under the checkpoint's name, `mlp.gate.weight`."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(experts, width))

    def forward(self, x: Tensor) -> Tensor:
        """Probabilities of the experts, in 32 bits: (N, experts)."""
        return F.linear(x.float(), self.weight.float()).softmax(-1)


class MixtureOfExperts(nn.Module):
    """Six of 64 routed experts for each token, weighted by the router's probabilities as they are, and two shared ones for all.

    Greedy top-k over a softmax of all experts, without renormalising (`topk_method: greedy`, `norm_topk_prob: false`).
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.moe_intermediate_size
        self.chosen = config.num_experts_per_tok
        self.gate = _Gate(width, config.n_routed_experts)
        self.experts = nn.ModuleList(GatedMlp(width, inner) for _ in range(config.n_routed_experts))
        self.shared_experts = GatedMlp(width, inner * config.n_shared_experts)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])  # (N, width)
        weights, chosen = self.gate(flat).topk(self.chosen, dim=-1)  # (N, k) each
        shared: Tensor = self.shared_experts(flat)
        return (self._routed(flat, weights, chosen) + shared).view_as(x)

    def _routed(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """Tokens sorted by expert, each expert run once on all of its tokens; weighted and added up in 32 bits."""
        order = chosen.flatten().argsort(stable=True)
        counts = chosen.flatten().bincount(minlength=len(self.experts)).tolist()
        gathered = torch.split(x[order // self.chosen], counts)
        done = torch.cat([expert(part) for expert, part in zip(self.experts, gathered, strict=True) if len(part)])
        by_token = torch.empty_like(done).index_copy_(0, order, done).view(*chosen.shape, -1)  # (N, k, width)
        mixed: Tensor = (by_token * weights[..., None]).sum(1)
        return mixed.to(x.dtype)

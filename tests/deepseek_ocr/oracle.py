"""transformers' `unlimited_ocr`, the same network, with the weights of a model of ours: what our numbers are compared with."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.modeling import DeepseekOcrForConditionalGeneration

TABLES = ("rel_pos_h", "rel_pos_w", "pos_embed", "position_embedding.weight")

# Our names, which are the checkpoint's, to transformers'; experts and CLIP's fused projections are taken apart below.
RENAMED: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"^model\.sam_model\.patch_embed\.proj\.", "model.vision_tower.sam_encoder.patch_embed.projection."),
    (r"^model\.sam_model\.blocks\.(\d+)\.norm([12])\.", r"model.vision_tower.sam_encoder.layers.\1.layer_norm\2."),
    (r"^model\.sam_model\.blocks\.", "model.vision_tower.sam_encoder.layers."),
    (r"^model\.sam_model\.neck\.0\.", "model.vision_tower.sam_encoder.neck.conv1."),
    (r"^model\.sam_model\.neck\.1\.", "model.vision_tower.sam_encoder.neck.layer_norm1."),
    (r"^model\.sam_model\.neck\.2\.", "model.vision_tower.sam_encoder.neck.conv2."),
    (r"^model\.sam_model\.neck\.3\.", "model.vision_tower.sam_encoder.neck.layer_norm2."),
    (r"^model\.sam_model\.net_([23])\.", lambda m: f"model.vision_tower.sam_encoder.proj.conv{int(m[1]) - 1}."),
    (r"^model\.sam_model\.", "model.vision_tower.sam_encoder."),
    (r"^model\.vision_model\.transformer\.", "model.vision_tower.vision_encoder.encoder."),
    (r"^model\.vision_model\.", "model.vision_tower.vision_encoder."),
    (r"^model\.projector\.layers\.", "model.multi_modal_projector."),
    (r"^model\.view_seperator$", "model.view_separator"),
    (r"^model\.(embed_tokens|layers|norm)\.", r"model.language_model.\1."),
]


def random_model(config: DeepseekOcrConfig, seed: int = 0) -> DeepseekOcrForConditionalGeneration:
    """A model of normal weights, its position tables too: left at zero they would hide a mistake."""
    torch.manual_seed(seed)
    model = DeepseekOcrForConditionalGeneration(config).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if "norm" in name or "neck.1" in name or "neck.3" in name:
            weight.copy_(1 + 0.1 * torch.randn_like(weight) if name.endswith("weight") else 0.1 * torch.randn_like(weight))
        elif name.endswith(TABLES) or weight.ndim < 2:
            weight.normal_(0, 0.3)
        else:
            weight.normal_(0, weight[0].numel() ** -0.5)
    return model


def oracle(model: DeepseekOcrForConditionalGeneration) -> Any:
    """transformers' model with the same weights; full attention unless ours has a window."""
    from transformers import UnlimitedOcrConfig, UnlimitedOcrForConditionalGeneration

    sam, clip, decoder = model.config.sam, model.config.clip, model.config.decoder
    kind = "full_attention" if decoder.sliding_window is None else "reference_sliding_attention"
    config = UnlimitedOcrConfig(
        image_token_id=model.config.image_token_id,
        vision_config={
            "sam_config": {
                "hidden_size": sam.hidden_size,
                "num_hidden_layers": sam.num_hidden_layers,
                "num_attention_heads": sam.num_attention_heads,
                "mlp_dim": sam.mlp_dim,
                "global_attn_indexes": list(sam.global_attn_indexes),
                "output_channels": sam.output_channels,
                "downsample_channels": list(sam.downsample_channels),
            },
            "encoder_config": {
                "hidden_size": clip.hidden_size,
                "intermediate_size": clip.intermediate_size,
                "num_hidden_layers": clip.num_hidden_layers,
                "num_attention_heads": clip.num_attention_heads,
            },
        },
        text_config={
            "vocab_size": decoder.vocab_size,
            "hidden_size": decoder.hidden_size,
            "intermediate_size": decoder.intermediate_size,
            "moe_intermediate_size": decoder.moe_intermediate_size,
            "num_hidden_layers": decoder.num_hidden_layers,
            "num_attention_heads": decoder.num_attention_heads,
            "num_key_value_heads": decoder.num_key_value_heads,
            "n_routed_experts": decoder.n_routed_experts,
            "n_shared_experts": decoder.n_shared_experts,
            "num_experts_per_tok": decoder.num_experts_per_tok,
            "first_k_dense_replace": decoder.first_k_dense_replace,
            "max_position_embeddings": decoder.max_position_embeddings,
            "layer_types": [kind] * decoder.num_hidden_layers,
            "sliding_window": decoder.sliding_window or 128,
        },
    )
    other: Any = UnlimitedOcrForConditionalGeneration(config)
    other.eval().requires_grad_(False)
    other.load_state_dict(translated(model.state_dict()), strict=True)
    return other


def translated(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under transformers' names. Raises if one of our keys is left over."""
    ours = {name: weight for name, weight in state.items() if "vision_model.embeddings.patch_embedding" not in name}  # unused by both
    out: dict[str, Tensor] = {}
    experts: dict[tuple[str, str], dict[int, Tensor]] = {}
    for name, weight in ours.items():
        for pattern, replacement in RENAMED:
            name, count = re.subn(pattern, replacement, name)
            if count:
                break
        if found := re.fullmatch(r"(.*\.mlp\.experts)\.(\d+)\.(\w+)\.weight", name):
            experts.setdefault((found[1], found[3]), {})[int(found[2])] = weight
        elif "qkv_proj" in name:
            for part, piece in zip("qkv", weight.chunk(3), strict=True):
                out[name.replace("qkv_proj", f"{part}_proj")] = piece
        else:
            out[name] = weight
    for (prefix, kind), parts in experts.items():
        stacked = torch.stack([parts[index] for index in range(len(parts))])
        if kind == "down_proj":
            out[f"{prefix}.down_proj"] = stacked
        elif kind == "gate_proj":
            up = experts[prefix, "up_proj"]
            out[f"{prefix}.gate_up_proj"] = torch.cat([stacked, torch.stack([up[index] for index in range(len(up))])], 1)
    return out

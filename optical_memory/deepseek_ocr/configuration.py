"""Configurations of DeepSeek-OCR and Unlimited-OCR. Defaults are those of the published DeepSeek-OCR (its config.json).

Field names are those of transformers' `unlimited_ocr` configuration if it has them. Both published shapes are read: that of DeepSeek-OCR
(`language_config`, `vision_config.width`) and transformers' own (`text_config`, `vision_config.sam_config`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from ..errors import WeightsMismatch, WeightsNotFound

__all__ = ["ClipConfig", "DecoderConfig", "DeepseekOcrConfig", "Family", "SamConfig"]

Family = Literal["deepseek-ocr", "unlimited-ocr"]
C = TypeVar("C")

SLIDING_WINDOW = 128  # of Unlimited-OCR's decoder
IMAGE_TOKEN = 128815  # `<image>` in the published tokenizer
MOST_TILES: dict[Family, int] = {"deepseek-ocr": 9, "unlimited-ocr": 32}  # of the published inference code
LENGTHS: dict[Family, dict[str, int]] = {
    "deepseek-ocr": {"max_position_embeddings": 8192},
    "unlimited-ocr": {"max_position_embeddings": 32_768, "sliding_window": SLIDING_WINDOW},
}


@dataclass(frozen=True, slots=True)
class SamConfig:
    """SAM ViT-B and the 16x convolutional compressor behind it."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    mlp_dim: int = 3072
    image_size: int = 1024
    patch_size: int = 16
    window_size: int = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    output_channels: int = 256
    downsample_channels: tuple[int, int] = (512, 1024)
    layer_norm_eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def grid(self) -> int:
        """Patches a side at `image_size`: the size of the position tables."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """CLIP-L, with SAM's compressed feature map as input instead of its own patches."""

    hidden_size: int = 1024
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    image_size: int = 224
    patch_size: int = 14
    layer_norm_eps: float = 1e-5

    @property
    def grid(self) -> int:
        """Positions a side of the position table: 16."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """DeepSeek-3B-MoE: plain multi-head attention, the first layers dense, the others of routed and shared experts.

    Attributes:
        sliding_window: each token attends to this many tokens before it, and to the whole prompt (Unlimited-OCR's reference sliding
            attention); None for full attention.
    """

    vocab_size: int = 129280
    hidden_size: int = 1280
    intermediate_size: int = 6848
    moe_intermediate_size: int = 896
    num_hidden_layers: int = 12
    num_attention_heads: int = 10
    num_key_value_heads: int = 10
    n_routed_experts: int = 64
    n_shared_experts: int = 2
    num_experts_per_tok: int = 6
    first_k_dense_replace: int = 1
    max_position_embeddings: int = 8192
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10_000.0
    sliding_window: int | None = None
    bos_token_id: int = 0
    eos_token_id: int = 1

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


@dataclass(frozen=True, slots=True)
class DeepseekOcrConfig:
    """A whole model.

    Attributes:
        image_token_id: placeholder that a page's vision tokens replace.
        max_tiles: most tiles of a Gundam page.
    """

    family: Family = "deepseek-ocr"
    sam: SamConfig = field(default_factory=SamConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    image_token_id: int = IMAGE_TOKEN

    def __post_init__(self) -> None:
        if self.sam.downsample_channels[-1] != self.clip.hidden_size:
            raise ValueError(
                f"SAM gives {self.sam.downsample_channels[-1]} channels, CLIP takes {self.clip.hidden_size}: they must be equal"
            )

    @property
    def max_position_embeddings(self) -> int:
        """Positions of the decoder."""
        return self.decoder.max_position_embeddings

    @property
    def sliding_window(self) -> int | None:
        return self.decoder.sliding_window

    @property
    def max_tiles(self) -> int:
        return MOST_TILES[self.family]

    @property
    def projector_input(self) -> int:
        """Channels that the projector takes: CLIP's and SAM's side by side, 2048."""
        return self.clip.hidden_size + self.sam.downsample_channels[-1]

    @classmethod
    def published(cls, family: Family = "deepseek-ocr") -> Self:
        """Return the configuration as released. Unlimited-OCR has four times the positions, and a sliding window (see `full_attention`)."""
        return cls(family=family, decoder=DecoderConfig(**LENGTHS[family]))

    @classmethod
    def tiny(cls, family: Family = "deepseek-ocr", *, vocab_size: int = 1024, image_token_id: int = 1000) -> Self:
        """Return the same structure a thousand times smaller, for tests; it cannot read."""
        sam = SamConfig(
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=2,
            mlp_dim=64,
            global_attn_indexes=(1, 3),
            output_channels=16,
            downsample_channels=(24, 32),
        )
        clip = ClipConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        decoder = DecoderConfig(
            vocab_size=vocab_size,
            hidden_size=64,
            intermediate_size=96,
            moe_intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=4,
            n_routed_experts=8,
            num_experts_per_tok=2,
            **LENGTHS[family],
        )
        return cls(family=family, sam=sam, clip=clip, decoder=decoder, image_token_id=image_token_id)

    def full_attention(self) -> Self:
        """Return the same model with full attention, which reused prefixes need: with a window their values would differ."""
        return replace(self, decoder=replace(self.decoder, sliding_window=None))

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read `config.json`. Raises `WeightsNotFound` without one, `WeightsMismatch` if it is that of another model."""
        path = folder / "config.json"
        try:
            return cls.from_dict(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            raise WeightsNotFound(f"no config.json in {str(folder)!r}; a model's folder holds it beside model*.safetensors") from None
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise WeightsMismatch(f"{str(path)!r} does not describe a DeepSeek-OCR or Unlimited-OCR model: {exc}") from exc

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Self:
        """Parse the contents of a published `config.json`. Raises `ValueError` for another architecture."""
        language = given.get("language_config") or given.get("text_config")
        vision = given.get("vision_config")
        if not language or not vision:
            raise ValueError("it has no 'language_config' (or 'text_config') and 'vision_config'")
        if language.get("use_mla"):
            raise ValueError("its decoder uses multi-head latent attention ('use_mla'), DeepSeek-OCR's does not")
        unlimited = "unlimited" in str(given.get("model_type", "")) or any(
            "Unlimited" in str(name) for name in given.get("architectures", ())
        )
        decoder = dict(language)
        if decoder.get("sliding_window") is None:
            decoder["sliding_window"] = given.get("sliding_window", SLIDING_WINDOW if unlimited else None)
        if "rope_parameters" in decoder:
            decoder["rope_theta"] = (decoder["rope_parameters"] or {}).get("rope_theta", 10_000.0)
        sam, clip = _vision_parts(vision)
        return cls(
            family="unlimited-ocr" if unlimited else "deepseek-ocr",
            sam=_known(SamConfig, sam),
            clip=_known(ClipConfig, clip),
            decoder=_known(DecoderConfig, decoder),
            image_token_id=given.get("image_token_id", IMAGE_TOKEN),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the contents of a `config.json` in the published shape, with all defaults written out."""
        sam, clip = asdict(self.sam), asdict(self.clip)
        named = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}
        width = {
            "sam_vit_b": {short: sam.pop(long) for short, long in named.items()} | sam,
            "clip-l-14-224": {short: clip.pop(long) for short, long in named.items()} | clip,
        }
        unlimited = self.family == "unlimited-ocr"
        return {
            "architectures": ["UnlimitedOCRForCausalLM" if unlimited else "DeepseekOCRForCausalLM"],
            "model_type": "unlimited-ocr" if unlimited else "deepseek_vl_v2",
            "image_token_id": self.image_token_id,
            "language_config": asdict(self.decoder) | {"use_mla": False, "topk_method": "greedy", "n_group": 1, "topk_group": 1},
            "projector_config": {"projector_type": "linear", "input_dim": self.projector_input, "n_embed": self.decoder.hidden_size},
            "vision_config": {"model_name": "deeplip_b_l", "model_type": "vision", "image_size": self.sam.image_size, "width": width},
        }


def _vision_parts(vision: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return SAM's and CLIP's fields, under transformers' names."""
    if "width" not in vision:
        return dict(vision.get("sam_config") or {}), dict(vision.get("encoder_config") or {})
    renamed = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}
    parts = [vision["width"].get(name, {}) for name in ("sam_vit_b", "clip-l-14-224")]
    sam, clip = ({renamed.get(key, key): value for key, value in part.items()} for part in parts)
    return sam, clip


def _known(kind: type[C], given: dict[str, Any]) -> C:
    """Make a configuration from the fields that it has; ignores others."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    taken = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if name in names}
    return kind(**taken)

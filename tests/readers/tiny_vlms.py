"""Tiny vision-language models of transformers with random weights, their tokenizers and image processors, made by code."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TEXT = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
}
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
GLM = ("<|endoftext|>", "<|user|>", "<|im_end|>", "<|begin_of_image|>", "<|end_of_image|>", "<|image|>", "<|video|>")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'image' %}@START@@IMAGE@@END@{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(names: tuple[str, ...], template: str | None) -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    inner.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    made.chat_template = template
    return made


def named(names: tuple[str, ...], template: str = TEMPLATE) -> tuple[Any, dict[str, int]]:
    start, end, image = names[3], names[4], names[5]
    made = tokenizer(names, template.replace("@START@", start).replace("@END@", end).replace("@IMAGE@", image))
    ids = {name: made.convert_tokens_to_ids(name) for name in names}
    special = {
        "image_token_id": ids[image],
        "video_token_id": ids[names[6]],
        "vision_start_token_id": ids[start],
        "vision_end_token_id": ids[end],
        "image_start_token_id": ids[start],
        "image_end_token_id": ids[end],
    }
    return made, special


def ready(model: Any, made: Any, image_processor: Any) -> dict[str, Any]:
    torch.manual_seed(5)
    for weight in model.parameters():
        weight.data.normal_(0, 0.3 if weight.ndim < 2 else 2 * weight[0].numel() ** -0.5)
    return {"model": model.eval(), "tokenizer": made, "image_processor": image_processor}


def qwen3_vl() -> dict[str, Any]:
    made, special = named(QWEN)
    vision = {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 48,
        "deepstack_visual_indexes": [0, 1],
    }
    vision |= {"num_position_embeddings": 64, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2}
    text = {**TEXT, "vocab_size": len(made), "rope_parameters": {**MROPE, "mrope_interleaved": True}}
    taken = {name: special[name] for name in ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")}
    config = transformers.Qwen3VLConfig(vision_config=vision, text_config=text, **taken)
    processor = transformers.Qwen2VLImageProcessorPil(patch_size=16, size={"shortest_edge": 1024, "longest_edge": 2**24})
    return ready(transformers.Qwen3VLForConditionalGeneration(config), made, processor)


def qwen2_5_vl() -> dict[str, Any]:
    made, special = named(QWEN)
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 48, "fullatt_block_indexes": [1]}
    text = {**TEXT, "vocab_size": len(made), "rope_parameters": MROPE}
    taken = {name: special[name] for name in ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")}
    config = transformers.Qwen2_5_VLConfig(vision_config=vision, text_config=text, **taken)
    processor = transformers.Qwen2VLImageProcessorPil(patch_size=14, size={"shortest_edge": 3136, "longest_edge": 2**24})
    return ready(transformers.Qwen2_5_VLForConditionalGeneration(config), made, processor)


def glm4v() -> dict[str, Any]:
    made, special = named(GLM)
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 48, "image_size": 112}
    text = {**TEXT, "vocab_size": len(made), "rope_parameters": {**MROPE, "partial_rotary_factor": 1.0}}
    text["pad_token_id"] = made.pad_token_id
    taken = {name: special[name] for name in ("image_token_id", "video_token_id", "image_start_token_id", "image_end_token_id")}
    config = transformers.Glm4vConfig(vision_config=vision, text_config=text, **taken)
    processor = transformers.Glm4vImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 2**24})
    return ready(transformers.Glm4vForConditionalGeneration(config), made, processor)


def internvl() -> dict[str, Any]:
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    made, special = named(names, TEMPLATE.replace("@START@", "").replace("@END@", ""))
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "image_size": [112, 112]}
    text = {**TEXT, "model_type": "qwen2", "vocab_size": len(made)}
    config = transformers.InternVLConfig(vision_config=vision, text_config=text, image_token_id=special["image_token_id"])
    size = {"height": 112, "width": 112}
    processor = transformers.GotOcr2ImageProcessorPil(size=size, crop_to_patches=True, max_patches=4)
    return ready(transformers.InternVLForConditionalGeneration(config), made, processor)


def deepseek_ocr2() -> dict[str, Any]:
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|a|>", "<|b|>", "<image>", "<|c|>")
    made, special = named(names)
    made.chat_template = None
    sam = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 64, "global_attn_indexes": [1]}
    sam |= {"output_channels": 16, "downsample_channels": [24, 32]}
    encoder = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    text = {"vocab_size": len(made), "hidden_size": 48, "intermediate_size": 64, "moe_intermediate_size": 24, "num_hidden_layers": 2}
    text |= {"mlp_layer_types": ["dense", "sparse"], "max_position_embeddings": 8192}
    text |= {"num_attention_heads": 4, "num_key_value_heads": 4, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2}
    vision = {"sam_config": sam, "encoder_config": encoder}
    config = transformers.DeepseekOcr2Config(vision_config=vision, text_config=text, image_token_id=special["image_token_id"])
    return ready(transformers.DeepseekOcr2ForConditionalGeneration(config), made, transformers.DeepseekOcr2ImageProcessorPil())


IMAGE_ALONE = TEMPLATE.replace("@START@", "").replace("@END@", "")
SIGLIP = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def gemma3() -> dict[str, Any]:
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
    made = tokenizer(names, IMAGE_ALONE.replace("@IMAGE@", names[3]))
    for name, token in {"boi_token": names[3], "eoi_token": names[4], "image_token": names[5]}.items():
        setattr(made, name, token)
        setattr(made, f"{name}_id", made.convert_tokens_to_ids(token))
    vision = {**SIGLIP, "image_size": 112, "patch_size": 14}
    text = {**TEXT, "vocab_size": len(made), "sliding_window": 4096}
    config = transformers.Gemma3Config(
        vision_config=vision,
        text_config=text,
        mm_tokens_per_image=16,
        image_token_id=made.image_token_id,
        boi_token_index=made.boi_token_id,
        eoi_token_index=made.eoi_token_id,
    )
    processor = transformers.Gemma3ImageProcessorPil(size={"height": 112, "width": 112})
    return ready(transformers.Gemma3ForConditionalGeneration(config), made, processor)


def _idefics(kind: str) -> dict[str, Any]:
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<global-img>", "<image>", "<end_of_utterance>")
    made = tokenizer((*names, *tiles), IMAGE_ALONE.replace("@IMAGE@", "<image>"))
    vision = {**SIGLIP, "image_size": 64, "patch_size": 8}
    text = {**TEXT, "model_type": "llama", "vocab_size": len(made), "pad_token_id": made.pad_token_id}
    text["max_position_embeddings"] = 8192
    classes = {name: getattr(transformers, f"{kind}{name}") for name in ("Config", "ForConditionalGeneration", "ImageProcessorPil")}
    config = classes["Config"](
        vision_config=vision, text_config=text, scale_factor=2, image_token_id=made.convert_tokens_to_ids("<image>"), pad_token_id=0
    )
    processor = classes["ImageProcessorPil"](size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    return ready(classes["ForConditionalGeneration"](config), made, processor)


def idefics3() -> dict[str, Any]:
    return _idefics("Idefics3")


def smolvlm() -> dict[str, Any]:
    return _idefics("SmolVLM")


def _pixtral(config: Any, model: Any, **more: Any) -> dict[str, Any]:
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    made = tokenizer(names, IMAGE_ALONE.replace("@IMAGE@", "[IMG]"))
    vision = {**SIGLIP, "model_type": "pixtral", "image_size": 140, "patch_size": 14, "head_dim": 16, "num_channels": 3}
    text = {**TEXT, "model_type": "mistral", "vocab_size": len(made)}
    found = config(
        vision_config=vision, text_config=text, image_token_id=made.convert_tokens_to_ids("[IMG]"), vision_feature_layer=-1, **more
    )
    processor = transformers.PixtralImageProcessorPil(size={"longest_edge": 140}, patch_size={"height": 14, "width": 14})
    return ready(model(found), made, processor)


def mistral3() -> dict[str, Any]:
    return _pixtral(transformers.Mistral3Config, transformers.Mistral3ForConditionalGeneration, spatial_merge_size=2)


def pixtral() -> dict[str, Any]:
    return _pixtral(transformers.LlavaConfig, transformers.LlavaForConditionalGeneration, vision_feature_select_strategy="full")


class Tiles:
    """Stands in for Llama 4's image processor, which needs torchvision: as many whole tiles of 56 px as a picture has, then the whole."""

    SIDE = 56

    def to_dict(self) -> dict[str, Any]:
        return {"side": self.SIDE}

    def __call__(self, images: list[Image.Image], return_tensors: str) -> dict[str, Any]:
        seen = [self._tiles(image) for image in images]
        return {"pixel_values": torch.cat([tiles for _, tiles in seen]), "aspect_ratios": torch.tensor([grid for grid, _ in seen])}

    def _tiles(self, image: Image.Image) -> tuple[tuple[int, int], torch.Tensor]:
        across, down = (min(max(length // self.SIDE, 1), 3) for length in image.size)
        whole = image.resize((across * self.SIDE, down * self.SIDE))
        places = [(column * self.SIDE, row * self.SIDE) for row in range(down) for column in range(across)]
        cut = [whole.crop((left, top, left + self.SIDE, top + self.SIDE)) for left, top in places]
        cut += [image.resize((self.SIDE, self.SIDE))] if len(cut) > 1 else []
        return (down, across), torch.stack([torch.tensor(list(tile.tobytes())).view(self.SIDE, self.SIDE, 3) for tile in cut]).permute(
            0, 3, 1, 2
        ) / 127.5 - 1


def llama4() -> dict[str, Any]:
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_start|>", "<|image_end|>", "<|image|>", "<|patch|>")
    made = tokenizer((*names, "<|tile_x_separator|>", "<|tile_y_separator|>"), IMAGE_ALONE.replace("@IMAGE@", "<|image|>"))
    vision = {**SIGLIP, "image_size": Tiles.SIDE, "patch_size": 14, "vision_output_dim": 40, "intermediate_size": 128}
    vision |= {"projector_input_dim": 40, "projector_output_dim": 40, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    text = {**TEXT, "vocab_size": len(made), "intermediate_size_mlp": 64, "num_local_experts": 2, "max_position_embeddings": 8192}
    config = transformers.Llama4Config(vision_config=vision, text_config=text, image_token_index=made.convert_tokens_to_ids("<|patch|>"))
    return ready(transformers.Llama4ForConditionalGeneration(config), made, Tiles())


MAKERS = {
    "qwen3-vl": qwen3_vl,
    "qwen2.5-vl": qwen2_5_vl,
    "glm-4v": glm4v,
    "internvl": internvl,
    "deepseek-ocr-2": deepseek_ocr2,
    "gemma3": gemma3,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "mistral3": mistral3,
    "pixtral": pixtral,
}

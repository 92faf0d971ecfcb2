from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from safetensors.torch import load_file, save_file

from optical_memory.deepseek_ocr.configuration import DeepseekOcrConfig
from optical_memory.deepseek_ocr.tiny import make_tiny
from optical_memory.deepseek_ocr.weights import INDEX, SINGLE, digest, is_random, load_model, save_model
from optical_memory.errors import WeightsMismatch, WeightsNotFound


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("weights") / "model")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def rewrite(folder: Path, change: dict[str, torch.Tensor | None]) -> None:
    """Save the weights again, some of them replaced or (None) left out."""
    state = load_file(folder / SINGLE) | {name: weight for name, weight in change.items() if weight is not None}
    save_file({name: weight for name, weight in state.items() if change.get(name, 0) is not None}, folder / SINGLE)


def test_the_names_are_the_release_s(made: Path) -> None:
    """A sample of the keys that the published code gives its modules."""
    names = set(load_file(made / SINGLE))
    for name in (
        "model.embed_tokens.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.1.mlp.gate.weight",
        "model.layers.2.mlp.experts.7.down_proj.weight",
        "model.layers.1.mlp.shared_experts.up_proj.weight",
        "model.layers.0.self_attn.o_proj.weight",
        "model.layers.2.post_attention_layernorm.weight",
        "model.norm.weight",
        "model.sam_model.pos_embed",
        "model.sam_model.patch_embed.proj.bias",
        "model.sam_model.blocks.0.attn.rel_pos_h",
        "model.sam_model.blocks.3.mlp.lin2.weight",
        "model.sam_model.neck.3.weight",
        "model.sam_model.net_3.weight",
        "model.vision_model.embeddings.class_embedding",
        "model.vision_model.embeddings.patch_embedding.weight",
        "model.vision_model.embeddings.position_embedding.weight",
        "model.vision_model.pre_layrnorm.bias",
        "model.vision_model.transformer.layers.1.self_attn.qkv_proj.weight",
        "model.vision_model.transformer.layers.0.mlp.fc1.bias",
        "model.projector.layers.weight",
        "model.image_newline",
        "model.view_seperator",
        "lm_head.weight",
    ):
        assert name in names


def test_sizes_of_the_published_model() -> None:
    """Counts of the published release, and the unused 14 x 14 patch embedding that its file holds."""
    from optical_memory.deepseek_ocr.modeling import DeepseekOcrForConditionalGeneration

    with torch.device("meta"):
        model = DeepseekOcrForConditionalGeneration(DeepseekOcrConfig.published())
    assert sum(weight.numel() for weight in model.parameters()) == 3_335_504_128 + 602_112
    assert sum(weight.numel() for weight in model.deep_encoder.parameters()) == 401_369_600
    assert len(model.state_dict()) == len(list(model.parameters()))


def test_weights_come_back(made: Path, tmp_path: Path) -> None:
    model = load_model(made, dtype=torch.float32)
    assert not any(weight.is_meta or weight.requires_grad for weight in model.parameters())
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in model.state_dict().items())
    assert again.config == model.config


def test_every_wrong_key_is_named(folder: Path) -> None:
    rewrite(folder, {"model.norm.weight": None, "model.image_newline": torch.zeros(7), "model.extra.weight": torch.zeros(1)})
    with pytest.raises(WeightsMismatch) as caught:
        load_model(folder)
    assert "1 missing: model.norm.weight" in str(caught.value)
    assert "1 unexpected: model.extra.weight" in str(caught.value)
    assert "1 misshapen: model.image_newline [7] instead of [64]" in str(caught.value)


def test_many_wrong_keys_are_counted(folder: Path) -> None:
    described = json.loads((folder / "config.json").read_text("utf-8"))
    described["language_config"]["n_routed_experts"] = 12
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(WeightsMismatch, match=r"24 missing: .* and 12 more; 2 misshapen"):
        load_model(folder)


def test_buffers_that_hold_nothing_learned_are_passed_over(folder: Path) -> None:
    rewrite(folder, {"model.vision_model.embeddings.position_ids": torch.arange(257)[None]})
    load_model(folder)


def test_shards_by_their_index(folder: Path) -> None:
    state = load_file(folder / SINGLE)
    names = sorted(state)
    files = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, some in files.items():
        save_file({name: state[name] for name in some}, folder / file)
    (folder / SINGLE).unlink()
    index = {"weight_map": {name: file for file, some in files.items() for name in some}}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert len(load_model(folder).state_dict()) == len(names)
    (folder / "two.safetensors").unlink()
    with pytest.raises(WeightsNotFound, match=r"no two\.safetensors in .*models pull"):
        load_model(folder)


def test_a_cut_off_file(folder: Path) -> None:
    whole = (folder / SINGLE).read_bytes()
    (folder / SINGLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsMismatch, match="cannot be read"):
        load_model(folder)


def test_the_config_of_another_model(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(WeightsMismatch, match="language_config"):
        load_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsNotFound, match=r"no config\.json"):
        load_model(folder)


@pytest.mark.parametrize("family", ["deepseek-ocr", "unlimited-ocr"])
def test_a_configuration_comes_back(family: str) -> None:
    for config in (DeepseekOcrConfig.published(family), DeepseekOcrConfig.tiny(family)):  # type: ignore[arg-type]
        assert DeepseekOcrConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_published_files_are_read() -> None:
    """What the two releases' config.json hold, in their own shape, and transformers' shape of the second."""
    language = {"hidden_size": 1280, "num_hidden_layers": 12, "use_mla": False, "max_position_embeddings": 8192, "first_k_dense_replace": 1}
    sam = {"downsample_channels": [512, 1024], "global_attn_indexes": [2, 5, 8, 11], "heads": 12, "layers": 12, "width": 768}
    clip = {"heads": 16, "image_size": 224, "layers": 24, "patch_size": 14, "width": 1024}
    vision = {"image_size": 1024, "width": {"sam_vit_b": sam, "clip-l-14-224": clip}}
    first = DeepseekOcrConfig.from_dict({"model_type": "deepseek_vl_v2", "language_config": language, "vision_config": vision})
    assert first == DeepseekOcrConfig.published()
    language = language | {"max_position_embeddings": 32768}
    second = DeepseekOcrConfig.from_dict({"model_type": "unlimited-ocr", "language_config": language, "vision_config": vision})
    assert second == DeepseekOcrConfig.published("unlimited-ocr")
    transformers = pytest.importorskip("transformers", minversion="5.20", reason="the vlm extra is not installed")
    assert DeepseekOcrConfig.from_dict(transformers.UnlimitedOcrConfig().to_dict()) == second


def test_the_digest_follows_the_weights(folder: Path, made: Path) -> None:
    before = digest(folder)
    assert digest(made) == before
    state = load_file(folder / SINGLE)
    rewrite(folder, {"lm_head.weight": state["lm_head.weight"] + 1})
    assert digest(folder) != before


def test_a_tiny_model_is_random_and_reproducible(made: Path, tmp_path: Path) -> None:
    assert is_random(made)
    assert "random" in (made / "RANDOM.txt").read_text("utf-8")
    make_tiny(tmp_path / "same")
    make_tiny(tmp_path / "other", seed=1)
    assert (tmp_path / "same" / SINGLE).read_bytes() == (made / SINGLE).read_bytes() != (tmp_path / "other" / SINGLE).read_bytes()
    assert sum(file.stat().st_size for file in made.iterdir()) < 5_000_000
    state = load_file(made / SINGLE)
    assert all(state[name].abs().sum() > 0 for name in state if "rel_pos" in name or "pos_embed" in name)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("x")
    with pytest.raises(FileExistsError, match="not empty"):
        make_tiny(tmp_path / "taken")

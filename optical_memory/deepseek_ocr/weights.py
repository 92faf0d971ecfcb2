"""Load weights from the published safetensors files into a model, strictly, and save them.

Both releases use the original code's names of the network, which are those of our modules. Their index files were not available: a key
that differs is named in the error.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingExtra, WeightsMismatch, WeightsNotFound
from .configuration import DeepseekOcrConfig

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .modeling import DeepseekOcrForConditionalGeneration

__all__ = ["digest", "is_random", "load_model", "load_part", "save_model"]

INDEX = "model.safetensors.index.json"
SINGLE = "model-00001-of-000001.safetensors"  # the name that the release has
RANDOM_MARK = "random_weights"  # in the config.json of a model with random weights, which cannot read
# Buffers that some versions of the original code saved; they hold counted positions and frequencies, nothing learned.
COMPUTED = ("model.vision_model.embeddings.position_ids", "rotary_emb.inv_freq")
NAMED = 12  # keys of each kind that an error lists
SAMPLED, SAMPLE = 64, 4096  # positions sampled for a file's digest, and bytes at each


def load_model(
    folder: Path, *, dtype: torch.dtype | None = None, device: str = "cpu", config: DeepseekOcrConfig | None = None
) -> DeepseekOcrForConditionalGeneration:
    """Load the model of a folder, ready for inference.

    Args:
        dtype: type that the weights are converted to while read; unchanged by default.
        config: replaces the folder's `config.json`.

    Raises `WeightsNotFound`, `MissingExtra`, and `WeightsMismatch` with missing, unexpected and misshapen keys.
    """
    try:
        import torch
        from safetensors import SafetensorError
    except ImportError as exc:
        raise MissingExtra("the DeepSeek-OCR reader", "deepseek") from exc
    from .modeling import DeepseekOcrForConditionalGeneration

    config = config or DeepseekOcrConfig.from_folder(folder)
    with torch.device("meta"):
        model = DeepseekOcrForConditionalGeneration(config)
    expected = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    try:
        state = dict(_tensors(folder, device))
    except SafetensorError as exc:
        raise WeightsMismatch(f"a weight file in {str(folder)!r} cannot be read: {exc}; fetch it again") from exc
    _compare(expected, {name: tuple(weight.shape) for name, weight in state.items()}, folder)
    for name in state:
        state[name] = state[name].to(dtype or state[name].dtype)
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def load_part(module: nn.Module, folder: Path, *, dtype: torch.dtype, device: str = "cpu") -> None:
    """Load those weights of a folder that a part of the network has, under the same names; the others are not read.

    Args:
        module: made on the device `meta`; ready for inference afterwards.

    Raises `WeightsNotFound`, and `WeightsMismatch` with missing and misshapen keys.
    """
    from safetensors import SafetensorError

    expected = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
    try:
        state = {name: tensor.to(dtype) for name, tensor in _tensors(folder, device, expected)}
    except SafetensorError as exc:
        raise WeightsMismatch(f"a weight file in {str(folder)!r} cannot be read: {exc}; fetch it again") from exc
    _compare(expected, {name: tuple(weight.shape) for name, weight in state.items()}, folder)
    module.load_state_dict(state, strict=True, assign=True)
    module.eval().requires_grad_(False)


def save_model(model: DeepseekOcrForConditionalGeneration, folder: Path, *, random: bool = False) -> None:
    """Write config.json, one safetensors file and its index, in the released format."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    described = model.config.to_dict() | ({RANDOM_MARK: True} if random else {})
    folder.joinpath("config.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    state = {name: weight.contiguous() for name, weight in model.state_dict().items()}
    save_file(state, folder / SINGLE, metadata={"format": "pt"})
    total = sum(weight.nbytes for weight in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict.fromkeys(state, SINGLE)}
    folder.joinpath(INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_random(folder: Path) -> bool:
    """Whether the model's config.json marks its weights as random."""
    try:
        return bool(json.loads(folder.joinpath("config.json").read_text("utf-8")).get(RANDOM_MARK))
    except (OSError, ValueError):
        return False


def digest(folder: Path) -> str:
    """Hash the weights and configuration of a folder to sixteen hexadecimal digits, for cache keys of results computed with them.

    Covers each file's name, size, header and 64 samples, not every byte: a change of a few weights in place may be missed; another
    training run, a conversion or a damaged header is not.
    """
    files = _shards(folder)
    whole = hashlib.sha256(folder.joinpath("config.json").read_bytes() if folder.joinpath("config.json").exists() else b"")
    for path in files:
        status = path.stat()
        whole.update(_sampled(str(path.resolve()), status.st_size, status.st_mtime_ns))
    return whole.hexdigest()[:16]


@lru_cache(maxsize=64)
def _sampled(path: str, size: int, _modified: int) -> bytes:
    summary = hashlib.sha256(f"{Path(path).name} {size}".encode())
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(8), "little")
        summary.update(file.read(min(header, size)))
        for place in range(SAMPLED):
            file.seek(size * place // SAMPLED)
            summary.update(file.read(SAMPLE))
    return summary.digest()


def _shards(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder. Raises `WeightsNotFound`, naming what is missing."""
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as exc:
            raise WeightsMismatch(f"{str(index)!r} is no index of weights: {exc}") from exc
        files = [folder / Path(name).name for name in names]  # an index may not point outside its folder
    else:
        files = sorted(folder.glob("*.safetensors"))
    absent = [path.name for path in files if not path.is_file()]
    if absent or not files:
        what = f"{absent[0]} and {len(absent) - 1} more" if len(absent) > 1 else absent[0] if absent else "*.safetensors"
        raise WeightsNotFound(f"no {what} in {str(folder)!r}. Fetch the model with: optical-memory models pull deepseek-ocr")
    return files


def _tensors(folder: Path, device: str, wanted: Container[str] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a folder by name; those that are `wanted`, if given."""
    from safetensors import safe_open

    for path in _shards(folder):
        with safe_open(path, framework="pt", device=device) as file:
            for name in file.keys():  # noqa: SIM118 - no mapping
                if not name.endswith(COMPUTED) and (wanted is None or name in wanted):
                    yield name, file.get_tensor(name)


def _compare(expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]], folder: Path) -> None:
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} {list(found[name])} instead of {list(shape)}" for name, shape in expected.items() if found.get(name, shape) != shape
    ]
    kinds = [("missing", missing), ("unexpected", unexpected), ("misshapen", misshapen)]
    if any(names for _, names in kinds):
        said = "; ".join(f"{len(names)} {kind}: {_listed(names)}" for kind, names in kinds if names)
        raise WeightsMismatch(f"the weights in {str(folder)!r} do not fit the model that their config.json describes: {said}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

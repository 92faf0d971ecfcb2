"""The output of a transformers vision tower as named tensors for a cache, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ..errors import ReaderError
from .vision_cache import Payload

__all__ = ["GRID", "LAYOUT", "identity_of", "joined", "rows_of", "taken_apart"]

GRID = "image_grid_thw"  # cached with it: patches of a picture in time, height and width, needed for positions
LAYOUT = "layout"  # cached with it: numbers that tell which tokens stand between its rows
LIST, OF_LAYERS = "[]", "[{}][]"  # names in a payload: one tensor for each picture; the same for each layer
PASSED_OVER = ("last_hidden_state", "hidden_states", "attentions")  # of an encoder's output; no decoder uses them


def identity_of(model: Any, image_processor: Any) -> str:
    """Sixteen hexadecimal digits that stand for a model's weights, their type and how it prepares pictures.

    Hashes name, type, shape and 24 values (first, middle, last eight) of every parameter: another training run changes them, an edit of a
    few weights may be missed.
    """
    whole = hashlib.sha256(json.dumps(image_processor.to_dict(), sort_keys=True, default=str).encode())
    for name, weight in model.named_parameters():
        flat = weight.detach().flatten()
        middle = max(0, flat.numel() // 2 - 4)
        some = [part.float().cpu().numpy().tobytes() for part in (flat[:8], flat[middle : middle + 8], flat[-8:])]
        whole.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode() + b"".join(some))
    return whole.hexdigest()[:16]


def taken_apart(seen: Any, output: str = "pooler_output") -> dict[str, Any]:
    """An encoder's output for one picture as named tensors.

    Args:
        output: the name of what the decoder takes, if it is another.
    """
    payload: dict[str, Any] = {}
    for name, value in seen.items():
        if (name in PASSED_OVER and name != output) or name.startswith("local_") or value is None:
            continue
        if not isinstance(value, list | tuple):
            payload[name] = value
        elif isinstance(value[0], list | tuple):
            payload |= {name + OF_LAYERS.format(layer): pictures[0] for layer, pictures in enumerate(value)}
        else:
            payload[name + LIST] = value[0]
    return payload


def joined(payloads: Sequence[Payload], device: Any) -> Any:
    """The encoder's output for several pictures, put together as the model's own would be."""
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    whole: dict[str, Any] = {}
    layers: dict[str, dict[int, Any]] = {}
    for name in payloads[0]:
        values = tuple(payload[name].to(device) for payload in payloads)
        bare, _, layer = name.removesuffix(LIST).partition("[")
        if layer:
            layers.setdefault(bare, {})[int(layer.rstrip("]"))] = values
        elif name not in (GRID, LAYOUT):
            whole[bare] = values if name.endswith(LIST) else torch.cat(values)
    whole |= {name: [found[layer] for layer in sorted(found)] for name, found in layers.items()}  # a shelf keeps no order
    seen = BaseModelOutputWithPooling(pooler_output=whole.pop("pooler_output", None))
    for name, value in whole.items():
        setattr(seen, name, value)  # what this kind of model has beside it: features of deeper layers
    return seen


def rows_of(payload: Payload, output: str = "pooler_output") -> int:
    """Placeholders that a picture takes: rows of what the decoder is given."""
    rows = payload.get(output + LIST, payload.get(output))
    if rows is None:
        raise ReaderError(f"the encoder gave {sorted(payload)} and no {output!r}; this model cannot be read with")
    return int(rows.shape[:-1].numel())

"""What stands for a picture in a prompt: the placeholders of its rows, and the tokens that a model's own processor puts around and between.

Each function gives texts and numbers; a number is so many placeholders. After the processor classes of transformers, which need not be
installed with all they depend on; the tests compare them token by token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ReaderError
from .prompts import READ_PAGE

__all__ = ["Family", "family_of"]

Marks = list[str | int]


def _plain(config: Any, tokenizer: Any, layout: Sequence[int], rows: int) -> Marks:
    return [rows]


def _internvl(config: Any, tokenizer: Any, layout: Sequence[int], rows: int) -> Marks:
    return ["<img>", rows, "</img>"]


def _gemma3(config: Any, tokenizer: Any, layout: Sequence[int], rows: int) -> Marks:
    start, end = (tokenizer.convert_ids_to_tokens(token) for token in (config.boi_token_index, config.eoi_token_index))
    return [f"\n\n{start}", rows, f"{end}\n\n"]


def _idefics3(config: Any, tokenizer: Any, layout: Sequence[int], rows: int) -> Marks:
    """Tiles in rows, each with its place, then the whole picture; `layout` is the rows and columns of tiles, 0 and 0 for none."""
    down, across = layout
    each = rows // (down * across + 1)
    marks: Marks = []
    for row in range(down):
        for column in range(across):
            marks += [f"<fake_token_around_image><row_{row + 1}_col_{column + 1}>", each]
        marks.append("\n")
    return [*marks, ("\n" if marks else "") + "<fake_token_around_image><global-img>", each, "<fake_token_around_image>"]


def _pixtral(config: Any, tokenizer: Any, layout: Sequence[int], rows: int) -> Marks:
    """Rows with a break after each; `layout` is the picture's height and width in pixels."""
    side = _merged_patch(config)
    down, across = (length // side for length in layout)
    if down * across != rows:
        raise ReaderError(f"the vision tower gave {rows} rows for a picture of {down} x {across} patches; this model cannot be read with")
    marks: Marks = [piece for _ in range(down) for piece in (across, "[IMG_BREAK]")]
    return [*marks[:-1], "[IMG_END]"]


def _llama4(config: Any, tokenizer: Any, layout: Sequence[int], rows: int) -> Marks:
    """Tiles in rows with separators, then the whole picture; `layout` is the rows and columns of tiles, 1 and 1 for a single one."""
    down, across = layout
    tiles = down * across
    each = rows // (tiles + 1 if tiles > 1 else 1)
    marks: Marks = ["<|image_start|>"]
    for _ in range(down if tiles > 1 else 0):
        marks += [piece for _ in range(across) for piece in (each, "<|tile_x_separator|>")]
        marks[-1] = "<|tile_y_separator|>"
    return [*marks, "<|image|>", each, "<|image_end|>"]


def _merged_patch(config: Any) -> int:
    """Pixels of the square that becomes one placeholder."""
    return int(config.vision_config.patch_size * (getattr(config, "spatial_merge_size", None) or 1))


def _fit_to_patches(config: Any) -> dict[str, Any]:
    """Sides in whole merged patches, as the processor class asks for. Of its own, the image processor goes by single ones: 518 of 512 px
    with a patch of 14, 37 patches a side, of which the merger drops the last row and column.
    """
    return {"patch_size": {"height": _merged_patch(config), "width": _merged_patch(config)}}


def _template_image(config: Any, tokenizer: Any) -> str:
    return str(tokenizer.convert_ids_to_tokens(config.image_token_id))


@dataclass(frozen=True, slots=True)
class Family:
    """What a model family needs that its own files do not say.

    Attributes:
        marks: what stands for a picture, from the model's config, its tokenizer, the picture's layout and its number of rows.
        layout: from the image processor's output for one picture, numbers that `marks` needs.
        options: options of its image processor for every page.
        small, large: for pages at Tiny and Small, and at Base and Large; empty where the size is enough.
        marker: what its chat template writes for a picture.
        prompt: its own prompt for reading a page.
        output: what its decoder takes of the encoder's output.
    """

    marks: Callable[[Any, Any, Sequence[int], int], Marks] = _plain
    layout: Callable[[Mapping[str, Any]], list[int]] | None = None
    options: Callable[[Any], dict[str, Any]] = lambda config: {}
    small: Mapping[str, Any] = field(default_factory=dict)
    large: Mapping[str, Any] = field(default_factory=dict)
    marker: Callable[[Any, Any], str] = _template_image
    prompt: str = READ_PAGE
    output: str = "pooler_output"


_IDEFICS = Family(
    marks=_idefics3,
    layout=lambda pixels: [int(pixels["rows"][0][0]), int(pixels["cols"][0][0])],
    options=lambda config: {"return_row_col_info": True},
)
_PIXTRAL = Family(marks=_pixtral, layout=lambda pixels: [int(side) for side in pixels["image_sizes"][0]], options=_fit_to_patches)
_FAMILIES = {
    "internvl": Family(marks=_internvl),
    "gemma3": Family(marks=_gemma3, marker=lambda config, tokenizer: str(tokenizer.convert_ids_to_tokens(config.boi_token_index))),
    "idefics3": _IDEFICS,
    "smolvlm": _IDEFICS,
    "mistral3": _PIXTRAL,
    "llava/pixtral": _PIXTRAL,
    "llama4": Family(
        marks=_llama4,
        layout=lambda pixels: [int(number) for number in pixels["aspect_ratios"][0]],
        marker=lambda config, tokenizer: "<|image|>",
        output="last_hidden_state",  # the projector is its decoder's
    ),
    # One view of 768 px (144 rows and a separator) or 1024 px (256), which without crops is what it calls the tile; tiles for Gundam alone.
    "deepseek_ocr2": Family(
        small={"crop_to_patches": False, "tile_size": 768},
        large={"crop_to_patches": False, "tile_size": 1024},
        prompt="Free OCR.",
    ),
}


def family_of(config: Any) -> Family:
    """The family of a model by its config."""
    vision = getattr(getattr(config, "vision_config", None), "model_type", "")
    return _FAMILIES.get(f"{config.model_type}/{vision}") or _FAMILIES.get(config.model_type) or Family()

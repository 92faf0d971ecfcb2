"""Measure what pictures cost a model: send pictures of known sizes, compare the usage that comes back with the known rules."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from statistics import median
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra, ReaderError
from ..profiles.formulas import FlatFormula, PatchFormula, PictureFormula, RowFormula
from ..profiles.profile import ReaderProfile
from ..profiles.registry import load_profiles, profile_for_model
from ..text.excerpts import excerpt
from ..text.token_count import open_counter

if TYPE_CHECKING:
    import httpx

__all__ = ["Probed", "probe_prices"]

SIZES = ((256, 256), (512, 512), (672, 672), (1024, 1024), (1092, 1092), (512, 2048), (1152, 1536))  # tell the known rules apart
TEXT = "The train leaves at 9:41 from platform 4, and the ticket costs 38.50 euros. " * 40
NEAR = 0.02  # of a picture's tokens: as near as published formulas come to what is billed
MARKERS = 32  # most tokens around a picture that a chat template or a gateway adds, the same for each


@dataclass(frozen=True, slots=True)
class Probed:
    """What a provider billed.

    Attributes:
        profile: one with which its pictures cost what was billed.
        like: the profile whose rule fits; empty if none does, so that the dearest picture counts for all.
        pictures: tokens billed for each size, width and height in pixels.
        expected: the same by the profile that was known for the model; empty without one.
        text: billed tokens for each token that our count of a text gives.
    """

    profile: ReaderProfile
    like: str
    pictures: dict[tuple[int, int], int]
    expected: dict[tuple[int, int], int]
    text: float


def probe_prices(model: str, url: str, *, api_key: str | None = None, timeout: float = 60.0) -> Probed:
    """Ask an OpenAI-compatible server (`url` ends before `/chat/completions`) for the usage of one text and of pictures of known sizes.

    Sends nine requests that ask for one word. Raises `MissingExtra`; `ReaderError` for a server that cannot be reached, refuses, or reports
    no usage.
    """
    try:
        import httpx
    except ImportError as exc:
        raise MissingExtra("a probe of prices", "serving") from exc
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=timeout) as client:
        plain = _billed(client, model, [])
        text = _billed(client, model, [{"type": "text", "text": TEXT}]) - plain
        pictures = {size: _billed(client, model, [_picture(*size)]) - plain for size in SIZES}
    if min(pictures.values()) < 1:
        raise ReaderError(f"{model!r} at that server reports no tokens for pictures: it may not count them, or not see them")
    known = profile_for_model(model)
    like, formula = _fitting(pictures, known)
    expected = {size: known.picture_tokens(*size) for size in pictures} if known else {}
    counter = open_counter(known.encoding if known else None)
    return Probed(_profile(model, like, formula, known), like, pictures, expected, text / counter.count(TEXT))


def _billed(client: httpx.Client, model: str, content: list[dict[str, Any]]) -> int:
    import httpx

    asked = [{"role": "user", "content": [{"type": "text", "text": "Answer with OK."}, *content]}]
    try:
        answer = client.post("chat/completions", json={"model": model, "messages": asked})  # a limit has two names
        if answer.is_error:
            said = answer.text.replace(client.headers.get("authorization", "").removeprefix("Bearer ") or "\0", "***")
            raise ReaderError(f"{model!r}: the server answered {answer.status_code}: {excerpt(said, 200)}")
        usage = answer.json().get("usage") or {}
    except (httpx.HTTPError, ValueError) as exc:
        raise ReaderError(f"{model!r}: no answer that can be read: {type(exc).__name__}") from exc
    if not isinstance(usage.get("prompt_tokens"), int):
        raise ReaderError(f"{model!r}: the server reports no usage, so there is nothing to compare")
    return int(usage["prompt_tokens"])


def _picture(width: int, height: int) -> dict[str, Any]:
    from PIL import Image

    packed = BytesIO()
    Image.new("RGB", (width, height), "white").save(packed, "PNG")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"}}


def _fitting(billed: Mapping[tuple[int, int], int], known: ReaderProfile | None) -> tuple[str, PictureFormula]:
    """The known rule, the model's own first, that is near all of what was billed; else the dearest picture for all."""
    profiles = [*([known] if known else []), *load_profiles().values()]
    for profile in profiles:
        differences = {size: tokens - profile.picture_tokens(*size) for size, tokens in billed.items()}
        around = min(MARKERS, max(0, round(median(differences.values()))))
        if all(abs(differences[size] - around) <= max(1, NEAR * tokens) for size, tokens in billed.items()):
            extra = {"extra": profile.formula.extra + around} if isinstance(profile.formula, PatchFormula | RowFormula) else {}
            return profile.name, profile.formula.model_copy(update=extra)
    return "", FlatFormula(tokens=max(billed.values()))


def _profile(model: str, like: str, formula: PictureFormula, known: ReaderProfile | None) -> ReaderProfile:
    today = datetime.now(UTC).date().isoformat()
    base = load_profiles()[like] if like else known
    said = f"the rule of {like} fits" if like else "no known rule fits: the dearest counts for all, and no page is sent"
    fields = {name: getattr(base, name) for name in type(base).model_fields} if base else {"name": model}
    fields |= {} if like else {"rungs": {}, "allow": (), "page": None}
    return ReaderProfile(
        **fields
        | {
            "name": re.sub(r"[^a-z0-9.]+", "-", model.lower()).strip("-"),
            "as_of": today[:7],
            "source": f"probed on {today}: usage of {len(SIZES)} pictures; {said}",
            "models": (re.escape(model.lower().replace("_", "-")),),
            "dialects": ("openai",),
            "formula": formula,
        }
    )

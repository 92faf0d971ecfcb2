"""`optical-memory cost`: what a picture or a text costs a reader."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .transfer import AsJson

if TYPE_CHECKING:
    from ..pages.tiers import Tier
    from ..profiles.profile import ReaderProfile

__all__ = ["PictureCost", "RungCost", "TextCost", "cost", "picture_cost", "text_cost"]

NOT_FOUND = 3
CHARACTERS_A_TOKEN = 4  # of English prose; JSON and code 2.5 to 3


@dataclass(frozen=True, slots=True)
class RungCost:
    """A picture at one rung: the pixels sent, those that the server makes of them (None where it does not say), and the price."""

    tier: str
    sent: tuple[int, int]
    server_size: tuple[int, int] | None
    tokens: int
    setting: str
    default: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class PictureCost:
    """A picture, as it is and at every rung. `text_tokens` is what a text costs that it is compared with, if any."""

    file: str
    reader: str
    as_of: str
    size: tuple[int, int]
    server_size: tuple[int, int] | None
    tokens: int
    rungs: tuple[RungCost, ...]
    text_tokens: int | None = None
    kind: str = "picture"

    @property
    def shrunk(self) -> bool:
        """Whether the server makes it smaller than rounding to its patches would."""
        return self.server_size is not None and max(self.server_size) < 0.96 * max(self.size)


@dataclass(frozen=True, slots=True)
class TextCost:
    """A text file. `counted_with` says what counted, and whether that is the reader's own tokenizer."""

    file: str
    reader: str
    as_of: str
    characters: int
    tokens: int
    counted_with: str
    kind: str = "text"


def cost(
    files: Annotated[list[str], typer.Argument(help="PNG or JPEG pictures, or text files.")],
    reader: Annotated[str, typer.Option("--reader", envvar="OPTICAL_MEMORY_READER", help="A reader, or a model's name.")] = "deepseek-ocr",
    characters: Annotated[
        int | None, typer.Option(help="Compare the picture with a text of so many characters, 4 to a token.", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what pictures cost a reader, as they are and at every rung of its ladder, or what text files cost it."""
    profile = _profile(reader)
    costs = [_cost(name, profile, characters) for name in files]
    if as_json:
        print(json.dumps([_plain(item) for item in costs], ensure_ascii=False))
        return
    for place, item in enumerate(costs):
        if place:
            print()
        _print_text(item) if isinstance(item, TextCost) else _print_picture(item, characters)


def picture_cost(name: str, size: tuple[int, int], profile: ReaderProfile, characters: int | None = None) -> PictureCost:
    """What a picture of `size` costs a reader."""
    return PictureCost(
        file=name,
        reader=profile.name,
        as_of=profile.as_of,
        size=size,
        server_size=profile.formula.seen_size(*size),
        tokens=profile.picture_tokens(*size),
        rungs=tuple(_rung_cost(profile, tier, size) for tier in profile.rungs),
        text_tokens=-(-characters // CHARACTERS_A_TOKEN) if characters else None,
    )


def text_cost(name: str, text: str, profile: ReaderProfile) -> TextCost:
    """What a text costs a reader."""
    from ..text.token_count import open_counter

    counter = open_counter(profile.encoding)
    if profile.encoding is None:
        counted = f"{counter.name}, which is not the tokenizer of {profile.name}: an estimate"
    else:
        counted = f"an estimate of {profile.encoding} that errs high" if counter.name == "estimate" else counter.name
    return TextCost(name, profile.name, profile.as_of, len(text), counter.count(text), counted)


def _rung_cost(profile: ReaderProfile, tier: Tier, size: tuple[int, int]) -> RungCost:
    rung, sent = profile.rung(tier), profile.shown_size(*size, tier)
    asked = rung.media_resolution or rung.detail
    name = "media_resolution" if rung.media_resolution else "detail"
    seen = (512, 512) if rung.detail == "low" else profile.formula.seen_size(*sent)
    if profile.formula.kind == "deepseek" and not profile.formula.always_tiled:
        seen = sent  # the encoder takes a tier as it is
    return RungCost(
        tier=tier.label,
        sent=sent,
        server_size=seen,
        tokens=profile.page_tokens(*size, tier),
        setting=f"{name}={asked}" if asked else "",
        default=tier in profile.ladder,
        evidence=rung.evidence,
    )


def _profile(reader: str) -> ReaderProfile:
    from ..errors import UnknownName
    from ..profiles.registry import profile_for_model, profile_of

    try:
        return profile_of(reader)
    except UnknownName:
        if found := profile_for_model(reader):
            return found
        raise


def _cost(name: str, profile: ReaderProfile, characters: int | None) -> PictureCost | TextCost:
    from PIL import Image

    path = Path(name)
    if not path.exists():
        print(f"optical-memory: no file {name!r}", file=sys.stderr)
        raise SystemExit(NOT_FOUND)
    if path.is_dir():
        raise ValueError(f"{name!r} is a folder; pass files")
    data = path.read_bytes()
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as opened:
            return picture_cost(name, opened.size, profile, characters)
    except (OSError, SyntaxError):  # Pillow's words for bytes that are no picture, or a broken one
        pass
    except Image.DecompressionBombError as exc:
        raise ValueError(f"{name!r}: {exc}") from exc
    try:
        return text_cost(name, data.decode("utf-8-sig"), profile)
    except UnicodeDecodeError as exc:
        raise ValueError(f"{name!r} is neither a PNG or JPEG picture nor text in UTF-8") from exc


def _plain(item: PictureCost | TextCost) -> dict[str, Any]:
    return asdict(item) | ({"shrunk": item.shrunk} if isinstance(item, PictureCost) else {})


def _print_text(item: TextCost) -> None:
    print(f"{item.file}: {item.tokens:,} tokens as text of {item.characters:,} characters for {item.reader} (as of {item.as_of})")
    print(f"counted with {item.counted_with}")


def _print_picture(item: PictureCost, characters: int | None) -> None:
    from .output import rungs_table

    print(f"{item.file}: {_pixels(item.size)}, {item.tokens:,} tokens for {item.reader} as it is (as of {item.as_of})")
    if item.shrunk and item.server_size:
        print(f"the server shrinks it to {_pixels(item.server_size)}")
    elif item.server_size and item.server_size != item.size:
        print(f"the server rounds it to {_pixels(item.server_size)}")
    elif item.server_size is None:
        print("whether the server shrinks it is not published")
    if item.text_tokens is not None:
        print(f"as text of {characters:,} characters about {item.text_tokens:,} tokens: {_verdict(item.tokens, item.text_tokens)}")
    rows = [
        (
            rung.tier,
            _pixels(rung.sent),
            _pixels(rung.server_size) if rung.server_size else "?",
            f"{rung.tokens:,}",
            _verdict(rung.tokens, item.text_tokens) if item.text_tokens else "",
            "yes" if rung.default else "no",
            "; ".join(word for word in (rung.setting, rung.evidence) if word),
        )
        for rung in item.rungs
    ]
    rungs_table(rows, compared=item.text_tokens is not None)


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"


def _verdict(tokens: int, text_tokens: int) -> str:
    if tokens < text_tokens:
        return f"{text_tokens / tokens:.1f}x cheaper"
    return "the same" if tokens == text_tokens else f"{tokens / text_tokens:.1f}x dearer"

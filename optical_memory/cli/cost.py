"""`optical-memory cost`: what a picture or a text costs a reader."""

from __future__ import annotations

import os
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..profiles.picture_costs import PictureCost, TextCost, picture_cost, text_cost
from .options import API_KEY, NOT_FOUND, AsJson, print_json, stop

if TYPE_CHECKING:
    from ..profiles.profile import ReaderProfile

__all__ = ["cost"]


def cost(
    files: Annotated[list[str] | None, typer.Argument(help="PNG or JPEG pictures, or text files.")] = None,
    reader: Annotated[str, typer.Option("--reader", envvar="OPTICAL_MEMORY_READER", help="A reader, or a model's name.")] = "deepseek-ocr",
    characters: Annotated[
        int | None, typer.Option(help="Compare the picture with a text of so many characters, 4 to a token.", min=1)
    ] = None,
    probe: Annotated[
        str | None, typer.Option(help="Ask this model at --url what pictures cost, and write a profile. Costs some 10,000 tokens.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="An OpenAI-compatible API, up to /v1.")] = None,
    out: Annotated[Path, typer.Option(help="The file for the profile that --probe makes.", dir_okay=False)] = Path("profile.toml"),
    as_json: AsJson = False,
) -> None:
    """Say what pictures cost a reader, as they are and at every rung of its ladder, or what text files cost it.

    With --probe, measure it: nine requests to a model, whose key is taken from the environment variable OPTICAL_MEMORY_API_KEY.
    """
    if probe is not None:
        _probe(probe, url, out, as_json=as_json)
        return
    if not files:
        raise ValueError("name pictures or text files, or a model with --probe MODEL --url URL")
    profile = _profile(reader)
    costs = [_cost(name, profile, characters) for name in files]
    if as_json:
        print_json([_plain(item) for item in costs])
        return
    for place, item in enumerate(costs):
        if place:
            print()
        _print_text(item) if isinstance(item, TextCost) else _print_picture(item, characters)


def _probe(model: str, url: str | None, out: Path, *, as_json: bool) -> None:
    from ..calibration.price_probe import probe_prices
    from ..calibration.verdict import write_profile

    if not url:
        raise ValueError("--probe needs --url: the address of the API, such as https://api.openai.com/v1")
    found = probe_prices(model, url, api_key=os.environ.get(API_KEY))
    write_profile(out, found.profile)
    if as_json:
        pictures = [{"size": size, "billed": tokens, "expected": found.expected.get(size)} for size, tokens in found.pictures.items()]
        print_json({"model": model, "like": found.like, "pictures": pictures, "text": round(found.text, 3), "profile": str(out)})
        return
    for size, tokens in found.pictures.items():
        known = f", {found.expected[size]:,} expected" if found.expected else ""
        print(f"{_pixels(size)}: {tokens:,} tokens billed{known}")
    print(f"text: {found.text:.2f} tokens billed for each that is counted here")
    print(f"the rule of {found.like} fits" if found.like else "no known rule fits: pages stay text")
    print(f"use it with OPTICAL_MEMORY_PROFILES={out}")


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
        stop(f"no file {name!r}", NOT_FOUND)
    if path.is_dir():
        raise ValueError(f"{name!r} is a folder; pass files")
    data = path.read_bytes()
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG")) as opened:
            return picture_cost(name, opened.size, profile, characters)
    except (OSError, SyntaxError):  # Pillow raises these for bytes that are not a picture, or a broken one
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
    from .tables import rungs_table

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

"""The command `export-pages`: files or a diff as pages in a folder, to attach to any chat by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..text.plurals import counted
from .options import FAILED, NOT_FOUND, AsJson, Reader, Renderer, print_json, stop

__all__ = ["export_pages"]


def export_pages(
    out: Annotated[Path, typer.Option(help="Folder for the pages; it must be empty or missing.", file_okay=False)],
    files: Annotated[list[str] | None, typer.Argument(help="Text files in UTF-8.")] = None,
    git: Annotated[bool, typer.Option("--git", help="What differs from a revision in the Git repository here.")] = False,
    revision: Annotated[str, typer.Option(help="The revision for --git.")] = "HEAD",
    stdin: Annotated[bool, typer.Option("--stdin", help="The text on standard input.")] = False,
    tier: Annotated[str | None, typer.Option(help="Tier of the pictures.", show_default="full size")] = None,
    reader: Reader = "deepseek-ocr",
    renderer: Renderer = "auto",
    redact: Annotated[bool, typer.Option("--redact/--no-redact", envvar="OPTICAL_MEMORY_REDACT", help="Mask secrets.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write files, or a diff, as page images with their exact strings, a manifest, and a prompt to paste beside them."""
    from dataclasses import asdict

    from ..exports import LeftOut, NamedText, diff_of, export_pages
    from ..exports import files as read_files
    from ..exports.sources import text_of
    from .output import note, progress

    if bool(files) + git + stdin != 1:
        raise ValueError("pass either files, --git or --stdin")
    texts: list[NamedText] = []
    left_out: list[LeftOut] = []
    if files:
        try:
            texts, left_out = read_files(files)
        except FileNotFoundError as exc:
            stop(str(exc), NOT_FOUND)
    elif git:
        texts = diff_of(revision=revision)
        if not texts:
            stop(f"nothing differs from {revision!r}", NOT_FOUND)
    elif (given := text_of(sys.stdin.buffer.read())) and given.strip():
        texts = [NamedText("standard input", given)]
    else:
        stop("standard input has no text in UTF-8", FAILED)
    for each in left_out:
        note(f"left out, {each.why}: {each.name!a}")
    with progress("drawing", None) as advance:
        done = export_pages(texts, out, left_out=left_out, reader=reader, tier=tier, renderer=renderer, redact=redact, drawn=advance)
    if as_json:
        print_json(asdict(done) | {"folder": str(out)})
    else:
        print(
            f"{counted(done.pages, 'page')} in {out}: {done.vision_tokens:,} vision tokens and {done.prompt_tokens:,} for the prompt",
            end="",
        )
        print(f", {done.text_tokens:,} as text. Attach the pages in order and paste prompt.txt.")
    if done.vision_tokens + done.prompt_tokens > done.text_tokens:
        note("for this reader the pages cost more than the text: paste the text, or try --tier small")

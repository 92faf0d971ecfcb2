"""Encode and decode page records. Images are stored apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

from ..errors import SessionCorrupted
from ..pages.page import Box, Page, Reference, Segment
from ..pages.sheet import Sheet
from ..pages.tiers import Tier
from ..text.excerpts import excerpt
from ..text.labels import label_text
from ..turns.attachments import ImageLoad

__all__ = ["decode_pages", "encode_pages"]

VERSION = 1


def encode_pages(pages: Sequence[Page]) -> bytes:
    """Encode the records of a run of pages."""
    return json.dumps({"v": VERSION, "pages": [_to_json(page) for page in pages]}, separators=(",", ":")).encode("ascii")


def decode_pages(data: bytes, *, boxes: bool = True) -> list[Page]:
    """Decode the pages of a record, without their index. Raises `SessionCorrupted` for a damaged record or an unknown version.

    Args:
        boxes: False leaves out the boxes of segments, which are most of the work.
    """
    try:
        record = json.loads(data)
        if (version := record["v"]) == VERSION:
            return [_from_json(page, boxes=boxes) for page in record["pages"]]
    except (ValueError, KeyError, TypeError):  # not as a cause: it would quote what the page holds
        version = VERSION
    if version != VERSION:
        raise SessionCorrupted(f"page record of version {excerpt(version)}; this release reads version {VERSION}: upgrade optical-memory")
    raise SessionCorrupted(f"unreadable page record of {len(data)} bytes; pages can be rebuilt: delete it from the store's cache")


def _to_json(page: Page) -> dict[str, object]:
    return {
        "key": page.key,
        "size": [page.width, page.height],
        "tokens": page.text_tokens,
        "sidecar": page.sidecar,
        "importance": page.importance,
        "said": page.last_said and page.last_said.isoformat(),
        "fill": round(page.fill, 4),
        "missing": page.missing_glyphs,
        "canvas": page.canvas,
        "pictures": astuple(page.pictures),
        "same": [astuple(reference) for reference in page.same_as],
        **({"section": page.section} if page.section else {}),
        **({"sheet": astuple(page.sheet)} if page.sheet else {}),
        "segments": [
            [segment.turn, segment.continued, segment.continues, [[box.left, box.top, box.width, box.height] for box in segment.boxes]]
            for segment in page.segments
        ],
    }


def _from_json(fields: dict[str, Any], *, boxes: bool) -> Page:
    width, height = fields["size"]
    said = fields["said"]
    segments = tuple(
        Segment(turn, tuple(Box(*box) for box in each) if boxes else (), continued, continues)
        for turn, continued, continues, each in fields["segments"]
    )
    return Page(
        key=str(fields["key"]),
        index=0,
        segments=segments,
        text_tokens=int(fields["tokens"]),
        sidecar=tuple(label_text(str(string)) for string in fields["sidecar"]),
        width=width,
        height=height,
        importance=float(fields["importance"]),
        last_said=datetime.fromisoformat(str(said)) if said else None,
        fill=float(fields["fill"]),
        missing_glyphs=int(fields["missing"]),
        canvas=int(fields.get("canvas", 0)),  # records of the first releases have none
        pictures=ImageLoad(*fields.get("pictures", ())),  # absent from records of earlier releases
        same_as=tuple(Reference(*map(int, reference)) for reference in fields.get("same", ())),
        section=int(fields.get("section", 0)),
        sheet=_sheet(*fields["sheet"]) if "sheet" in fields else None,
    )


def _sheet(name: str, number: int, of: int, kind: str, floor: int, letter: float) -> Sheet:
    return Sheet(label_text(str(name)), int(number), int(of), str(kind), Tier(floor), float(letter))

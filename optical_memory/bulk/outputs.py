"""What a job leaves in its folder: Parquet with pages, vision tokens, readings; safetensors; Markdown.

Every batch writes its own part. Together the parts of a kind are one table: `pyarrow.dataset.dataset(folder / "pages")` reads them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra
from .items import PageImage, Pages, safe_path
from .stages import Written

if TYPE_CHECKING:
    import pyarrow

    from .encoding import EncodedItem
    from .reading import ReadItem

__all__ = ["Nothing", "WriteMarkdown", "WritePages", "WriteReadings", "WriteTokens", "arrow", "write_table"]

PAGES, READINGS, TOKENS, INDEX, MARKDOWN = "pages", "readings", "tokens", "index", "markdown"


def arrow() -> Any:
    """pyarrow. Raises `MissingExtra`."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as exc:
        raise MissingExtra("Parquet", "bulk") from exc
    return pyarrow


@dataclass(frozen=True, slots=True)
class WritePages:
    """`pages/part-N.parquet`: a row for each page, with its picture, boxes and exact strings."""

    tier: str = ""

    def write(self, records: Sequence[Pages], folder: Path, name: str) -> Written:
        rows = [{"item": item.key, "tier": self.tier, **_page_row(page)} for item in records for page in item.pages]
        return write_table(folder, f"{PAGES}/{name}.parquet", rows, _page_schema())


def _page_row(page: PageImage) -> dict[str, Any]:
    segments = [
        {
            "turn": segment.turn,
            "role": role,
            "continued": segment.continued,
            "continues": segment.continues,
            "boxes": [[box.left, box.top, box.width, box.height] for box in segment.boxes],
        }
        for segment, role in zip(page.segments, page.roles, strict=True)
    ]
    return {
        "page": page.index,
        "key": page.page_key,
        "png": page.png,
        "width": page.width,
        "height": page.height,
        "canvas": page.canvas,
        "text_tokens": page.text_tokens,
        "missing_glyphs": page.missing_glyphs,
        "sidecar": list(page.sidecar),
        "segments": segments,
    }


def _page_schema() -> pyarrow.Schema:
    pa = arrow()
    segment = [("turn", pa.int64()), ("role", pa.string()), ("continued", pa.bool_()), ("continues", pa.bool_())]
    segment.append(("boxes", pa.list_(pa.list_(pa.int32(), 4))))
    whole = ("page", "width", "height", "canvas", "text_tokens", "missing_glyphs")
    fields = {name: pa.int32() for name in whole} | {"item": pa.string(), "tier": pa.string(), "key": pa.string(), "png": pa.binary()}
    fields |= {"sidecar": pa.list_(pa.string()), "segments": pa.list_(pa.struct(segment))}
    order = ("item", "page", "tier", "key", "png", "width", "height", "canvas", "text_tokens", "missing_glyphs", "sidecar", "segments")
    return pa.schema([(name, fields[name]) for name in order])


@dataclass(frozen=True, slots=True)
class WriteTokens:
    """`tokens/part-N.safetensors` with a tensor for each page, and `index/part-N.parquet`, which says where each is."""

    def write(self, records: Sequence[EncodedItem], folder: Path, name: str) -> Written:
        pa = arrow()
        from .encoding import save_rows

        path, tensors, rows = f"{TOKENS}/{name}.safetensors", dict[str, Any](), list[dict[str, Any]]()
        for item in records:
            for page in item.pages:
                tensor = hashlib.sha256(f"{item.key}\0{page.index}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
                tensors[tensor] = page.rows
                shape = {"rows": page.shape[0], "hidden": page.shape[1], "dtype": page.dtype}
                place = {"file": path, "tensor": tensor, "tier": item.tier, "encoder": item.encoder, "key": page.page_key}
                rows.append({"item": item.key, "page": page.index, **place, **shape})
        (folder / TOKENS).mkdir(parents=True, exist_ok=True)
        save_rows(tensors, folder / path)
        names = ("file", "tensor", "tier", "encoder", "key", "dtype")
        fields = [("item", pa.string()), ("page", pa.int32()), *((each, pa.string()) for each in names)]
        schema = pa.schema([*fields, ("rows", pa.int32()), ("hidden", pa.int32())])
        index = write_table(folder, f"{INDEX}/{name}.parquet", rows, schema)
        return Written((path, *index.files), len(rows))


@dataclass(frozen=True, slots=True)
class WriteReadings:
    """`readings/part-N.parquet`: a row for each page with what the reader read."""

    def write(self, records: Sequence[ReadItem], folder: Path, name: str) -> Written:
        pa = arrow()
        rows = [
            {"item": item.key, "page": page.index, "key": page.page_key, "reader": item.reader, "tier": item.tier, "text": page.text}
            for item in records
            for page in item.pages
        ]
        fields = [("item", pa.string()), ("page", pa.int32()), ("key", pa.string()), ("reader", pa.string()), ("tier", pa.string())]
        return write_table(folder, f"{READINGS}/{name}.parquet", rows, pa.schema([*fields, ("text", pa.large_string())]))


@dataclass(frozen=True, slots=True)
class WriteMarkdown:
    """`markdown/ITEM.md`: a file for each item, its pages one after the other."""

    def write(self, records: Sequence[ReadItem], folder: Path, name: str) -> Written:
        files = []
        for item in records:
            path = f"{MARKDOWN}/{safe_path(item.key)}.md"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            text = "\n\n".join(page.text.rstrip("\n") for page in item.pages)
            (folder / path).write_text(text + "\n", "utf-8", errors="backslashreplace")
            files.append(path)
        return Written(tuple(files), sum(len(item.pages) for item in records))


@dataclass(frozen=True, slots=True)
class Nothing:
    """No file: what was made lies in the store."""

    def write(self, records: Sequence[Pages], folder: Path, name: str) -> Written:
        return Written((), sum(len(item.pages) for item in records))


def write_table(folder: Path, path: str, rows: Sequence[dict[str, Any]], schema: pyarrow.Schema) -> Written:
    """Write rows as one Parquet file. Half a surrogate pair, which Parquet cannot hold, is written as an escape."""
    pa = arrow()
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    try:
        table = pa.Table.from_pylist(list(rows), schema=schema)
    except UnicodeEncodeError:
        table = pa.Table.from_pylist([_whole(row) for row in rows], schema=schema)
    pa.parquet.write_table(table, folder / path, compression="zstd")
    return Written((path,), len(rows))


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value

"""The process that opens a PDF. Run as a script, alone: pdfium is native code, and what it is given may be made to break it.

It reads one file and answers requests about it over its standard input and output, in frames of a JSON head and bytes. Before it looks at
the file it gives up what it does not need: more memory or time than it was granted, files, children, its environment. It knows no script
engine: pypdfium2's builds of pdfium have none. Nothing is fetched: pdfium has no network of its own.

Imports nothing of the package, so that it starts in a tenth of a second.
"""

from __future__ import annotations

import ctypes
import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from statistics import median
from typing import Any, BinaryIO

HEAD = struct.Struct(">II")  # bytes of JSON, bytes after it
SAMPLE = 1_000  # letters of a page that are measured
MOST_OBJECTS = 20_000  # of a page that are looked at
MOST_OUTLINE = 2_000  # entries of an outline
MOST_INFLATED = 50_000_000  # bytes of compressed objects that are searched for a UserUnit
DASHED = re.compile("\ufffe[\r\n]*|\u00ad[\r\n]+")  # a hyphen at the end of a line, as pdfium gives it: the word goes on
OBJECT_STREAM = re.compile(rb"/ObjStm.{0,200}?stream\r?\n", re.DOTALL)
USER_UNIT = re.compile(rb"/UserUnit\s+([0-9]*\.?[0-9]+)")
PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD
SECURITY_ERROR = 5  # FPDF_ERR_SECURITY: a kind of encryption that pdfium does not know


def confine(seconds: int, memory: int) -> None:
    """Give up what is not needed. Where the system has no such limits (Windows), the parent's clock is all that holds."""
    with suppress(ImportError):
        import resource

        wanted = {"RLIMIT_AS": memory, "RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0, "RLIMIT_NOFILE": 16}
        for name, most in wanted.items():
            with suppress(AttributeError, ValueError, OSError):
                kind = getattr(resource, name)
                hard = resource.getrlimit(kind)[1]
                most = most if hard == resource.RLIM_INFINITY else min(most, hard)
                resource.setrlimit(kind, (most, most))


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Read a frame; None at the end."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, more = HEAD.unpack(head)
    return json.loads(stream.read(length)), stream.read(more)


def write_frame(stream: BinaryIO, fields: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    head = json.dumps(fields).encode("ascii")
    stream.write(HEAD.pack(len(head), len(payload)))
    stream.write(head)
    stream.write(payload)
    stream.flush()


class Opened:
    """A PDF that pdfium has opened."""

    def __init__(self, data: bytes, password: str | None) -> None:
        import pypdfium2
        import pypdfium2.raw as raw

        self._raw, self._data = raw, data
        self._pdf = pypdfium2.PdfDocument(data, password=password)
        with suppress(pypdfium2.PdfiumError):  # a broken form; the pages are there all the same
            self._pdf.init_forms()
        self._units = may_have_user_units(data)

    def __len__(self) -> int:
        return len(self._pdf)

    def about(self) -> dict[str, Any]:
        """Title and outline."""
        title = ""
        with suppress(Exception):
            title = self._pdf.get_metadata_value("Title")
        return {"pages": len(self), "title": clean(title), "outline": list(self._outline())}

    def _outline(self) -> Iterator[list[Any]]:
        with suppress(Exception):  # an outline may be broken in many ways, and is no part of any page
            for place, mark in enumerate(self._pdf.get_toc()):
                if place >= MOST_OUTLINE:
                    return
                target = mark.get_dest()
                index = target.get_index() if target else None
                yield [mark.level, clean(mark.get_title())[:1_000], index + 1 if index is not None and 0 <= index < len(self) else 0]

    def read(self, index: int, most: int) -> dict[str, Any]:
        """Measure a page and return its text."""
        page = self._pdf.get_page(index)
        try:
            unit = self._user_unit(index)
            width, height = page.get_size()
            text_page = page.get_textpage()
            try:
                text = clean(text_page.get_text_bounded())
                em = self._letter(text_page, page.get_bbox())
            finally:
                text_page.close()
            beside = "\n".join(self._beside(page))
            whole = f"{text}\n{beside}".strip() if beside else text.strip()
            images, paths = self._objects(page, abs(width * height))
            return {
                "text": whole[:most],
                "cut": len(whole) > most,
                "width": width * unit,
                "height": height * unit,
                "letters": sum(not char.isspace() for char in text),
                "letter": em * unit,
                "images": images,
                "paths": paths,
            }
        finally:
            page.close()

    def _letter(self, text_page: Any, seen: tuple[float, float, float, float]) -> float:
        """Return the median height in points of the line boxes of the letters within `seen`; 0 if there are none.

        A letter that stands on its side has a box as wide as it would be high, so the longer side counts.
        """
        raw, count = self._raw, text_page.count_chars()
        left, bottom, right, top = seen
        box, heights = raw.FS_RECTF(), list[float]()
        for place in range(0, count, max(1, count // SAMPLE)):
            if raw.FPDFText_GetUnicode(text_page, place) <= 32 or not raw.FPDFText_GetLooseCharBox(text_page, place, box):
                continue
            if left <= (box.left + box.right) / 2 <= right and bottom <= (box.bottom + box.top) / 2 <= top:
                heights.append(max(abs(box.top - box.bottom), abs(box.right - box.left)))
        return median(heights) if heights else 0.0

    def _objects(self, page: Any, area: float) -> tuple[float, int]:
        """Return the share of the page that images cover, 1 at most, and how many drawn lines and shapes it has."""
        raw, covered, paths = self._raw, 0.0, 0
        sides = [ctypes.c_float() for _ in range(4)]
        for place in range(min(raw.FPDFPage_CountObjects(page), MOST_OBJECTS)):
            item = raw.FPDFPage_GetObject(page, place)
            kind = raw.FPDFPageObj_GetType(item)
            paths += kind == raw.FPDF_PAGEOBJ_PATH
            if kind == raw.FPDF_PAGEOBJ_IMAGE and raw.FPDFPageObj_GetBounds(item, *sides):
                left, bottom, right, top = (side.value for side in sides)
                covered += abs((right - left) * (top - bottom))
        return min(1.0, covered / area) if area else 0.0, paths

    def _beside(self, page: Any) -> Iterator[str]:
        """Yield what is filled into forms and written in annotations: pdfium's text of a page leaves it out."""
        raw = self._raw
        for place in range(min(raw.FPDFPage_GetAnnotCount(page), MOST_OBJECTS)):
            if annotation := raw.FPDFPage_GetAnnot(page, place):
                if said := self._said_in(annotation):
                    yield said
                raw.FPDFPage_CloseAnnot(annotation)

    def _said_in(self, annotation: Any) -> str:
        raw, form = self._raw, self._pdf.formenv
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == raw.FPDF_ANNOT_WIDGET and form:
            name = wide(lambda *to: raw.FPDFAnnot_GetFormFieldName(form, annotation, *to))
            value = wide(lambda *to: raw.FPDFAnnot_GetFormFieldValue(form, annotation, *to))
            return f"{name}: {value}" if name and value else value
        if kind in (raw.FPDF_ANNOT_LINK, raw.FPDF_ANNOT_POPUP, raw.FPDF_ANNOT_WIDGET):
            return ""
        return wide(lambda *to: raw.FPDFAnnot_GetStringValue(annotation, b"Contents", *to))

    def _user_unit(self, index: int) -> float:
        """Return how many points a unit of the page is: 1 unless it has a `UserUnit` (ISO 32000-2, 7.7.3.3).

        pdfium takes no notice of it, and gives no way to ask. A copy of the page alone has it in plain sight.
        """
        if not self._units:
            return 1.0
        import pypdfium2

        alone = pypdfium2.PdfDocument.new()
        try:
            alone.import_pages(self._pdf, [index])
            held = io.BytesIO()
            alone.save(held)
        finally:
            alone.close()
        for piece in held.getvalue().split(b"endobj"):
            head = piece.partition(b"stream")[0]
            if re.search(rb"/Type\s*/Page(?![a-zA-Z])", head) and (found := USER_UNIT.search(head)):
                return min(max(float(found[1]), 1e-3), 1e6) or 1.0
        return 1.0

    def draw(self, index: int, side: int) -> tuple[dict[str, Any], memoryview]:
        """Draw a page with its longer side at `side` pixels: its size, and bytes of blue, green, red for each pixel, row by row."""
        raw = self._raw
        import pypdfium2

        page = self._pdf.get_page(index)
        try:
            width, height = page.get_size()
            longer = max(width, height) or 1.0
            size = max(1, round(width * side / longer)), max(1, round(height * side / longer))
            bitmap = pypdfium2.PdfBitmap.new_native(*size, raw.FPDFBitmap_BGR)
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, *size)
            raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, *size, 0, raw.FPDF_ANNOT)
            if self._pdf.formenv:
                raw.FPDF_FFLDraw(self._pdf.formenv, bitmap, page, 0, 0, *size, 0, raw.FPDF_ANNOT)
            return {"size": size}, memoryview(bitmap.buffer).cast("B")
        finally:
            page.close()


def wide(ask: Callable[..., int]) -> str:
    """Return a string that pdfium writes as UTF-16 into a buffer: asked for its length first."""
    length = ask(None, 0)
    if not 2 < length < 1_000_000:
        return ""
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    ask(buffer, length)
    return clean(bytes(buffer)[:length].decode("utf-16-le", "replace"))


def clean(text: str) -> str:
    """Return text with line feeds, words joined that a line's end parts, and nothing that JSON or UTF-8 cannot hold."""
    joined = DASHED.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    plain = "".join(char for char in joined if char >= " " or char in "\n\t")
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def may_have_user_units(data: bytes) -> bool:
    """Whether a page may have a `UserUnit`: the word stands in the file, or in objects that cannot be looked into."""
    if b"/UserUnit" in data:
        return True
    room = MOST_INFLATED
    for match in OBJECT_STREAM.finditer(data):
        if b"/Encrypt" in data or room <= 0:
            return True
        try:
            inflated = zlib.decompressobj().decompress(memoryview(data)[match.end() :], room)
        except zlib.error:
            return True
        if b"/UserUnit" in inflated:
            return True
        room -= len(inflated)
    return False


def answer(opened: Opened, asked: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes | memoryview]]:
    """Yield the answers to a request: one for each page."""
    if asked["ask"] == "read":
        for index in range(asked["first"], min(asked["stop"], len(opened))):
            yield opened.read(index, asked["characters"]), b""
    else:
        yield opened.draw(asked["page"], asked["side"])


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Open the file of the first frame, and answer requests until there are no more."""
    first = read_frame(source)
    if first is None:
        return
    asked, data = first
    import pypdfium2

    confine(asked["cpu_seconds"], asked["memory"] + 2 * len(data))
    try:
        opened = Opened(data, asked["password"])
        about = opened.about()
    except pypdfium2.PdfiumError as exc:
        code = getattr(exc, "err_code", None)
        kind = {PASSWORD_ERROR: "password", SECURITY_ERROR: "security"}.get(code or 0, "format")
        write_frame(sink, {"failed": kind, "why": str(exc)})
        return
    except MemoryError:
        write_frame(sink, {"failed": "memory"})
        return
    write_frame(sink, about)
    while (frame := read_frame(source)) is not None:
        try:
            for fields, payload in answer(opened, frame[0]):
                write_frame(sink, fields, payload)
        except MemoryError:
            write_frame(sink, {"failed": "memory"})
        except Exception as exc:
            write_frame(sink, {"failed": "page", "why": f"{type(exc).__name__}: {exc}"[:500]})


if __name__ == "__main__":
    sys.path.append(sys.argv[1])  # where pypdfium2 is: the process starts without the folders of installed packages
    serve(sys.stdin.buffer, sys.stdout.buffer)

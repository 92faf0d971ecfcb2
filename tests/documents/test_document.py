"""PDFs opened by the real pdfium, in its own process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from optical_memory.documents.document import Heading, PdfDocument, Sheet
from optical_memory.documents.limits import Limits
from optical_memory.errors import DocumentError, DocumentLimit, DocumentLocked, MissingExtra

from .handmade import HandmadePage, bloated, box, laughing, lines, pdf

pytest.importorskip("pypdfium2", reason="opening a PDF needs the extra documents")

FIELD = "/Subtype /Widget /FT /Tx /T (name) /V (Ada Lovelace) /Rect [72 600 300 620] /F 4 /DA (/F1 12 Tf 0 g)"
NOTE = "/Subtype /FreeText /Contents (Check this sum) /Rect [300 600 400 620] /DA (/F1 12 Tf 0 g)"
UPRIGHT, TURNED, CROPPED, LARGE, FORM, WIDE = range(1, 7)


@pytest.fixture(scope="module")
def odd() -> Iterator[PdfDocument]:
    """A document whose pages are of every odd kind."""
    corner = box(0, 700, 92, 92)  # red, in the upper left
    pages = [
        HandmadePage(lines("First page", "second line") + corner),
        HandmadePage(lines("Turned") + corner, more="/Rotate 90"),
        HandmadePage(lines("Inside", left=110, top=210) + lines("Outside") + box(100, 250, 50, 50), more="/CropBox [100 200 300 300]"),
        HandmadePage(lines("Large units"), more="/UserUnit 2.5"),
        HandmadePage(lines("Form:"), annotations=[FIELD, NOTE]),
        HandmadePage(lines("Wide", top=100), size=(1000, 300)),
    ]
    data = pdf(pages, title="Odd pages", outline=[("One", 1), ("Three", 3)], form=True, script="app.alert\\(1\\)")
    with PdfDocument(data, name="odd.pdf") as document:
        yield document


@pytest.fixture(scope="module")
def sheets(odd: PdfDocument) -> dict[int, Sheet]:
    return {sheet.number: sheet for sheet in odd.sheets()}


def drawn(document: PdfDocument, number: int, side: int = 400) -> Image.Image:
    pixels = document.draw(number, side)
    return Image.frombuffer("RGB", (pixels.width, pixels.height), pixels.data, "raw", "BGR", 0, 1)


def is_red(image: Image.Image, across: float, down: float) -> bool:
    return image.getpixel((int(across * (image.width - 1)), int(down * (image.height - 1)))) == (255, 0, 0)


def test_title_and_outline(odd: PdfDocument) -> None:
    assert (len(odd), odd.title) == (6, "Odd pages")
    assert odd.outline == (Heading(0, "One", 1), Heading(0, "Three", 3))


def test_text_and_measures_of_a_plain_page(sheets: dict[int, Sheet]) -> None:
    sheet = sheets[UPRIGHT]
    assert sheet.text == "First page\nsecond line"
    assert (sheet.width, sheet.height, sheet.letters, sheet.shapes) == (612, 792, 19, 1)
    assert 12 < sheet.letter < 15  # the line box of 12 points


def test_a_rotated_page_is_drawn_and_measured_as_it_is_shown(odd: PdfDocument, sheets: dict[int, Sheet]) -> None:
    assert (sheets[TURNED].width, sheets[TURNED].height) == (792, 612)
    assert sheets[TURNED].letter == sheets[UPRIGHT].letter
    assert is_red(drawn(odd, UPRIGHT), 0.03, 0.03) and not is_red(drawn(odd, UPRIGHT), 0.97, 0.03)
    assert is_red(drawn(odd, TURNED), 0.97, 0.03) and not is_red(drawn(odd, TURNED), 0.03, 0.03)


def test_only_the_crop_box_is_shown_and_read(odd: PdfDocument, sheets: dict[int, Sheet]) -> None:
    assert (sheets[CROPPED].width, sheets[CROPPED].height, sheets[CROPPED].text) == (200, 100, "Inside")
    image = drawn(odd, CROPPED)
    assert image.size == (400, 200) and is_red(image, 0.03, 0.03)


def test_the_user_unit_counts(sheets: dict[int, Sheet]) -> None:
    assert (sheets[LARGE].width, sheets[LARGE].height) == (2.5 * 612, 2.5 * 792)
    assert sheets[LARGE].letter == pytest.approx(2.5 * sheets[UPRIGHT].letter)


def test_forms_and_annotations_are_read_and_drawn(odd: PdfDocument, sheets: dict[int, Sheet]) -> None:
    assert sheets[FORM].text.splitlines() == ["Form:", "name: Ada Lovelace", "Check this sum"]
    field = drawn(odd, FORM, 792).crop((72, 172, 300, 192)).convert("L")
    assert field.getextrema()[0] < 100  # something black stands where the field is


def test_each_page_has_its_own_shape(odd: PdfDocument) -> None:
    assert [drawn(odd, number, 100).size for number in (UPRIGHT, TURNED, WIDE)] == [(77, 100), (100, 77), (100, 30)]


def test_a_page_that_is_not_there(odd: PdfDocument) -> None:
    with pytest.raises(ValueError, match=r"'odd\.pdf' has pages 1 to 6; got 7"):
        odd.draw(7, 100)


def test_an_encrypted_document_needs_its_password() -> None:
    data = pdf([HandmadePage(lines("Secret words"))], title="Locked", password="hunter2")
    with pytest.raises(DocumentLocked, match=r"'locked\.pdf' is encrypted: pass its password as password="):
        PdfDocument(data, name="locked.pdf")
    with pytest.raises(DocumentLocked, match=r"password for 'locked\.pdf' is wrong"):
        PdfDocument(data, name="locked.pdf", password="wrong")
    with PdfDocument(data, name="locked.pdf", password="hunter2") as document:
        assert (document.title, [sheet.text for sheet in document.sheets()]) == ("Locked", ["Secret words"])


@pytest.mark.parametrize("data", [b"%PDF-1.7 and nothing else", pdf([HandmadePage("")])[:300]])
def test_a_broken_file(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"'broken\.pdf' is no PDF that can be opened"):
        PdfDocument(data, name="broken.pdf")


def test_a_file_of_another_kind() -> None:
    with pytest.raises(DocumentError, match="is no PDF: it begins with b'GIF89a"):
        PdfDocument(b"GIF89a...", name="picture.gif")


def test_a_page_that_takes_for_ever_is_given_up_and_the_others_are_drawn() -> None:
    with PdfDocument(laughing(14, 10)) as document:
        document._process._limits = Limits(seconds=1)  # for this answer alone: a busy machine may take longer to open a file
        with pytest.raises(DocumentLimit, match="took more than 1 seconds") as caught:
            document.draw(2, 100)
        assert caught.value.limit == "seconds"
        assert document.draw(1, 100).height == 100


def test_a_page_that_takes_too_much_memory_is_given_up_and_the_others_are_drawn() -> None:
    with PdfDocument(bloated(300), limits=Limits(megabytes=200)) as document:
        with pytest.raises(DocumentLimit, match="needs more than 200 MB"):
            document.draw(2, 100)
        assert document.draw(1, 100).height == 100


@pytest.mark.parametrize(
    ("limits", "message"),
    [(Limits(pages=1), "has 2 pages, and a document may have 1"), (Limits(file_megabytes=1e-4), "file_megabytes=...")],
)
def test_a_document_that_is_too_large(limits: Limits, message: str) -> None:
    with pytest.raises(DocumentLimit, match=message):
        PdfDocument(pdf([HandmadePage(""), HandmadePage("")]), limits=limits)


def test_limits_of_pixels_and_characters() -> None:
    with PdfDocument(pdf([HandmadePage(lines("Words, words"))]), limits=Limits(pixels=10_000, characters=5)) as document:
        with pytest.raises(DocumentLimit, match="200 x 200 pixels is more than the 10,000"):
            document.draw(1, 200)
        assert [(sheet.text, sheet.is_cut) for sheet in document.sheets()] == [("Words", True)]


def test_a_limit_is_a_positive_number() -> None:
    with pytest.raises(ValueError, match="the limit pages=0 is no positive number"):
        Limits(pages=0)


def test_without_pypdfium2_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    monkeypatch.delitem(sys.modules, "pypdfium2", raising=False)  # another test may have imported it
    with pytest.raises(MissingExtra, match=r"pip install 'optical-memory\[documents\]'"):
        PdfDocument(pdf([HandmadePage("")]))


def test_thousands_of_pages_are_read_one_after_the_other() -> None:
    with PdfDocument(pdf([HandmadePage(lines(f"Page {number}")) for number in range(1, 2_001)])) as document:
        taken = document.sheets()
        assert next(taken).text == "Page 1"
        assert drawn(document, 1_990, 50).size == (39, 50)  # in between
        assert [sheet.text for sheet in taken] == [f"Page {number}" for number in range(2, 2_001)]


def test_the_process_writes_no_file(tmp_path: Path) -> None:
    left = tmp_path / "left"
    write = f"with open({str(left)!r}, 'w') as file: file.write('x')"
    code = f"from optical_memory.documents.worker import confine; confine(10, 2**32)\n{write}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode != 0
    assert not left.exists() or not left.stat().st_size

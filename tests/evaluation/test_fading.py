"""The curve of small letters: read at two sizes, and the size at which it crosses a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fading import PUBLISHED, curve_of, difference_of, faces, picture, print_published, rate, size_for, size_told, text_of
from optical_memory.errors import ProgramNotFound
from optical_memory.readers.tesseract import OcrReader
from optical_memory.renderers.png import decode_grey


def test_letters_are_lost_as_they_shrink(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        engine = OcrReader()
    except ProgramNotFound as exc:
        pytest.skip(str(exc))
    ours = faces()[0]
    curve = curve_of(ours, "random", [5, 13], 1, engine, tmp_path)
    assert rate(curve[13]) < 0.15 < 0.4 < rate(curve[5])
    assert len(list(tmp_path.iterdir())) == 2, "kept, each by its picture"
    assert difference_of(curve, curve, 5) == "+0.0 (+0.0 to +0.0)"
    print_published({"tesseract": {ours.label: curve}})
    printed = capsys.readouterr().out
    assert all(face in printed for face in PUBLISHED) and ours.label in printed


def test_texts_are_the_same_for_every_face_and_differ_by_number() -> None:
    for kind in ("random", "confusable", "natural"):
        assert text_of(kind, 0) == text_of(kind, 0) != text_of(kind, 1)
        assert len(text_of(kind, 3)) == 8 and all(20 < len(line) <= 44 for line in text_of(kind, 3))


def test_shrunk_letters_have_the_size_of_drawn_ones() -> None:
    drawn, shrunk = faces()[:2]
    assert shrunk.shrunk and not drawn.shrunk
    small, same = (decode_grey(picture(text_of("random", 0), face, 7)) for face in (drawn, shrunk))
    assert abs(small.width - same.width) < 0.05 * small.width and abs(small.height - same.height) <= 2


def test_the_size_for_a_limit_lies_between_sizes() -> None:
    curve = {13.0: [(0, 100)], 9.0: [(3, 100)], 8.0: [(7, 100)], 5.0: [(70, 100)]}
    assert size_for(curve) == pytest.approx(8.5)
    assert size_for({13.0: [(6, 100)]}) is None and size_for({13.0: [(1, 100)], 9.0: [(2, 100)]}) == 9.0
    assert size_told({13.0: [(6, 100)]}) == ">13 px (>13->13)"

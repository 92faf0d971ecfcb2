"""Words, lines and linear maths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optical_memory.renderers.document.blocks import Span, Table
from optical_memory.renderers.pillow.linear_tex import linear_tex
from optical_memory.renderers.pillow.tables import table_rows
from optical_memory.renderers.pillow.typesetting import LineBox, Row, Typesetter, _levelled_tokens
from optical_memory.renderers.typography.fonts import BUNDLED, FontBook
from optical_memory.renderers.typography.word_masks import SHAPED, TextStyle, Word, WordBook, clusters_of

STYLE = TextStyle(16.0)
MONO = TextStyle(15.0, "mono")
BOX = LineBox(left=0, width=300, line=20, baseline=15)
WORDS = WordBook(FontBook(()))
SETTER = Typesetter(WORDS)


def rows(text: str, text_style: TextStyle = STYLE, box: LineBox = BOX) -> list[Row]:
    return SETTER.rows([(text, text_style)], box)


def ink_edges(row: Row) -> tuple[int, int]:
    return min(mark.x for mark in row.marks), max(mark.x + mark.mask.width for mark in row.marks)


@given(st.text(max_size=300))
def test_clusters_put_together_are_the_text(text: str) -> None:
    assert "".join(clusters_of(text)) == text


@pytest.mark.parametrize("whole", ["e\u0301", "👩\u200d💻", "🇫🇷", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3", "நி"])
def test_what_is_drawn_as_one_is_not_parted(whole: str) -> None:
    assert clusters_of("a" + whole + "b") == ["a", whole, "b"]


def test_flags_pair_up() -> None:
    assert clusters_of("🇫🇷🇩🇪") == ["🇫🇷", "🇩🇪"]


@given(st.text(max_size=300), st.sampled_from([40, 120, 300]))
@example("\u093a", 40)  # a vowel sign without its letter
@example("0\u0359", 40)  # a mark that only the last resort can draw, wider than its letter
@example("i\u0359", 40)
def test_lines_stay_within_their_box(text: str, width: int) -> None:
    widest = 2 * STYLE.size  # a single cluster that is wider than the line cannot be cut
    for row in rows(text, box=replace(BOX, width=width)):
        assert all(mark.x >= 0 and mark.x <= width + widest for mark in row.marks)


SLANTED = TextStyle(16.0, italic=True)
OVERHANGING = ["𝒇", "𝑗", "𝒻", "j", "jTT", "ƒ", "WWf", "V", "ﷺ", "אָ", "\u093e", "⸻", "fi𝒇"]


@pytest.mark.parametrize("text_style", [STYLE, SLANTED, MONO], ids=["plain", "italic", "mono"])
@pytest.mark.parametrize("glyph", OVERHANGING)
def test_ink_beyond_a_glyph_s_advance_stays_in_its_box(glyph: str, text_style: TextStyle) -> None:
    """At both ends of lines of every width, whole: what would reach beside the box moves inwards. Within a line nothing moves."""
    setter = Typesetter(WordBook(FontBook()))
    alone = setter.words.word(glyph, text_style)
    masks = [ink.mask.tobytes() for ink in alone.inks]
    box = replace(BOX, width=120)
    for text in [f"{'0' * width} {glyph}" for width in range(6, 14)] + [f"{glyph} {'0' * width}" for width in range(6, 14)]:
        for align in ("", "right", "center"):
            found = setter.rows([(text, text_style)], replace(box, align=align))
            for row in found:
                left, right = ink_edges(row)
                assert left >= 0 and right <= box.width, (text, align)
            assert set(masks) <= {mark.mask.tobytes() for row in found for mark in row.marks}, "cut"


@pytest.mark.parametrize("glyph", ["𝒇", "j", "V", "WWf"])
def test_ink_within_a_line_stays_where_the_font_puts_it(glyph: str) -> None:
    setter = Typesetter(WordBook(FontBook()))
    (row,) = setter.rows([(f"a {glyph} a", STYLE)], BOX)
    start = sum(setter.words.word(part, STYLE).width for part in ("a", " "))
    assert row.marks[1].x == round(start) + setter.words.word(glyph, STYLE).inks[0].left


def test_words_move_to_the_next_line_whole() -> None:
    text = "alpha beta gamma delta epsilon zeta eta theta iota kappa"
    lines = rows(text)
    assert len(lines) > 1
    assert sum(len(row.marks) for row in lines) == len(text.split())
    assert all(ink_edges(row)[1] <= 301 for row in lines)


def test_a_long_string_fills_its_lines() -> None:
    lines = rows("f" + "0a1b2c3d" * 40)
    assert all(ink_edges(row)[1] > 280 for row in lines[:-1])


PIECES = st.sampled_from(
    ["abc", "x", "0123456789" * 4, "Q" * 70, "'", "(", ")", ",", "/", "_", " ", "  ", "longer_name_with_parts_in_it", "↵", "."]
)
RUNS = st.lists(st.tuples(PIECES, st.sampled_from([MONO, replace(MONO, style="monobold")])), max_size=14)


def lines_of(runs: list[tuple[str, TextStyle]], box: LineBox) -> list[str]:
    return ["".join(placed.token.text for placed in line) for line in SETTER._lines(_levelled_tokens(runs, 0), box)]


@given(RUNS, st.sampled_from([120, 200, 300]), st.booleans())
@example([("'", MONO), ("Q" * 70, MONO), ("'", replace(MONO, style="monobold"))], 300, False)
@example([("x", MONO), ("0123456789" * 4, replace(MONO, style="monobold")), ("'", MONO)], 200, False)
def test_rows_hold_every_letter_once_and_cut_only_with_a_mark(runs: list[tuple[str, TextStyle]], width: int, eager: bool) -> None:
    box = replace(BOX, width=width, preformatted=True, fills=eager)
    source = "".join(text for text, _ in runs)
    lines = lines_of(runs, box)
    assert "".join(line.removesuffix("⇢") for line in lines) == "".join(source.split())
    for row in SETTER.rows(runs, box):
        assert not row.marks or ink_edges(row)[1] <= width + 2
    place = 0
    for line in lines[:-1]:
        for _ in line.removesuffix("⇢"):
            while source[place].isspace():
                place += 1
            place += 1
        inside = place < len(source) and source[place - 1].isalnum() and source[place].isalnum()
        assert inside <= line.endswith("⇢")


def test_a_word_of_several_styles_moves_whole() -> None:
    bold = replace(MONO, style="monobold")
    before = ("a" * 25 + " ", MONO)
    assert lines_of([before, ("foo", bold), ("(bar", MONO), (")", bold), (" x", MONO)], BOX) == ["a" * 25, "foo(bar)x"]


def test_a_joined_line_keeps_its_indentation_at_a_row_s_start() -> None:
    box = replace(BOX, preformatted=True)
    first, second = rows("a" * 20 + "↵    " + "b" * 20, MONO, box)
    assert ink_edges(second)[0] - ink_edges(first)[0] == pytest.approx(4 * WORDS.word("0", MONO).width, abs=2)


def test_preformatted_text_keeps_its_indentation() -> None:
    box = replace(BOX, preformatted=True)
    plain, indented = rows("x", MONO, box)[0], rows("    x", MONO, box)[0]
    assert ink_edges(indented)[0] - ink_edges(plain)[0] == pytest.approx(4 * WORDS.word("0", MONO).width, abs=1)
    assert ink_edges(rows("    x", MONO)[0]) == ink_edges(rows("x", MONO)[0])


def test_closing_punctuation_does_not_begin_a_line() -> None:
    width = round(WORDS.word("中", STYLE).width) * 5
    first, second = rows("中文字符号。中", box=replace(BOX, width=width + 2))
    assert len(first.marks) == 4 and len(second.marks) == 3


def test_alignment() -> None:
    left, right = (ink_edges(rows("word", box=replace(BOX, align=align))[0])[0] for align in ("left", "right"))
    centre = ink_edges(rows("word", box=replace(BOX, align="center"))[0])[0]
    assert left < centre < right
    assert centre - left == pytest.approx(right - centre, abs=1)


def test_right_to_left_paragraphs_stand_at_the_right() -> None:
    assert ink_edges(rows("שלום עולם")[0])[1] == pytest.approx(300, abs=3)
    assert ink_edges(rows("hello שלום")[0])[0] <= 3


def test_mixed_text_is_reordered_on_its_line() -> None:
    hebrew, latin = WORDS.word("אב", STYLE, True), WORDS.word("abc", STYLE)
    marks = rows("אב abc")[0].marks
    by_mask = {id(mark.mask): mark.x for mark in marks}
    assert by_mask[id(hebrew.inks[0].mask)] > by_mask[id(latin.inks[0].mask)]


def test_a_pair_of_brackets_stands_with_what_it_encloses() -> None:
    latin, number = WORDS.word("f(n)", STYLE), WORDS.word("3", STYLE)
    opening, closing = WORDS.word("(", STYLE), WORDS.word(")", STYLE)
    arabic = rows("\u0627\u0644 f(n) \u0648")[0].marks
    assert [mark.mask for mark in arabic].count(latin.inks[0].mask) == 1, "f(n) is one word, not )f(n"
    marks = {id(mark.mask): mark.x for mark in rows("\u0627\u0644 (3) \u0648")[0].marks}
    assert len(marks) == 5, "of another direction than its brackets, the number is set by itself"
    left, right = sorted(x for mask, x in marks.items() if mask in {id(word.inks[0].mask) for word in mirrored_pair()})
    assert left < marks[id(number.inks[0].mask)] < right
    assert ink_bytes(mirrored_pair()[0]) == ink_bytes(closing) and ink_bytes(mirrored_pair()[1]) == ink_bytes(opening)


def mirrored_pair() -> tuple[Word, Word]:
    """Opening and closing bracket, as they are drawn where text runs right to left."""
    return WORDS.word("(", STYLE, True), WORDS.word(")", STYLE, True)


def ink_bytes(word: Word) -> list[bytes]:
    return [ink.mask.tobytes() for ink in word.inks]


@pytest.mark.parametrize(("text", "drawn"), [("):", ":("), ("[{<", ">}]"), ("...", "..."), ("»", "«"), ("(≤", "≥)")])
def test_signs_that_run_right_to_left_are_turned_round(text: str, drawn: str) -> None:
    assert ink_bytes(WORDS.word(text, STYLE, True)) == ink_bytes(WORDS.word(drawn, STYLE))


def test_a_name_in_a_head_runs_its_own_way() -> None:
    def order(text: str, head: str) -> list[int]:
        """The places of the Hebrew words of a head, from left to right, and that of its first word."""
        row = SETTER.rows([(text, STYLE)], replace(BOX, width=600), [(head, STYLE), (" ", STYLE)])[0]
        at = {id(mark.mask): mark.x for mark in row.marks}
        words = [WORDS.word("user", STYLE), WORDS.word("אב", STYLE, True), WORDS.word("גד", STYLE, True)]
        return [at[id(word.inks[0].mask)] for word in words]

    for text in ("plain", "שלום"):
        user, first, second = order(text, "user אב גד")
        assert user < second < first


def test_white_between_words_and_numbers_of_a_kind_goes_with_the_paragraph() -> None:
    at = {id(mark.mask): mark.x for mark in rows("\u0627\u0644 abc \u0663")[0].marks}
    latin, number = WORDS.word("abc", STYLE), WORDS.word("\u0663", STYLE)
    assert at[id(number.inks[0].mask)] < at[id(latin.inks[0].mask)], "an Arabic number goes on to the left"


@pytest.mark.skipif(not SHAPED, reason="this Pillow has no libraqm")
def test_arabic_letters_join() -> None:
    joined = WORDS.word("\u0628\u064a\u062a", TextStyle(40.0), True)
    isolated = [WORDS.word(char, TextStyle(40.0), True) for char in "\u0628\u064a\u062a"]
    assert len(joined.inks) == 1
    assert joined.width < 0.8 * sum(word.width for word in isolated)


def test_a_font_that_cannot_be_read_gives_way(tmp_path: Path) -> None:
    font = tmp_path / "Broken-Regular.ttf"
    font.write_bytes(BUNDLED["sans"].read_bytes())
    book = FontBook([font])
    face = book.face_for([0x61], "sans")
    assert face is not None
    words = WordBook(book)
    book._chosen["\u4e2d", "sans"] = replace(face, path=tmp_path / "gone.ttf")
    assert words.word("\u4e2d", STYLE).inks


def test_known_words_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optical_memory.renderers.typography.word_masks.WORDS_KEPT", 50)
    words = WordBook(FontBook(()))
    for number in range(200):
        words.word(str(number), STYLE)
    assert len(words.shelf(STYLE)) <= 50


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (r"\frac{a+b}{c} = \sqrt{x^2}", "(a+b)/c = √(x²)"),
        (r"\sum_{i=1}^{n} x_i \le \infty", "∑ᵢ₌₁ⁿ xᵢ ≤ ∞"),
        (r"e^{i\pi}", "e^(iπ)"),
        (r"\mathbb{R}^n \to \text{reals}", "ℝⁿ → reals"),
        (r"\unknown{x}", "unknown x"),
        (r"{unbalanced", "{unbalanced"),
    ],
)
def test_maths_on_one_line(source: str, line: str) -> None:
    assert linear_tex(source) == line


@given(st.text(alphabet="\\{}^_ abfracsqt12&~$", max_size=200))
def test_any_tex_is_read(source: str) -> None:
    shown = linear_tex(source)
    assert "\n" not in shown and (shown or not any(char.isdigit() for char in source))


def test_rows_of_a_table_that_is_too_wide_break_between_words() -> None:
    table = Table(rows=((tuple((Span(str(number)),) for number in range(10_000, 10_040))),), aligns=())
    lines = table_rows(table, SETTER, BOX, STYLE, lambda spans, text_style: [(span.text, text_style) for span in spans])
    assert len(lines) > 1
    assert sum(len(row.marks) for row in lines) == 40 + 39, "a mark for each number and each bar"

"""Words of readings: whole again where a row broke them, without the marks of a page."""

from __future__ import annotations

import pytest

from optical_memory.renderers.document.blocks_of_turn import blocks_of
from optical_memory.turns.turn import Turn
from optical_memory.verification.words import critical_spans, plain, words_of


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ("id US12200000⇢\n00121 paid", "id US1220000000121 paid"),
        ("id US12200000⇢00121 paid", "id US1220000000121 paid"),
        (
            "credit_card_\n4421486 at ./tests/\nfile.py with a=\n1&\nb and well-\nknown",
            "credit_card_4421486 at ./tests/file.py with a=1&b and well-known",
        ),
        ("a↵b ⇢⇢ c", "a b c"),
        ("end.\nNext: x", "end. Next: x"),
    ],
)
def test_words_that_a_row_broke_are_whole(read: str, words: str) -> None:
    assert plain(read) == words


def test_what_is_compared_holds_no_marks_of_the_layout() -> None:
    blob = "0123456789abcdef" * 20
    turn = Turn(role="tool", tool_call_id="1", content=f'see ./{blob}/x and "{blob}" -type ⇢')
    drawn = words_of(blocks_of(turn))
    assert drawn == turn.text.replace("⇢", "⇢⇢")
    assert plain(drawn) == turn.text.replace(" ⇢", "")
    assert [plain(drawn)[a:b] for a, b in critical_spans(plain(drawn))] == [f"/{blob}/x", blob]

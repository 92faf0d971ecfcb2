"""Ranges of turns that are not drawn: what is left of them adds up, and a damaged record is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optical_memory.archive.page_runs import PageRun
from optical_memory.archive.undrawn import Undrawn, decode_undrawn, encode_undrawn, handed_over, merged, with_erased, without


def test_ranges_add_up() -> None:
    whole = Undrawn(1, 1_000, 990, 200, 130.0, 50_000, 0.5)
    runs = [PageRun(100, 119, 4, 20, 1_000), PageRun(981, 1_000, 3, 20, 1_000)]
    left = without([whole], runs)
    assert [(each.first, each.last) for each in left] == [(1, 99), (120, 980)]
    assert sum(each.turns for each in left) == 950 and all(each.turns <= each.last - each.first + 1 for each in left)
    assert sum(each.pages for each in left) == 193 and abs(sum(each.text_tokens for each in left) - 48_000) <= 1
    assert without(left, runs) == left and without([whole], [PageRun(1, 1_000, 9, 990, 50_000)]) == []
    assert sum(each.turns for each in with_erased(left, [1, 2, 500, 990])) == 947
    assert merged([left[1], left[0]]) == left and len(merged([Undrawn(1, 4, 4, 1, 1.0, 9), Undrawn(5, 9, 5, 1, 1.0, 9)])) == 1
    kept = decode_undrawn(encode_undrawn(left), 1_000)
    assert decode_undrawn(encode_undrawn(kept), 1_000) == kept and decode_undrawn(encode_undrawn(kept), 979) == kept[:1]
    assert [(each.first, each.turns, each.pages) for each in kept] == [(each.first, each.turns, each.pages) for each in left]


@pytest.mark.parametrize(
    "record",
    [
        b"", b"{}", b"[]", b"\xff", b'{"v":1}', b'{"v":2,"ranges":[]}', b'{"v":1,"ranges":[[1]]}',
        b'{"v":1,"ranges":[[5,1,1,1,1,1,0.5,null,null]]}', b'{"v":1,"ranges":[[1,5,9,1,1,1,0.5,null,null]]}',
        b'{"v":1,"ranges":[[1,5,5,1e400,1,1,0.5,null,null]]}', b'{"v":1,"ranges":[[1,5,5,1,NaN,1,0.5,null,null]]}',
        b'{"v":1,"ranges":[[1,5,5,1,1,1,0.5,null,null],[4,9,5,1,1,1,0.5,null,null]]}',
        b'{"v":1,"ranges":[[1,5,5,1,1,1,0.5,"yesterday",null]]}', b'{"v":1,"ranges":[[1,5,5,99999999999999999999,1,1,0.5,null,null]]}',
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_right_is_no_record(record: bytes) -> None:
    assert decode_undrawn(record, 100) == []


def test_what_an_empty_range_was_thought_to_hold_goes_to_those_with_room() -> None:
    full, short, empty = Undrawn(1, 5, 5, 3, 1.0, 100), Undrawn(7, 16, 8, 3, 1.0, 100), Undrawn(18, 18, 1, 1, 0.1, 9)
    assert handed_over([full, short, empty], empty) == [full, replace(short, turns=9)]
    assert handed_over([full, empty], empty) == [full]

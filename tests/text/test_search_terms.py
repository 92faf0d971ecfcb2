"""What is a term."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.text.search_terms import MAX_QUERY_TERMS, MAX_TERM, TERM_PUNCTUATION, asks, query_terms, rarity, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The train, the TRAIN!", "the train the train"),
        ("QX-77419", "qx-77419 qx 77419"),
        ("QX77419", "qx77419 qx 77419"),
        ("getUserName", "getusername get user name"),
        ("parseHTTPResponse2", "parsehttpresponse2 parse http response"),
        ("MAX_RETRY_COUNT __init__", "max_retry_count max retry count __init__ init"),
        ("src/utils/http_client.py", "src/utils/http_client.py src utils http_client http client py"),
        ("a3f9c2d1", "a3f9c2d1"),
        ("1,234,567.89 €", "1234567.89 1234567 89"),
        ("1, 234", "1 234"),
        ("at 7:40", "at 7:40 7 40"),
        ("ann.b@example.org", "ann.b@example.org ann b example org"),
        ("C++ and C#, f# minor", "c++ c and c# c f# f minor"),
        ("--dry-run", "dry-run dry run"),
        ("don't", "don t"),
        ("Crème Brûlée, STRASSE Straße ＦＵＬＬ ﬁne", "creme brulee strasse strasse full fine"),
        ("İstanbul Ёлка", "istanbul елка"),
        ("火车票", "火 车 票 火车 车票"),
        ("订单QX7", "订 单 订单 qx7 qx"),
        ("ｶﾀｶﾅ", "カ タ カ ナ カタ タカ カナ"),
        ("예약은", "예 약 은 예약 약은"),
        ("ไปไหน", "ไ ป ไ ห น ไป ปไ ไห หน"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया"),
        ("مُحَمَّد می‌خواهم", "محمد میخواهم"),
        ("שָׁלוֹם", "שלום"),
        ("!? 🚂 -- ...\0\ud800", ""),
        ("", ""),
    ],
)
def test_terms(text: str, expected: str) -> None:
    assert terms(text) == expected.split()


def test_long_words_are_cut_alike_in_log_and_query() -> None:
    word = "x" * 500
    assert terms(word) == ["x" * MAX_TERM]
    assert query_terms(word) == [["x" * MAX_TERM]]


def test_queries_look_for_pairs_first_then_for_single_characters() -> None:
    assert query_terms("火车票") == [["火车", "车票"], ["火", "车", "票"]]
    assert query_terms("火") == [["火"]]
    assert query_terms("the train the") == [["the", "train"]]
    assert query_terms(" ?!") == []
    assert len(query_terms(" ".join(f"w{n}" for n in range(500)))[0]) == MAX_QUERY_TERMS


@given(st.text(st.characters()) | st.text(st.sampled_from("aB1_-./:@+# ,ß你たﾊ예ก்ंİ")))
def test_terms_are_always_plain_and_found_by_their_own_text(text: str) -> None:
    allowed = re.compile(rf"(?:[a-z0-9{re.escape(TERM_PUNCTUATION)}]|[^\x00-\x7f\ud800-\udfff]|(?![\s\x00-\x1f])[^\x00-\x7f])+")
    found = terms(text)
    assert all(allowed.fullmatch(term) and len(term) <= MAX_TERM for term in found)
    for wanted in query_terms(text):
        assert set(wanted) <= set(found)
    assert bool(query_terms(text)) == bool(found)


def test_rare_terms_weigh_more_and_none_weighs_nothing() -> None:
    weights = [rarity(matches, 100) for matches in (1, 10, 50, 100)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0


@pytest.mark.parametrize(
    ("query", "more"),
    [("booking", False), ("QX-77419", False), ("the booking", True), ("火车票", False), ("火车几点开", True), ("", False)],
)
def test_a_query_of_several_words_asks(query: str, more: bool) -> None:
    assert asks(query) is more


def test_hostile_text_takes_no_time() -> None:
    started = time.perf_counter()
    for piece in ("a", "a-", "aA1", "1,", "://", "a://", "é", "我", "_", "a\u0301", "+"):
        terms(piece * 100_000)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    "coloured",
    ["\x1b[1mfailed\x1b[22m", "\x1b[01;31m\x1b[Kfailed\x1b[m\x1b[K", "\x1b[38;5;196mfai\x1b[0mled", "\x1b[32mfailed\x1b[0m 酒"],
)
def test_colours_of_terminals_are_no_part_of_a_word(coloured: str) -> None:
    assert terms(coloured)[0] == "failed"
    assert terms(coloured) == terms(re.sub(r"\x1b\[[0-9;]*[mK]", "", coloured))

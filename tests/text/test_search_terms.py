"""What is a term, and which turn comes first."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.text.search_terms import MAX_QUERY_TERMS, MAX_TERM, TERM_PUNCTUATION, TermIndex, query_terms, rarity, terms, weights


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


def test_in_a_large_log_what_most_turns_hold_is_left_out_if_something_is_rarer() -> None:
    assert weights({"the": 900, "x": 3, "none": 0}, 1_000).keys() == {"the", "x"}
    assert weights({"the": 900, "x": 3, "none": 0}, 1_001).keys() == {"x"}
    assert weights({"the": 900, "none": 0}, 1_001).keys() == {"the"}
    assert weights({"none": 0}, 1_001) == {}


def index_of(*texts: str) -> TermIndex:
    index = TermIndex()
    for number, text in enumerate(texts, 1):
        index.add(number, text)
    return index


def test_all_terms_come_before_some_and_some_before_none() -> None:
    index = index_of("red fox red fox red", "red", "the quick brown fox that jumped over so many other dogs was red", "blue")
    assert index.search("red fox", 9)[:2] == [1, 3]
    assert index.search("red fox", 9)[2:] == [2]
    assert index.search("fox red", 1) == [1]


def test_a_rare_word_beats_many_common_ones() -> None:
    chatter = [f"so what is the plan for day {n}" for n in range(30)]
    index = index_of(*chatter, "booking confirmed")
    assert index.search("what is the booking", 1) == [31]


def test_equals_come_newest_first() -> None:
    assert index_of("same", "same", "same").search("same", 2) == [3, 2]


def test_what_is_removed_is_gone() -> None:
    index = index_of("alpha beta", "beta")
    index.remove(1)
    index.remove(1)
    index.remove(7)
    assert index.search("alpha", 5) == []
    assert index.search("beta", 5) == [2]
    assert index.search("beta", 0) == []


def test_hostile_text_takes_no_time() -> None:
    started = time.perf_counter()
    for piece in ("a", "a-", "aA1", "1,", "://", "a://", "é", "我", "_", "a\u0301", "+"):
        terms(piece * 100_000)
    assert time.perf_counter() - started < 10

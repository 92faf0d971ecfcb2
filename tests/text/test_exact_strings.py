"""The sidecar: which strings are exact, which of them come first, and that hostile text costs no more than any other."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.text.exact_patterns import _INSIDE_WORDS, _KINDS, _always, _exact, spans_in
from optical_memory.text.exact_strings import exact_strings, sidecar_of
from tests.sampling import mostly_slow

DATA = sorted((Path(__file__).parents[1] / "data").glob("*.json"))


def words(text: str) -> int:
    """A counter for tests: a token for every four characters."""
    return -(-len(text) // 4)


@pytest.mark.parametrize(
    "string",
    [
        "QX-77419",
        "NO6JO3",
        "HAT268",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "9f86d081884c7d65",
        "d4fd0c2",
        "0x1f3a",
        "$1,234.56",
        "$14.2B",
        "99 EUR",
        "1.234,56 €",
        "12,50 €",
        "€12,50",
        "010-62754070",
        "978-3-16-148410-0",
        "112-7489321-1234567",
        "00:1A:2B:3C:4D:5E",
        "2001:db8::8a2e:370:7334",
        "-12.5 kg",
        "5%",
        "300 ms",
        "2024-05-01",
        "2024-05-01T10:00:00Z",
        "May 20th",
        "Mar 3, 2024",
        "3rd of May 2021",
        "14/07/1999",
        "7:40",
        "08:30 PM",
        "mia.li3818@example.com",
        "https://example.org/a_(b)?q=1",
        "www.example.org/x",
        "/etc/passwd",
        "./run.sh",
        "src/app.py:42",
        "setup.cfg",
        "C:\\Users\\me",
        "v1.2.3-rc1",
        "10.0.0.1:8080",
        "--dry-run=yes",
        "-v",
        "FILE_UPLOAD_PERMISSIONS",
        "credit_card_4421486",
        "fooBar2",
        "+49 170 1234567",
        "(555) 123-4567",
        "DE89 3704 0044 0532 0130 00",
        "SGVsbG8gV29ybGQ+/abc123==",
        "2024年5月1日",
        "1920 x 1080",
        "résumé.pdf",
    ],
)
def test_exact_strings_are_found_whole(string: str) -> None:
    assert exact_strings(f"It said {string}, and then nothing.") == [string]
    assert exact_strings(f"**{string}**") == [string]


@pytest.mark.parametrize(
    "text", ["and/or he/she", "e.g. the U.S. of old, i.e. then", "state-of-the-art", "the 3rd of 12", "- item - item", "End.Begin"]
)
def test_plain_words_are_not_exact(text: str) -> None:
    assert exact_strings(text) == []


def test_chinese_text_gives_up_its_numbers_and_paths() -> None:
    assert exact_strings("请在2024年5月1日前付300元，文件见/var/log/app.log。") == ["2024年5月1日", "300元", "/var/log/app.log"]


def test_order_of_appearance_each_once_the_longer_of_two() -> None:
    assert exact_strings("A17B, then 2024-05-01T10:00:00, then A17B") == ["A17B", "2024-05-01T10:00:00"]


def test_the_least_guessable_comes_first() -> None:
    text = "In 2024 the file tests/test_views.py took 20 seconds for booking QX-77419 and 3fa85f64-5717-4562-b3fc-2c963f66afa6."
    assert sidecar_of([text], max_tokens=100, count=words)[:2] == ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "QX-77419")


def test_what_other_pages_show_comes_later() -> None:
    text = ["codes AB12-99 and CD34-88"]
    assert sidecar_of(text, max_tokens=100, count=words) == ("AB12-99", "CD34-88")
    assert sidecar_of(text, max_tokens=100, count=words, seen={"AB12-99": 9}) == ("CD34-88", "AB12-99")


def test_a_string_inside_another_is_dropped() -> None:
    assert sidecar_of(["See https://x.org/QX-77419 for QX-77419."], max_tokens=100, count=words) == ("https://x.org/QX-77419",)


@given(st.lists(st.text(alphabet="aZ09-_./:@$ %\n", max_size=60), max_size=5), st.integers(0, 60))
def test_bounded_deterministic_and_verbatim(texts: list[str], budget: int) -> None:
    strings = sidecar_of(texts, max_tokens=budget, count=words)
    assert sum(words(string) + 1 for string in strings) <= budget
    assert strings == sidecar_of(iter(texts), max_tokens=budget, count=words)
    assert all(any(string in text for text in texts) for string in strings)
    assert not any(one in other for one in strings for other in strings if one is not other)


@given(st.text(st.characters(), max_size=300))
def test_any_text_is_taken(text: str) -> None:
    found = exact_strings(text)
    assert all(string in text and 1 < len(string) <= 200 for string in found)
    assert len(set(found)) == len(found)


FLOODS = [
    "a-",
    "a",
    "1",
    "1.",
    "1,000",
    "/",
    "a/",
    "--a",
    "A1 ",
    "a@",
    "a@b.",
    "$1",
    "+1 ",
    "1:11",
    "http://(",
    "_",
    "~/",
    "\\",
    "aé",
    "a-é",
    "Az9/",
    "1年",
    "1.000",
    "1,1",
    "0 1",
    "1-",
    "a:",
    "1::",
]


@pytest.mark.parametrize("pattern", mostly_slow(FLOODS, quick=FLOODS[::4]))
def test_hostile_text_takes_linear_time(pattern: str) -> None:
    began = time.process_time()
    exact_strings(pattern * (200_000 // len(pattern)))
    assert time.process_time() - began < 5  # under half a second; one quadratic pattern takes minutes


def each_by_itself(text: str) -> set[tuple[int, int]]:
    """What `spans_in` finds, by each pattern alone at every character."""
    found = {_exact(text, *match.span(), kind.worthy) for kind in _KINDS for match in re.compile(kind.pattern, re.ASCII).finditer(text)} | {
        _exact(text, *match.span(), _always) for pattern, _ in _INSIDE_WORDS for match in pattern.finditer(text)
    }
    return {span for span in found if span}


# fmt: off
ATOMS = [
    "a", "May", "www.", "http://", "x@y.z", "12", "3", "2024-05-01", "-", ".", "/", ":",
    "é", "ж", "年", "月", "元", "$", "€", "+", "−", "(", ")", "~",
    "@", "%", "#", "_", "I", "O0", "AI", "C:\\", "0x1f", "--flag", "-f", "=",
    ",", "'", "\"", ";", "!", "]", "kg", "e5", "×", "pm", "v1", "a1b2c3d4e5f6",
    "GB82", "WEST", "1234", "::", "ffff", "*", "<", "st", "of", "million", "the", "Word",
    "\u3000",
]
# fmt: on


@given(st.lists(st.sampled_from([*ATOMS, " ", "\n"]), max_size=14).map("".join))
def test_one_scan_finds_what_each_pattern_finds_alone(text: str) -> None:
    assert spans_in(text) == each_by_itself(text)


def test_one_scan_finds_in_conversations_what_each_pattern_finds_alone() -> None:
    for file in DATA:
        text = file.read_text("utf-8")[-12_000:]
        assert spans_in(text) == each_by_itself(text), file

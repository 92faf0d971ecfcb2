"""Which turn comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.text.ranking import LARGE_LOG
from optical_memory.text.term_index import TermIndex


def index_of(*texts: str) -> TermIndex:
    index = TermIndex()
    for number, text in enumerate(texts, 1):
        index.add(number, text)
    return index


CHATTER = [f"so what is the plan for day {n}, and with whom" for n in range(30)]


@pytest.mark.parametrize(
    ("log", "query"),
    [
        (["She adopted two puppies.", "The weather was fine.", "Nothing else."], "Who is adopting a puppy?"),
        (["Er hat die Wohnung gekündigt.", "Das Wetter ist nicht schön.", "Und sonst nichts."], "Wann wurden die Wohnungen gekündigt?"),
        (["Elle a réservé les billets.", "Il ne fait pas beau.", "Rien, vous savez."], "Qui est-ce qui réserve le billet ?"),
        (["Reservaron las entradas.", "Pero esta ciudad es una maravilla.", "Nada más."], "¿Quién está reservando la entrada?"),
        (["Comprou as passagens.", "Não está com uma boa cara.", "Mais nada."], "Quem vai comprar a passagem para ele?"),
        (["Ha prenotato i biglietti.", "Non sono di qui, che peccato.", "Niente altro."], "Chi ha prenotato il biglietto?"),
        (["De hond heeft de katten gezien.", "Het is niet van mij.", "Verder niets."], "Welke kat heeft hij gezien?"),
        (["Hon köpte biljetterna.", "Och jag vet inte att det är så.", "Inget annat."], "Vem har köpt biljetten?"),
        (["Она купила билеты.", "Что это за погода, не знаю.", "Как всегда."], "Кто купил билет?"),
    ],
)
def test_words_are_found_in_other_forms(log: list[str], query: str) -> None:
    assert index_of(*log, *["..."] * 3).search(query, 1) == [1]


def test_without_frequent_words_the_language_is_that_of_the_log() -> None:
    assert index_of(*CHATTER, "He adopts the puppy.").search("adopted puppies", 1) == [31]
    assert index_of("adopts puppy").search("adopted puppies", 1) == []


def test_identifiers_have_no_other_forms() -> None:
    assert index_of(*CHATTER, "the values_a and the xs2").search("values_b", 9) == [31]  # by the part that both have


def test_frequent_words_are_looked_for_only_if_no_other_is_found() -> None:
    assert index_of("the cat", "a dog of the house").search("the dog", 5)[0] == 2
    assert index_of("cats only", "a dog").search("the only whale", 5) == [1]
    assert index_of("to be or not to be", "dogs").search("to be or not to be", 1) == [1]


def test_a_rare_word_beats_many_common_ones() -> None:
    assert index_of(*CHATTER, "booking confirmed").search("what is the booking", 1) == [31]


def test_of_one_word_all_parts_come_before_some() -> None:
    index = index_of("qx " * 9, "qx-77419 " + "and a long text " * 50, "qx 77419", "blue")
    assert index.search("QX-77419", 9) == [2, 3, 1]


def test_the_answer_beside_the_question_is_found() -> None:
    log = [
        *CHATTER,
        "Which instrument do you play?",
        "The violin, for years.",
        *CHATTER,
        "An instrument of torture, " + "so they say " * 30,
    ]
    assert index_of(*log).search("Which instrument does she play?", 2) == [31, 32]
    assert 32 not in index_of(*log).search("instrument", 9)  # one word is looked for as it is


def test_equals_come_newest_first() -> None:
    assert index_of("same", "same", "same").search("same", 2) == [3, 2]


def test_in_a_large_log_what_most_turns_hold_is_left_out_if_something_is_rarer() -> None:
    index = index_of(*["common"] * LARGE_LOG, "rare")
    assert index.search("common rare", 1) == [LARGE_LOG + 1]
    assert len(index.search("common", LARGE_LOG)) == LARGE_LOG


def test_what_is_removed_is_gone() -> None:
    index = index_of("alpha beta", "beta")
    index.remove(1)
    index.remove(1)
    index.remove(7)
    assert index.search("alpha", 5) == []
    assert index.search("beta", 5) == [2]
    assert index.search("beta", 0) == []


WORDS = st.lists(st.sampled_from(["the", "of", "cat", "cats", "adopt", "adopted", "火车票", "file_id", "QX-7"]), max_size=6).map(" ".join)


@given(st.lists(WORDS, max_size=12), WORDS, st.sets(st.integers(1, 12)))
def test_a_shorter_list_always_begins_a_longer_one_and_removed_turns_never_come_back(log: list[str], query: str, gone: set[int]) -> None:
    index = index_of(*log)
    for number in gone:
        index.remove(number)
    found = index.search(query, 99)
    assert len(set(found)) == len(found) and set(found) <= set(range(1, len(log) + 1)) - gone
    assert [index.search(query, limit) for limit in range(len(found) + 1)] == [found[:limit] for limit in range(len(found) + 1)]
    left = TermIndex()
    for number, text in enumerate(log, 1):
        if number not in gone:
            left.add(number, text)
    assert left.search(query, 99) == found

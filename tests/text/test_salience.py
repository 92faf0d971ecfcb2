"""What matters on a page: sentences of any script, and reasons that add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optical_memory.text.salience import LONGEST, WEIGHTS, Rarity, sentences, why, worth

TALK = [
    "Hey! Thanks so much, that's awesome!",
    "My booking is QX-77419 and the train to Lyon leaves at 7:40.",
    "How are you?",
    "We decided to meet Dr. Okafor at the harbour.",
]


def cut(text: str) -> list[str]:
    return [text[start:stop] for start, stop in sentences(text)]


def test_sentences_end_as_their_scripts_end_them() -> None:
    assert cut('I paid $3.50. Dr. Ito said (at last!) "yes..." Why?') == ["I paid $3.50.", "Dr. Ito said (at last!)", '"yes..."', "Why?"]
    assert cut("推荐全聚德。地址在前门！电话呢？") == ["推荐全聚德。", "地址在前门！", "电话呢？"]
    assert cut("هل أنت بخير؟ نعم.") == ["هل أنت بخير؟", "نعم."]
    assert cut("# Plan\n- one\n- two") == ["# Plan", "- one", "- two"]


@given(st.text(max_size=2_000) | st.text(alphabet=".!?。\"') \n,a", max_size=2_000))
def test_sentences_hold_everything_that_is_not_white_once_and_in_order(text: str) -> None:
    assert "".join("".join(cut(text)).split()) == "".join(text.split())
    assert all(0 < stop - start <= LONGEST for start, stop in sentences(text))


def test_hostile_runs_are_cut_in_linear_time() -> None:
    for text in ("." * 400_000, "'" * 400_000, "a." * 200_000, "," * 400_000, "A " * 200_000, "\n" * 400_000):
        assert sum(stop - start for start, stop in sentences(text)) <= len(text)  # the test's own time limit is the bound
        why(text[:LONGEST], Rarity([text]))


def test_facts_come_before_pleasantries() -> None:
    rare = Rarity(TALK)
    ranked = sorted(TALK, key=lambda text: -worth(text, rare))
    assert set(ranked[:2]) == {TALK[1], TALK[3]}


def test_reasons_are_named_and_add_up() -> None:
    rare = Rarity(TALK)
    reasons = why(TALK[1], rare)
    assert {"rare words", "numbers", "exact strings", "names"} <= reasons.keys() <= WEIGHTS.keys()
    assert why(TALK[0], rare)["pleasantry"] < 0
    assert why(TALK[2], rare)["question"] < 0
    assert "decision" in why(TALK[3], rare)
    assert why("# Travel plan", rare)["heading"] > 0


@given(st.sampled_from(TALK), st.floats(0, 1), st.floats(0, 1))
def test_importance_never_lowers_a_sentence(text: str, one: float, other: float) -> None:
    rare = Rarity(TALK)
    assert worth(text, rare, importance=min(one, other)) <= worth(text, rare, importance=max(one, other))

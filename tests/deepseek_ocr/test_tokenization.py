from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.deepseek_ocr.tiny import make_tiny
from optical_memory.deepseek_ocr.tokenization import StreamDecoder, Tokenizer
from optical_memory.errors import WeightsMismatch, WeightsNotFound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tokenizer") / "model")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_folder(folder)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(TEXTS)
def test_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


PIECES = ["<image>", "<|ref|>", "<|/det|>", "<td>", "<｜end▁of▁sentence｜>", "<", "<|", "the", "\n", "<ima", "ge>"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_content_never_gives_an_added_token(tokenizer: Tokenizer, text: str) -> None:
    added = {tokenizer.id_of(name) for name in PIECES if tokenizer.id_of(name) is not None and name.endswith(">") and name.startswith("<")}
    assert len(added) >= 5
    ids = tokenizer.encode(text)
    assert not added & set(ids)
    assert tokenizer.decode(ids) == text


def test_prompts_of_the_model_do(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_prompt("<|grounding|>the")[0] == tokenizer.id_of("<|grounding|>")


@given(st.lists(st.integers(0, 280), max_size=60))
def test_what_streams_is_what_is_decoded(tokenizer: Tokenizer, ids: list[int]) -> None:
    stream = StreamDecoder(tokenizer)
    pieces = [stream.push(token) for token in ids]
    assert "".join(pieces) + stream.flush() == tokenizer.decode(ids)
    if not tokenizer.decode(ids).count("\ufffd"):
        assert not any("\ufffd" in piece for piece in pieces), "half a character was said"


def test_garbage_is_said_without_waiting_for_its_end(tokenizer: Tokenizer) -> None:
    stream = StreamDecoder(tokenizer)
    (lead,) = {tokenizer.encode("é")[0], tokenizer.encode("è")[0]}  # the first byte of a character, again and again
    said = [stream.push(lead) for _ in range(500)]
    assert len(stream._pending) <= 8
    assert "".join(said) + stream.flush() == tokenizer.decode([lead] * 500)


@given(TEXTS)
def test_whole_characters_stream(tokenizer: Tokenizer, text: str) -> None:
    stream = StreamDecoder(tokenizer)
    pieces = [stream.push(token) for token in tokenizer.encode(text)]
    assert "".join(pieces) + stream.flush() == text
    assert all(piece in text for piece in pieces)


def test_a_tokenizer_that_loses_spaces_is_refused(folder: Path, tmp_path: Path) -> None:
    described = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    described["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(WeightsMismatch, match=r"turns .* into"):
        Tokenizer.from_folder(tmp_path)


def test_no_tokenizer_and_a_broken_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFound, match=r"no tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsMismatch, match="no tokenizer that can be read"):
        Tokenizer.from_folder(tmp_path)

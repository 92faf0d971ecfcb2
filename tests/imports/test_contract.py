"""What every format of export keeps: order, words, times, calls with their results, pictures; and that a second import adds nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.errors import InvalidTurn
from optical_memory.imports import Imported, UnknownExport, formats, import_into, read_conversations
from optical_memory.stores import SessionId, open_store
from optical_memory.stores.base import Store
from optical_memory.turns.turn import ImageContent, ToolResultContent, Turn
from tests.sampling import examples

from .writers import PNG, START, TALK, WRITERS, Said, Writer, when

NEEDS = {"langchain": "langchain_core", "langsmith": "langchain_core", "pydantic-ai": "pydantic_ai"}


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest) -> Writer:
    if package := NEEDS.get(request.param):
        pytest.importorskip(package, reason=f"the sample is made with {package}")
    return WRITERS[request.param]


@pytest.fixture
def store() -> Store:
    return open_store(f"memory://{uuid.uuid4().hex}")


def turns_after(store: Store, writer: Writer, talk: Sequence[Said], folder: Path) -> tuple[Imported, list[Turn]]:
    folder.mkdir(exist_ok=True)
    (done,) = import_into(store, writer.write(talk, folder))
    return done, store.read(SessionId(done.session))


def plain(turns: Sequence[Turn]) -> list[Said]:
    """Turns as they were written: one message of the model is one turn, or one for its words and one for its call."""
    found: list[Said] = []
    for turn in turns:
        results = [part for part in turn.parts if isinstance(part, ToolResultContent)]
        calls = [(call.name, json.loads(call.arguments)) for call in turn.tool_calls]
        if turn.role == "tool" or results:
            assert len(turn.answered_calls) == 1
            found.append(Said("tool", turn.text, failed=any(part.is_error for part in results)))
            continue
        words = turn.text if not calls else "".join(part.text for part in turn.parts if part.type == "text")
        if calls and not words and found and found[-1].role == "assistant" and found[-1].call is None:
            words, last = found[-1].text, found.pop()
            assert last.text
        found.append(Said(turn.role, words, calls[0] if calls else None, bool(turn.images)))
    return found


def kept_by(writer: Writer, talk: Sequence[Said]) -> list[Said]:
    def as_kept(said: Said) -> Said:
        text = said.text
        if said.picture and not writer.pictures:
            text = f"{text}\n\n[file: ticket.png]"
        return Said(said.role, text, said.call, said.picture and writer.pictures, said.failed and writer.failures)

    return [as_kept(said) for said in talk]


def test_a_conversation_comes_back_in_order(writer: Writer, store: Store, tmp_path: Path) -> None:
    done, turns = turns_after(store, writer, TALK, tmp_path)
    assert plain(turns) == kept_by(writer, TALK)
    assert (done.format, done.known, done.new) == (writer.format, 0, len(turns))


def test_its_words_are_found(writer: Writer, store: Store, tmp_path: Path) -> None:
    done, turns = turns_after(store, writer, TALK, tmp_path)
    assert store.search(SessionId(done.session), "QX-77419", 5) == [turns[0].number]


def test_every_result_names_the_call_before_it(writer: Writer, store: Store, tmp_path: Path) -> None:
    _, turns = turns_after(store, writer, TALK, tmp_path)
    made: list[str] = []
    for turn in turns:
        assert set(turn.answered_calls) <= set(made)
        made += [call.id for call in turn.tool_calls]
    assert len(made) == len(set(made)) == sum(1 for said in TALK if said.call)
    assert all(made)


def test_times_are_those_of_the_export(writer: Writer, store: Store, tmp_path: Path) -> None:
    _, turns = turns_after(store, writer, TALK, tmp_path)
    times = [turn.said_at for turn in turns if turn.said_at]
    if not writer.times:
        assert times == [], "the day of the import is not the day of what was said"
        return
    assert len(times) == len(turns)
    assert times == sorted(times)
    assert times[0] == START
    assert times[-1] == when(len(TALK) - 1)


def test_pictures_come_along(writer: Writer, store: Store, tmp_path: Path) -> None:
    _, turns = turns_after(store, writer, TALK, tmp_path)
    images = [image for turn in turns for image in turn.images]
    if not writer.pictures:
        assert "[file: ticket.png]" in "".join(turn.text for turn in turns)
        return
    assert [image.decode() for image in images] == [PNG]
    assert isinstance(images[0], ImageContent)
    assert images[0].media_type == "image/png"


def test_a_second_import_adds_nothing(writer: Writer, store: Store, tmp_path: Path) -> None:
    first, turns = turns_after(store, writer, TALK, tmp_path)
    again, after = turns_after(store, writer, TALK, tmp_path)
    assert (again.session, again.new, again.known, again.last) == (first.session, 0, first.new, first.last)
    assert after == turns


@pytest.mark.parametrize("known", range(1, len(TALK)))
def test_an_export_that_grew_adds_the_rest(writer: Writer, store: Store, tmp_path: Path, known: int) -> None:
    """Also where the first export ended between a call and its result."""
    turns_after(store, writer, TALK[: max(known, 2) if writer.runs else known], tmp_path / "first")
    turns_after(store, writer, TALK, tmp_path / "second")
    _, turns = turns_after(store, writer, TALK, tmp_path / "second")
    assert [said.text for said in plain(turns)] == [said.text for said in kept_by(writer, TALK)]
    assert [call.name for turn in turns for call in turn.tool_calls] == ["get_weather"]


def test_a_failed_call_stays_failed(writer: Writer, store: Store, tmp_path: Path) -> None:
    talk = [*TALK[:2], Said("tool", "no such city", failed=True), *TALK[3:]]
    _, turns = turns_after(store, writer, talk, tmp_path)
    assert plain(turns) == kept_by(writer, talk)


def test_a_broken_file_stores_nothing(writer: Writer, store: Store, tmp_path: Path) -> None:
    path = writer.write(TALK, tmp_path)
    path = path / "conversations.json" if path.is_dir() else path
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InvalidTurn, match=path.name):
        import_into(store, path)
    assert store.sessions() == []


def test_one_unknown_file_among_others_stores_nothing(writer: Writer, store: Store, tmp_path: Path) -> None:
    writer.write(TALK, tmp_path)
    (tmp_path / "zz.json").write_text('{"recipe": ["flour"], "oven": 220}')
    with pytest.raises(UnknownExport, match=r"zz\.json holds an object with the keys \['oven', 'recipe'\]") as caught:
        import_into(store, tmp_path)
    assert store.sessions() == []
    assert all(format.name in str(caught.value) for format in formats())


def test_reading_alone_gives_the_same_messages(writer: Writer, store: Store, tmp_path: Path) -> None:
    done, turns = turns_after(store, writer, TALK, tmp_path)
    (found,) = read_conversations(writer.write(TALK, tmp_path))
    assert [message["id"] for message in found.messages] == [turn.id for turn in turns]
    assert done.title == found.title


def _alternating(pairs: list[tuple[str, Any, str]]) -> list[Said]:
    talk: list[Said] = []
    for asked, call, answered in pairs:
        talk.append(Said("user", asked))
        if call:
            talk += [Said("assistant", "", call=call[0]), Said("tool", call[1])]
        talk.append(Said("assistant", answered))
    return talk


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).map(lambda text: f"w{text}w")
names = st.sampled_from(["get_weather", "search", "run"])
arguments = st.dictionaries(
    st.sampled_from(["city", "q", "n"]), st.one_of(words, st.integers(0, 99), st.lists(words, max_size=2)), min_size=1
)
talks = st.lists(st.tuples(words, st.none() | st.tuples(st.tuples(names, arguments), words), words), min_size=1, max_size=4).map(
    _alternating
)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=examples(15))
@given(talk=talks)
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, name: str, talk: list[Said]) -> None:
    if package := NEEDS.get(name):
        pytest.importorskip(package, reason=f"the sample is made with {package}")
    store = open_store(f"memory://{uuid.uuid4().hex}")
    writer = WRITERS[name]
    folder = tmp_path_factory.mktemp("written")
    _, turns = turns_after(store, writer, talk, folder)
    assert plain(turns) == kept_by(writer, talk)
    assert turns_after(store, writer, talk, folder)[0].new == 0

"""Public sets of conversations with questions, in the shapes in which they are published. Nothing is downloaded.

- LoCoMo (arXiv 2402.17753): `locomo10.json`, a list of samples with `conversation` and `qa`; evidence is named `D3:11`, session and turn.
- LongMemEval (arXiv 2410.10813): `longmemeval_s.json` and the like, a list of questions, each with sessions of its own.
- BEAM (arXiv 2510.27246): a folder for each chat, with `chat.json` and `probing_questions/probing_questions.json`.

Conversations with questions in this library's own shape (`messages` and `questions`) are read too. A question whose evidence is not named,
or named so that it fits several turns, is left out and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optical_memory.evaluation.conversations import Conversation, Question, read_conversation

__all__ = ["SETS", "read_set"]

Data = Mapping[str, Any]
LOCOMO_KINDS = ("1", "2", "3", "4")  # 5 asks for what was never said: it has no answer, and its evidence says something else
OWN_KINDS = (1, 2, 3, 4)
ANSWERS = ("answer", "ideal_answer", "ideal_response", "ideal_summary", "expected_compliance")
MARK = re.compile(r"\s*->->\s*[\d,\s]+$")  # BEAM's number of a prompt, at the end of what the user says
UNANSWERABLE = "_abs"  # at the end of the id of a LongMemEval question


def read_set(name: str, folder: Path, kinds: Sequence[str] = ()) -> Iterator[Conversation]:
    """Yield the conversations of a set below a folder, or of one file, in order of their files' names.

    Args:
        name: a key of `SETS`.
        kinds: only questions of these: LoCoMo's categories, LongMemEval's `question_type`, BEAM's abilities; all if empty.

    Raises `ValueError` if there are none, or a file has another shape.
    """
    count = 0
    for file in _files(name, folder):
        for talk in _read(name, file, kinds):
            count += 1
            yield talk
    if not count:
        raise ValueError(f"no conversations of {name} in {str(folder)!r}: it needs {SETS[name][1]}")


def _files(name: str, folder: Path) -> list[Path]:
    if not folder.exists():
        raise ValueError(f"--data {str(folder)!r} is not there; name the folder with {SETS[name][1]}")
    pattern = "chat.json" if name == "beam" else "*.json"
    found = [folder] if folder.is_file() else sorted(folder.rglob(pattern), key=lambda file: [_natural(part) for part in file.parts])
    return [file for file in found if name != "beam" or _questions_of(file).is_file()]


def _natural(part: str) -> tuple[int, str]:
    """Sort chat 2 before chat 11."""
    return (int(part), "") if part.isdigit() else (0, part)


def _read(name: str, file: Path, kinds: Sequence[str]) -> Iterator[Conversation]:
    try:
        data = json.loads(file.read_text("utf-8"))
        if isinstance(data, dict) and "messages" in data:
            if "questions" in data:
                yield read_conversation(file, categories=[int(kind) for kind in kinds if kind.isdigit()] or OWN_KINDS)
            return
        yield from SETS[name][0](file, data, kinds)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as exc:
        raise ValueError(f"{str(file)!r} is not of {name} ({type(exc).__name__}: {exc}); it needs {SETS[name][1]}") from exc


def _locomo(file: Path, data: Any, kinds: Sequence[str]) -> Iterator[Conversation]:
    for place, sample in enumerate([data] if isinstance(data, dict) else data):
        talk = sample["conversation"]
        ids, messages = list[str](), list[Data]()
        for number in sorted(int(key[8:]) for key in talk if re.fullmatch(r"session_\d+", key)):
            said = _moment(talk.get(f"session_{number}_date_time"), "%I:%M %p on %d %B, %Y")
            for turn in talk[f"session_{number}"]:
                ids.append(turn["dia_id"])
                messages.append(
                    _message("user" if turn["speaker"] == talk["speaker_a"] else "assistant", _spoken(turn), said, turn["speaker"])
                )
        asked = [entry for entry in sample["qa"] if str(entry["category"]) in (kinds or LOCOMO_KINDS) and entry.get("answer") is not None]
        evidence = [re.findall(r"D\d+:\d+", " ".join(entry["evidence"])) for entry in asked]
        yield _conversation(str(sample.get("sample_id", f"{file.stem}-{place}")), messages, ids, zip(asked, evidence, strict=True))


def _spoken(turn: Data) -> str:
    """Return what was said, with what a picture that came with it shows: LoCoMo's own caption."""
    caption = turn.get("blip_caption")
    return f"{turn['text']} [shared a picture: {caption}]" if caption else str(turn["text"])


def _longmemeval(file: Path, data: Any, kinds: Sequence[str]) -> Iterator[Conversation]:
    for entry in data:
        if (kinds and entry["question_type"] not in kinds) or entry["question_id"].endswith(UNANSWERABLE):
            continue
        parts = zip(entry["haystack_session_ids"], entry["haystack_dates"], entry["haystack_sessions"], strict=True)
        dated = [(_moment(date, "%Y/%m/%d (%a) %H:%M"), name, turns) for name, date, turns in parts]
        dated.sort(key=lambda part: part[0] or datetime.min.replace(tzinfo=UTC))  # longmemeval_oracle.json is in no order
        told = [(said, name, turn) for said, name, turns in dated for turn in turns if turn["content"]]
        marked = [str(number) for number, (_, _, turn) in enumerate(told) if turn.get("has_answer")]
        named = [str(number) for number, (_, name, _) in enumerate(told) if name in entry["answer_session_ids"]]
        messages = [_message(turn["role"], turn["content"], said) for said, _, turn in told]
        ids = [str(number) for number in range(len(told))]
        yield _conversation(entry["question_id"], messages, ids, [(entry, marked or named)])


def _beam(file: Path, data: Any, kinds: Sequence[str]) -> Iterator[Conversation]:
    short = file.with_name("chat_trunecated.json")  # as it is spelt there; where it is, the questions are about it
    turns = list(_turns_in(json.loads(short.read_text("utf-8")) if short.is_file() else data, None))
    messages = [_message(turn["role"], MARK.sub("", turn["content"]), said) for turn, said in turns]
    asked = json.loads(_questions_of(file).read_text("utf-8"))
    entries = [entry for kind, found in asked.items() if not kinds or kind in kinds for entry in found]
    evidence = [[str(number) for number in _numbers_in(entry.get("source_chat_ids"))] for entry in entries]
    name = f"{file.parent.parent.name}-{file.parent.name}"
    yield _conversation(name, messages, [str(turn["id"]) for turn, _ in turns], zip(entries, evidence, strict=True))


def _questions_of(file: Path) -> Path:
    return file.parent / "probing_questions" / "probing_questions.json"


def _turns_in(part: Any, said: datetime | None) -> Iterator[tuple[Data, datetime | None]]:
    """Yield turns out of batches, or out of plans of batches, each with the last date that was named."""
    if isinstance(part, dict) and "content" in part:
        yield part, _moment(part.get("time_anchor"), "%B-%d-%Y") or said
        return
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        for turn, when in _turns_in(inner, said):
            said = when
            yield turn, when


def _numbers_in(part: Any) -> Iterator[int]:
    if isinstance(part, int):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _numbers_in(inner)


def _message(role: str, content: str, said: datetime | None, name: str | None = None) -> Data:
    found = {"role": role, "content": content, "name": name, "created_at": said}
    return {key: value for key, value in found.items() if value is not None}


def _moment(text: object, form: str) -> datetime | None:
    try:
        return datetime.strptime(str(text), form).replace(tzinfo=UTC)
    except ValueError:
        return None


def _conversation(name: str, messages: Sequence[Data], ids: Sequence[str], asked: Any) -> Conversation:
    """Put a conversation together, with those questions whose evidence is named and stands at one place each."""
    places: dict[str, list[int]] = {}
    for number, id in enumerate(ids, 1):
        places.setdefault(id, []).append(number)
    found, without = list[Question](), 0
    for entry, evidence in asked:
        numbers = [places.get(id, []) for id in evidence]
        if numbers and all(len(each) == 1 for each in numbers):
            found.append(Question(entry["question"], _answers(entry), tuple(sorted({each[0] for each in numbers}))))
        else:
            without += 1
    return Conversation(name, tuple(messages), tuple(found), without)


def _answers(entry: Data) -> tuple[str, ...]:
    return tuple(str(entry[key]) for key in ANSWERS if entry.get(key) is not None)


SETS: dict[str, tuple[Callable[[Path, Any, Sequence[str]], Iterator[Conversation]], str]] = {
    "locomo": (_locomo, "locomo10.json, or conversations of this library's shape"),
    "longmemeval": (_longmemeval, "longmemeval_s.json, longmemeval_m.json or longmemeval_oracle.json"),
    "beam": (_beam, "a folder for each chat with chat.json and probing_questions/probing_questions.json"),
}
"""Name -> the reader of a file, and what a folder must hold."""

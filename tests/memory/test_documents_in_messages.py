"""PDFs in the messages of every provider: their pages become pages of the memory, and the message stays what it was."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from optical_memory import OpticalMemory
from optical_memory.turns.turn import OtherContent
from tests.documents.handmade import HandmadePage, lines, pdf
from tests.memory.test_documents import NAME, SECRET, asked, is_red, opened, page_of, picture, report

pytest.importorskip("pypdfium2", reason="opening a PDF needs the extra documents")

FILE = report(6)
DATA = base64.b64encode(FILE).decode()
URL = f"data:application/pdf;base64,{DATA}"
SHAPES: dict[str, dict[str, Any]] = {
    "openai file": {"type": "file", "file": {"filename": NAME, "file_data": URL}},
    "openai input_file": {"type": "input_file", "filename": NAME, "file_data": URL},
    "anthropic document": {
        "type": "document", "title": NAME, "source": {"type": "base64", "media_type": "application/pdf", "data": DATA},
    },
    "langchain file": {"type": "file", "source_type": "base64", "mime_type": "application/pdf", "data": DATA, "filename": NAME},
    "langchain 1 file": {"type": "file", "base64": DATA, "mime_type": "application/pdf", "filename": NAME},
    "gemini inline_data": {"inline_data": {"mime_type": "application/pdf", "data": DATA, "display_name": NAME}},
    "bedrock document": {"document": {"format": "pdf", "name": NAME, "source": {"bytes": DATA}}},
}  # fmt: skip


def told(memory: OpticalMemory, block: dict[str, Any]) -> None:
    memory.append({"role": "user", "content": [{"type": "text", "text": "Read this, please."}, block]})


@pytest.mark.parametrize("block", SHAPES.values(), ids=SHAPES)
def test_a_pdf_in_a_message_becomes_pages(block: dict[str, Any]) -> None:
    memory = opened()
    told(memory, block)
    [part] = memory.turns()[0].documents
    assert (part.name, len(part.pages), part.native, part.block) == (NAME, 6, True, block)
    best = memory.recall_pages("password of day 5")[0]
    assert best.cited_as == "#1 p. 5"
    memory.append(("assistant", "I have read it."))
    context = asked(memory, 1_300)
    documents = [part.page for part in context.pages if part.page.sheet]
    assert documents[-1].cited_as == "#1 p. 6" and is_red(picture(documents[-1].image("small")), 0.02, 0.02)


@pytest.mark.parametrize(
    ("dialect", "kind"), [("openai", "openai file"), ("anthropic", "anthropic document"), ("gemini", "gemini inline_data")]
)
@pytest.mark.filterwarnings("ignore:the context was priced")
def test_while_its_turn_is_text_a_pdf_is_sent_as_it_came(dialect: str, kind: str) -> None:
    memory, before = opened(), opened()
    told(memory, SHAPES[kind])
    plain = OtherContent(block=SHAPES[kind])
    assert memory.messages(dialect=dialect)[0].get("content", memory.messages(dialect=dialect)[0].get("parts"))[1] == SHAPES[kind] | (
        {"inline_data": {key: value for key, value in SHAPES[kind]["inline_data"].items() if key != "display_name"}}
        if dialect == "gemini"
        else {}
    )
    before._store.append(
        before.session, [memory.turns()[0].model_copy(update={"number": 0, "content": (memory.turns()[0].parts[0], plain)})]
    )
    assert memory.context().usage.prompt_tokens == before.context().usage.prompt_tokens


def test_a_pdf_that_cannot_be_opened_stays_in_its_message() -> None:
    memory = opened()
    locked = base64.b64encode(pdf([HandmadePage(lines("Locked"))], password="x")).decode()
    block = {"type": "file", "file": {"filename": NAME, "file_data": f"data:application/pdf;base64,{locked}"}}
    with pytest.warns(RuntimeWarning, match="is encrypted.*the message keeps it as it came"):
        told(memory, block)
    [_, part] = memory.turns()[0].parts
    assert type(part) is OtherContent and part.block == block


def test_a_pdf_with_a_secret_is_not_sent() -> None:
    memory = opened(redact=True)
    data = base64.b64encode(pdf([page_of(1, more=f"Key: {SECRET}")])).decode()
    told(memory, {"type": "file", "file": {"filename": NAME, "file_data": f"data:application/pdf;base64,{data}"}})
    said = str(memory.messages())
    assert SECRET not in said and data[:200] not in said and "word1x7919" in said


def test_a_named_file_and_a_text_document_stay_as_they_were() -> None:
    memory = opened()
    named = {"type": "file", "file": {"file_id": "file-1"}}
    text = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Oil for the lamp"}}
    memory.append({"role": "user", "content": [named, text]})
    assert [type(part) for part in memory.turns()[0].parts] == [OtherContent, OtherContent]
    assert "Oil for the lamp" in memory.turns()[0].text

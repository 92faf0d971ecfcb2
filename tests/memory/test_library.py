"""Libraries: documents that sessions share."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from optical_memory import Context, OpticalMemory, PagePart
from optical_memory.errors import DocumentError
from optical_memory.memory.library import Library
from optical_memory.messages import to_anthropic
from optical_memory.stores import open_store
from optical_memory.stores.base import Store
from tests.documents.handmade import HandmadePage, box, lines, pdf
from tests.memory.test_documents import SECRET, is_red, opened, page_of, picture, report

pytest.importorskip("pypdfium2", reason="opening a PDF needs the extra documents")

PUMPS = pdf(
    [
        page_of(1),
        HandmadePage(lines(*[f"Pump {number} runs at {number * 37} bar and is oiled on Mondays." for number in range(30)], size=11)),
    ],
    title="Pump manual",
    outline=[("Safety", 1), ("Pressures", 2)],
)


def library_of(store: Store | str = "memory://") -> Library:
    library = Library("manuals", store=store)
    library.attach(PUMPS, name="pump.pdf")
    library.attach(report(), name="lighthouses.pdf")
    return library


def asked(memory: OpticalMemory, question: str, library: Library, budget: int | None = 4_000) -> Context:
    memory.append(("user", question))
    return memory.context(budget, libraries=[library])


def test_a_document_is_stored_once(store: Store) -> None:
    library = library_of(store)
    again = Library("manuals", store=store).attach(PUMPS, name="another-name.pdf")
    assert (again.number, again.name) == (1, "pump.pdf")
    assert [(each.number, each.name, len(each.pages)) for each in library.documents()] == [(1, "pump.pdf", 2), (2, "lighthouses.pdf", 12)]


def test_an_overview_comes_first_and_the_page_that_answers_before_the_question() -> None:
    context = asked(opened(), "At how many bar does pump 21 run?", library_of())
    assert "[manuals: pump.pdf], Pump manual, 2 pages: Safety p. 1; Pressures p. 2" in context.framing
    overview = [item for item in context.plan.library if item.why == "overview"]
    assert [(item.document, item.page) for item in overview[:4]] == [
        ("pump.pdf", 1),
        ("lighthouses.pdf", 1),
        ("pump.pdf", 2),
        ("lighthouses.pdf", 2),
    ]
    best = next(item for item in context.plan.library if item.why != "overview")
    assert (best.document, best.page, best.shown_as) == ("pump.pdf", 2, "small")
    assert best.why.startswith("1st of the pages that say ") and "pump" in best.why
    *before, question = context.parts
    chosen = [part for part in context.parts if isinstance(part, PagePart)][len(overview) :]
    assert chosen[0].text.startswith("[manuals: pump.pdf p. 2 of 2]") and "777" in chosen[0].text
    assert before[-1] is chosen[-1] and question.turns[-1].text == "At how many bar does pump 21 run?"  # type: ignore[union-attr]
    assert context.usage.prompt_tokens <= 4_000


def test_the_prefix_does_not_depend_on_the_question() -> None:
    memory, library = opened(), library_of()
    memory.append({"role": "system", "content": "Answer briefly."})
    first = asked(memory, "At how many bar does pump 21 run?", library)
    memory.append(("assistant", "777."))
    second = asked(memory, "Which password did day 7 have?", library)
    overviews = [[item for item in context.plan.library if item.why == "overview"] for context in (first, second)]
    assert overviews[0] == overviews[1] and first.plan.library != second.plan.library
    sent = [[block for message in to_anthropic(context) for block in message["content"]] for context in (first, second)]
    same = 3 + 2 * len(overviews[0])  # the system turn, the framing text, and each page with its label
    assert sent[0][:same] == sent[1][:same] and sum(block["type"] == "image" for block in sent[0][:same]) == len(overviews[0]) > 4


def test_pages_are_drawn_once_for_all_sessions(store: Store) -> None:
    library = library_of(store)
    context = asked(OpticalMemory("one", store="memory://"), "At how many bar does pump 21 run?", library)
    pictures = [part.image() for part in context.pages]
    assert {max(Image.open(io.BytesIO(each)).size) for each in pictures} == {512, 640}
    kept = set(store.names(library.session, "picture/"))
    other = asked(OpticalMemory("two", store="memory://"), "At how many bar does pump 21 run?", Library("manuals", store=store))
    assert [part.image() for part in other.pages] == pictures
    assert set(store.names(library.session, "picture/")) == kept and kept
    assert is_red(picture(pictures[0]), 0.02, 0.02)


def test_a_library_in_the_memorys_own_store_is_named() -> None:
    store = open_store("memory://")
    library_of(store)
    memory = opened(store)
    memory.append(("user", "At how many bar does pump 21 run?"))
    shown = memory.context(4_000, libraries=["manuals"]).plan.library
    assert next(item.document for item in shown if item.why != "overview") == "pump.pdf"
    assert memory.context(4_000).plan.library == ()


@pytest.mark.parametrize("budget", [400, 900, 2_000, 8_000, None])
def test_a_budget_holds(budget: int | None) -> None:
    memory = opened()
    memory.extend([("assistant" if place % 2 else "user", f"turn {place} " + "word " * 60) for place in range(60)])
    memory.append(("user", "At how many bar does pump 21 run?"))
    context = memory.context(budget, libraries=[library_of()])
    pricing = memory._builder.pricing
    assert context.usage.prompt_tokens == sum(part.tokens for part in context.parts) + pricing.message(context.framing)
    assert budget is None or context.usage.prompt_tokens <= budget


def test_a_reader_of_one_size_gets_no_page_twice() -> None:
    memory = opened(reader="gpt-4o")
    context = asked(memory, "At how many bar does pump 21 run?", library_of(), 20_000)
    shown = [(item.document, item.page) for item in context.plan.library]
    assert len(memory.profile.ladder) == 1 and ("pump.pdf", 2) in shown
    assert len(set(shown)) == len(shown)


def test_a_short_page_comes_as_text_and_a_picture_as_a_picture() -> None:
    library = Library("notes", store="memory://")
    library.attach(pdf([HandmadePage(lines("The valve code is V-77."))]), name="note.pdf")
    library.attach(pdf([HandmadePage(lines("The valve map") + box(100, 100, 300, 300) * 30)]), name="map.pdf")
    context = asked(opened(), "Which valve code, and where is its map?", library)
    assert {item.document: item.shown_as for item in context.plan.library if item.why != "overview"} == {
        "note.pdf": "text",
        "map.pdf": "small",
    }


def test_secrets_are_neither_shown_nor_said() -> None:
    library = Library("keys", store="memory://")
    library.attach(pdf([page_of(1, more=f"Key: {SECRET}"), page_of(2)]), name="keys.pdf")
    context = asked(opened(redact=True), "Which password did day 1 have, and which key?", library)
    pages = [item for item in context.plan.library if item.shown_as != "text"]
    assert {item.page for item in pages} == {2}
    assert SECRET not in str([part.text for part in context.pages]) + str([getattr(part, "turns", "") for part in context.parts])


def test_a_removed_document_leaves_no_byte_and_can_come_again(tmp_path: Path) -> None:
    with library_of(f"sqlite:///{tmp_path / 'log.db'}") as library:
        context = asked(opened(), "At how many bar does pump 21 run?", library)
        assert all(part.image() for part in context.pages)
        library.remove(library.documents()[0])
        assert [each.name for each in library.documents()] == ["lighthouses.pdf"]
        assert not any(b"pump.pdf" in path.read_bytes() or b"777 bar" in path.read_bytes() for path in tmp_path.iterdir())
        assert library.search("777 bar", 1) == []
        assert library.attach(PUMPS, name="pump.pdf").number == 3
        assert library.search("777 bar", 1)[0][1] == 2


def test_a_library_holds_documents_with_pages() -> None:
    with pytest.raises(DocumentError, match=r"a library holds PDFs with pages: print 'notes\.md' to a PDF"):
        Library("manuals", store="memory://").attach(b"# Notes", name="notes.md")

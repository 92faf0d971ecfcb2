"""Documents attached to a memory: their pages are its pages, and every promise holds for them."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from optical_memory import Context, OpticalMemory, Page, Tier, Turn, WaterMarks
from optical_memory.documents.limits import Limits
from optical_memory.errors import DocumentError, DocumentLimit, DocumentLocked
from optical_memory.stores import open_store
from optical_memory.stores.base import Store
from optical_memory.stores.transfer import copy_session
from optical_memory.turns.turn import DocumentContent
from optical_memory.verification.base import Verification
from tests.documents.handmade import HandmadePage, box, lines, pdf
from tests.support import RuledRenderer

pytest.importorskip("pypdfium2", reason="opening a PDF needs the extra documents")

MARKS = WaterMarks(high=300, low=60)
NAME = "lighthouses.pdf"
SECRET = "AKIAIOSFODNN7EXAMPLE"
FILE_MARK = b"/BaseFont /Helvetica"


def page_of(number: int, *, more: str = "") -> HandmadePage:
    """A page of prose with a red box in its upper left corner, and a word of its own."""
    prose = [f"Line {line} of page {number} tells of the keeper, the lamp and the long winter." for line in range(28)]
    return HandmadePage(
        lines(f"The password of day {number} is word{number}x{number * 7919}. {more}", *prose, size=11) + box(0, 752, 40, 40)
    )


def report(pages: int = 12) -> bytes:
    return pdf([page_of(number) for number in range(1, pages + 1)], title="On lighthouses")


SCAN = HandmadePage(box(100, 100, 300, 200))


def opened(store: Store | str = "memory://", **options: object) -> OpticalMemory:
    return OpticalMemory("s", store=store, renderer=RuledRenderer(), marks=MARKS, **options)  # type: ignore[arg-type]


def asked(memory: OpticalMemory, budget: int | None = None) -> Context:
    """The context after a question to the document."""
    memory.append(("user", "What is the password?"))
    return memory.context(budget)


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def is_red(image: Image.Image, across: float, down: float) -> bool:
    red, green, blue = image.getpixel((int(across * image.width), int(down * image.height)))  # type: ignore[misc]
    return bool(red > 200 and green < 60 and blue < 60)


def test_a_document_is_one_turn_with_its_text_page_by_page() -> None:
    memory = opened()
    turn = memory.attach(report(2), name=NAME, metadata={"from": "the archive"})
    assert (turn.number, turn.role, len(memory), turn.metadata) == (1, "user", 1, {"from": "the archive"})
    assert turn.text.startswith("[lighthouses.pdf: On lighthouses]\n[p. 1]\nThe password of day 1 is word1x7919.")
    assert "\n[p. 2]\nThe password of day 2" in turn.text
    assert memory.recall("word2x15838")[0] == memory.turns()[0]


def test_its_pages_are_pages_of_the_memory(store: Store) -> None:
    memory = opened(store)
    memory.attach(report(), name=NAME)
    context = asked(memory, 2_500)
    cited = [part.page.cited_as for part in context.pages]
    assert cited == [f"#1 p. {number}" for number in range(13 - len(cited), 13)] and len(cited) > 4
    assert context.usage.prompt_tokens <= 2_500 < context.usage.text_tokens
    newest = context.pages[-1]
    assert newest.text.startswith("[p") and f"#1 p. 12 of 12, {NAME}" in newest.text and "word12x95028" in newest.text
    assert is_red(picture(newest.image()), 0.02, 0.02)  # the page as it is, in colour
    assert picture(newest.image()).size == newest.page.size(newest.tier)
    assert "#12 p. 3 is page 3 of the file in turn #12" in context.framing


def test_pages_fade_like_others_and_none_is_shown_where_it_cannot_be_read() -> None:
    memory = opened()
    memory.attach(report(), name=NAME)
    pages = {page.sheet.number: page for page in asked(memory) and memory.pages() if page.sheet}
    assert {page.sheet.floor for page in pages.values() if page.sheet} == {Tier.SMALL}
    shown = {part.page.sheet.number: part.tier for part in memory.context(1_200).pages if part.page.sheet}
    assert shown and set(shown.values()) == {Tier.SMALL}


def test_what_is_cheaper_as_text_stays_text() -> None:
    memory = opened()
    memory.attach(pdf([HandmadePage(lines("Twelve words are all that stands on this one page of prose."))]), name=NAME)
    for turn in range(12):
        memory.append(("user", f"And then? {turn} " + "more words " * 30))
    context = memory.context()
    assert not any(part.page.sheet for part in context.pages)
    assert any("Twelve words" in turn.text for turn in context.turns)


def test_a_page_without_text_is_a_picture_also_while_its_turn_is_text() -> None:
    memory = opened()
    memory.attach(pdf([HandmadePage(lines("A page of words")), SCAN]), name=NAME)
    [message] = memory.messages()
    kinds = [block["type"] for block in message["content"]]
    assert kinds == ["text", "image_url"]
    assert message["content"][0]["text"] == f"[{NAME}]\n[p. 1]\nA page of words\n[p. 2]"
    shown = picture(base64.b64decode(message["content"][1]["image_url"]["url"].partition(",")[2]))
    assert max(shown.size) == 1280 and is_red(shown, 0.4, 0.75)
    assert memory.context().usage.prompt_tokens > memory.profile.picture_tokens(*shown.size)


def test_search_gives_pages_with_their_numbers_and_pictures(store: Store) -> None:
    memory = opened(store)
    memory.append(("user", "The password of day 7, please"))
    memory.attach(report(), name=NAME)
    best = memory.recall_pages("password of day 7", limit=3)[0]
    assert (best.cited_as, best.document, best.of) == ("#2 p. 7", NAME, 12)
    assert best.text.startswith("The password of day 7 is word7x55433.")
    assert is_red(picture(best.image()), 0.02, 0.02)


def test_a_question_brings_the_page_that_answers_it() -> None:
    memory = opened()
    memory.attach(report(40), name=NAME)
    memory.append(("user", "Which password did day 7 have, word7x55433 or another?"))
    context = memory.context(1_500, question=True)
    recalled = next(part for part in context.parts if getattr(part, "numbers", ()) == (1,))
    assert "[p. 7]" in recalled.turns[0].text and "word7x55433" in recalled.turns[0].text  # type: ignore[union-attr]
    assert context.usage.prompt_tokens <= 1_500


def test_only_what_a_plan_shows_is_drawn() -> None:
    memory = opened()
    memory.attach(report(400), name=NAME)
    context = asked(memory, 1_500)
    assert 3 <= len(context.pages) <= memory.stats().pages_sealed <= 24
    assert context.pages[-1].page.cited_as == "#1 p. 400"


def test_pages_that_were_lost_are_drawn_again_to_the_same_pixels(store: Store) -> None:
    memory = opened(store)
    memory.attach(report(6), name=NAME)
    before = [part.image() for part in asked(memory, 1_200).pages]
    store.discard(memory.session, list(store.names(memory.session, "picture/")))
    again = opened(store)
    assert [part.image() for part in again.context(1_200).pages] == before
    assert again.stats().pages_redrawn >= len(before)


def test_an_erased_document_leaves_no_byte(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'log.db'}") as memory:
        memory.append(("user", "Something else to keep"))
        memory.attach(report(), name=NAME)
        asked(memory, 1_500).pages[-1].image()
        assert memory.erase(2).pages >= 3
        assert memory.prove_erased(2).is_complete
        assert not any(page.sheet for page in memory.pages()) and memory.recall_pages("password") == []
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    encoded = base64.b64encode(report())
    assert b"Something else" in left
    for trace in (b"word7x55433", b"lighthouses", encoded[600:660], encoded[-600:-540], b"sheet"):
        assert trace not in left


def test_secrets_in_its_text_keep_the_file_out_of_the_log_and_off_the_pages() -> None:
    memory = opened(redact=True)
    data = pdf([page_of(1), page_of(2, more=f"Key: {SECRET}"), *[page_of(number) for number in range(3, 9)]])
    memory.attach(data, name=NAME)
    stored = memory.turns()[0]
    assert SECRET not in stored.model_dump_json() and not stored.documents[0].block
    context = asked(memory, 2_500)
    assert context.pages and {part.page.sheet and part.page.sheet.kind for part in context.pages} == {"text"}
    assert "[redacted:" in stored.text and "word2x15838" in stored.text


def test_with_secrets_kept_in_the_log_pages_still_show_none() -> None:
    memory = opened(redact=True, keep_secrets_in_log=True)
    memory.attach(pdf([page_of(1, more=f"Key: {SECRET}"), *[page_of(number) for number in range(2, 9)]]), name=NAME)
    assert SECRET in memory.turns()[0].text and memory.turns()[0].documents[0].block
    context = asked(memory, 2_500)
    assert context.pages and {part.page.sheet and part.page.sheet.kind for part in context.pages} == {"text"}
    assert all(SECRET not in part.text for part in context.pages)


def test_a_file_that_breaks_while_it_is_drawn_is_shown_as_its_text() -> None:
    memory = opened()
    turn = opened().attach(report(), name=NAME)
    [part] = turn.documents
    memory.append(turn.model_copy(update={"content": (part.model_copy(update={"sha256": "0" * 64}),)}))
    with pytest.warns(RuntimeWarning, match="its file is damaged, or is not there; its text is drawn instead"):
        context = asked(memory, 2_500)
    assert context.pages and context.pages[-1].page.cited_as == "#1 p. 12"


def test_an_encrypted_document_is_drawn_with_the_password_it_came_with() -> None:
    memory = opened()
    data = pdf([page_of(number) for number in range(1, 9)], password="hunter2")
    with pytest.raises(DocumentLocked, match="pass its password as password="):
        memory.attach(data, name=NAME)
    assert len(memory) == 0
    memory.attach(data, name=NAME, password="hunter2")
    context = asked(memory, 1_500)
    assert is_red(picture(context.pages[-1].image()), 0.02, 0.02)
    assert "hunter2" not in memory.turns()[0].text


def test_a_session_is_copied_with_its_documents() -> None:
    store, other = open_store("memory://"), open_store("memory://")
    memory = opened(store)
    memory.attach(report(), name=NAME)
    copy_session(store, other, memory.session)
    context = asked(opened(other), 1_500)
    assert context.pages[-1].page.cited_as == "#1 p. 12" and is_red(picture(context.pages[-1].image()), 0.02, 0.02)


def test_a_turn_as_json_is_the_same_turn_again() -> None:
    turn = opened().attach(report(2), name=NAME)
    fields = turn.model_dump(mode="json")
    again = opened().append({key: fields[key] for key in ("role", "content", "id")})
    assert again.documents == turn.documents and isinstance(again.documents[0], DocumentContent)


class Strict:
    """A verifier that holds that page 12 cannot be read below Base."""

    name, fingerprint, at_once = "strict", "1", False

    def __init__(self) -> None:
        self.heard: dict[str, str] = {}

    def verify(self, page: Page, turns: Sequence[Turn], tier: Tier) -> Verification:
        assert page.sheet is not None
        self.heard[page.cited_as] = turns[0].text
        passed = page.sheet.number != 12 or tier >= Tier.BASE
        return Verification(key=page.key, tier=tier, verifier=self.name, score=float(passed), passed=passed)


def test_a_verifier_is_asked_about_each_page_with_its_own_text() -> None:
    verifier = Strict()
    memory = opened(verify=verifier)
    memory.attach(report(), name=NAME)
    tiers = {part.page.cited_as: part.tier for part in asked(memory, 2_500).pages}
    assert tiers["#1 p. 12"] >= Tier.BASE and tiers["#1 p. 11"] == Tier.SMALL
    assert verifier.heard["#1 p. 11"].startswith("The password of day 11")
    assert "day 12" not in verifier.heard["#1 p. 11"]


def test_pins_hold_a_document() -> None:
    memory = opened()
    memory.attach(report(4), name=NAME, pinned=True)
    memory.extend([("assistant" if place % 2 else "user", f"turn {place} " + "word " * 60) for place in range(40)])
    cited = {part.page.cited_as for part in memory.context(2_500).pages}
    assert {f"#1 p. {number}" for number in range(1, 5)} <= cited


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (b"# Notes\n\nBuy oil.", "notes.md", "[notes.md]\n# Notes\n\nBuy oil."),
        ("Übermut".encode("utf-16"), "a.txt", "[a.txt]\nÜbermut"),
        (
            b"<!doctype html><title>Oil</title><script>alert(1)</script><h1>Lamp</h1><p>Burns <b>oil</b> &amp; air<ul><li>one</ul>",
            "page.html",
            "[page.html]\nOil\n# Lamp\nBurns oil & air\n- one",
        ),
    ],
)
def test_text_of_every_kind(data: bytes, name: str, text: str) -> None:
    assert opened().attach(data, name=name).text == text


def test_sources(tmp_path: Path) -> None:
    memory = opened()
    (tmp_path / NAME).write_bytes(report(1))
    with (tmp_path / NAME).open("rb") as file:
        turns = [
            memory.attach(tmp_path / NAME),
            memory.attach(str(tmp_path / NAME)),
            memory.attach(file),
            memory.attach(io.BytesIO(report(1))),
        ]
    assert [turn.documents[0].name for turn in turns] == [NAME, NAME, NAME, "document"]
    held = io.BytesIO()
    Image.new("L", (8, 8)).save(held, "PNG")
    assert memory.attach(held.getvalue(), name="dot.png").images[0].media_type == "image/png"


def test_what_is_no_document_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    memory = opened()
    with pytest.raises(DocumentError, match=r"'a\.bin' begins with b'.*which is no document that is known here"):
        memory.attach(b"\0\1\2", name="a.bin")
    with pytest.raises(DocumentError, match=r"'a\.docx' is a DOCX.*print it to a PDF"):
        memory.attach(b"PK\x03\x04......[Content_Types].xml word/document.xml", name="a.docx")
    with pytest.raises(TypeError, match="a document is a path, bytes, or a file opened for reading bytes; got 3"):
        memory.attach(3)  # type: ignore[arg-type]
    with pytest.raises(DocumentLimit):
        memory.attach(report(3), limits=Limits(pages=2))
    with pytest.raises(FileNotFoundError):
        memory.attach(tmp_path / "missing.pdf")
    assert len(memory) == 0


def test_a_document_asks_nothing_so_it_need_not_stay_text() -> None:
    memory = opened()
    memory.attach(report(40), name=NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert memory.context(1_000).usage.prompt_tokens <= 1_000

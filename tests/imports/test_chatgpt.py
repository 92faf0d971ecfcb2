"""ChatGPT's export: the branch that was seen, files beside it, tools, and the shapes that exports had over the years."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from optical_memory.errors import InvalidTurn
from tests.imports.reading import imported, outline, written
from tests.imports.writers import PNG


def tree(*nodes: tuple[str, str | None, dict[str, Any] | None], current: str | None, **more: Any) -> dict[str, Any]:
    """A conversation of nodes: id, parent, message."""
    mapping: dict[str, Any] = {}
    for id, parent, message in nodes:
        mapping[id] = {"id": id, "parent": parent, "children": [], "message": message}
        if parent:
            mapping[parent]["children"].append(id)
    return {"title": "Trip", "create_time": 1741165200.0, "mapping": mapping, "current_node": current, "conversation_id": "c-1"} | more


def said(role: str, content: Any, at: float | None = 1741165260.5, **more: Any) -> dict[str, Any]:
    held = content if isinstance(content, dict) else {"content_type": "text", "parts": [content]}
    author = {"role": role, "name": more.pop("name", None), "metadata": {}}
    return {
        "id": f"m{len(str(content))}{role}{at}",
        "author": author,
        "create_time": at,
        "content": held,
        "metadata": {},
        "recipient": "all",
    } | more


INSTRUCTIONS = {"content_type": "user_editable_context", "user_profile": "Ada", "user_instructions": "Be brief"}
HIDDEN = {"is_visually_hidden_from_conversation": True}
CONVERSATION = tree(
    ("root", None, None),
    ("s", "root", said("system", "You are a secret prompt.", None, metadata=HIDDEN)),
    (
        "p",
        "s",
        said("user", INSTRUCTIONS, metadata=HIDDEN),
    ),
    ("q1", "p", said("user", "Which train to Paris?")),
    ("a1", "q1", said("assistant", "The 6:10.")),
    ("q2", "p", said("user", "Which train to Lyon?", 1741165300.0)),
    ("a2", "q2", said("assistant", "The 7:40.", 1741165310.0, metadata={"model_slug": "gpt-4o"})),
    ("a3", "q2", said("assistant", "The 7:40, from platform 9.", 1741165320.0)),
    current="a3",
)


def test_the_branch_that_was_seen_is_read_and_hidden_nodes_are_not(tmp_path: Path) -> None:
    turns = imported(written(tmp_path, {"conversations.json": [CONVERSATION]}))["chatgpt/c-1"]
    assert outline(turns) == [("user", "Which train to Lyon?"), ("assistant", "The 7:40, from platform 9.")]
    assert [f"{turn.created_at:%Y-%m-%d %H:%M:%S}" for turn in turns] == ["2025-03-05 09:01:40", "2025-03-05 09:02:00"]
    assert turns[0].metadata["import"]["title"] == "Trip"  # type: ignore[index,call-overload]


@pytest.mark.parametrize("current", [None, "gone"])
def test_without_a_current_node_the_last_child_is_followed(tmp_path: Path, current: str | None) -> None:
    turns = imported(written(tmp_path, {"conversations.json": [CONVERSATION | {"current_node": current}]}))["chatgpt/c-1"]
    assert outline(turns)[-1] == ("assistant", "The 7:40, from platform 9.")


def test_another_branch_at_the_second_export_adds_its_messages_only(tmp_path: Path) -> None:
    from optical_memory.imports import import_into
    from optical_memory.stores import SessionId, open_store

    store = open_store("memory://chatgpt-branches")
    import_into(store, written(tmp_path, {"conversations.json": [CONVERSATION | {"current_node": "a2"}]}))
    (done,) = import_into(store, written(tmp_path, {"conversations.json": [CONVERSATION]}))
    assert (done.new, done.known) == (1, 1)
    assert [turn.text for turn in store.read(SessionId("chatgpt/c-1"))][1:] == ["The 7:40.", "The 7:40, from platform 9."]


def test_tools_are_calls_with_their_results_and_pictures_come_from_the_archive(tmp_path: Path) -> None:
    drawn = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_00ab", "metadata": {"dalle": {"prompt": "a train"}}}
    lost = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-LOST"}
    files = [
        {"id": "file-DOC", "name": "plan.pdf", "mimeType": "application/pdf"},
        {"id": "file-LOST", "name": "x.png", "mimeType": "image/png"},
    ]
    code = {"content_type": "code", "language": "json", "text": '{"prompt": "a train"}'}
    failed = {"content_type": "system_error", "name": "ZeroDivisionError", "text": "division by zero"}
    talk = tree(
        ("root", None, None),
        ("q", "root", said("user", {"content_type": "multimodal_text", "parts": [lost, "Draw it"]}, metadata={"attachments": files})),
        ("t", "q", said("assistant", {"content_type": "thoughts", "thoughts": [{"summary": "Plan", "content": "I must draw."}]})),
        (
            "c",
            "t",
            said("assistant", code, recipient="dalle.text2im"),
        ),
        ("r1", "c", said("tool", {"content_type": "multimodal_text", "parts": [drawn]}, name="dalle.text2im", metadata=HIDDEN)),
        ("r2", "r1", said("tool", "One image was made.", name="dalle.text2im")),
        ("c2", "r2", said("assistant", {"content_type": "code", "text": "print(1 / 0)"}, recipient="python")),
        (
            "r3",
            "c2",
            said("tool", failed, name="python"),
        ),
        ("a", "r3", said("assistant", "Here it is.", None)),
        current="a",
    )
    folder = written(tmp_path / "in", {"conversations.json": [talk], "file_00ab-train.dat": PNG, "message_feedback.json": [{"id": "x"}]})
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    turns = imported(tmp_path / "export.zip")["chatgpt/c-1"]
    assert [pair for place, pair in enumerate(outline(turns)) if place != 1] == [
        ("user", "[image: file-LOST]\n\nDraw it\n\n[file: plan.pdf]"),
        ("assistant", 'dalle.text2im({"prompt": "a train"})'),
        ("tool", "One image was made."),
        ("assistant", "python(print(1 / 0))"),
        ("tool", "ZeroDivisionError: division by zero"),
        ("assistant", "Here it is."),
    ]
    assert "I must draw." in turns[1].model_dump_json()
    assert turns[3].images[0].decode() == PNG
    assert turns[3].answered_calls == (turns[2].tool_calls[0].id,)
    assert turns[5].answered_calls == (turns[4].tool_calls[0].id,)
    assert turns[6].created_at == turns[5].created_at


def test_parts_of_an_export_are_read_in_their_order(tmp_path: Path) -> None:
    other = CONVERSATION | {"conversation_id": "c-2", "title": None}
    files = {
        "conversations-000.json": [CONVERSATION],
        "conversations-001.json": [other],
        "export_manifest.json": {"files": []},
        "user.json": {},
    }
    assert list(imported(written(tmp_path, files))) == ["chatgpt/c-1", "chatgpt/c-2"]


def test_a_session_that_is_named_takes_one_conversation_and_begins_the_names_of_several(tmp_path: Path) -> None:
    one = written(tmp_path / "one", {"conversations.json": [CONVERSATION]})
    two = written(tmp_path / "two", {"conversations.json": [CONVERSATION, CONVERSATION | {"conversation_id": "c-2"}]})
    assert list(imported(one, session="alice")) == ["alice"]
    assert list(imported(two, session="alice")) == ["alice/c-1", "alice/c-2"]


def test_a_conversation_goes_on_where_it_was_imported_alone(tmp_path: Path) -> None:
    from optical_memory.imports import import_into
    from optical_memory.stores import open_store

    store = open_store("memory://chatgpt-goes-on")
    import_into(store, written(tmp_path / "one", {"conversations.json": [CONVERSATION]}), session="alice")
    two = written(tmp_path / "two", {"conversations.json": [CONVERSATION, CONVERSATION | {"conversation_id": "c-2"}]})
    assert [(done.session, done.new) for done in import_into(store, two, session="alice")] == [("alice", 0), ("alice/c-2", 2)]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"title": "x"}, "item 2 is no conversation: it has no 'mapping'"),
        ({"mapping": {"a": {"message": {"author": 3}}}, "current_node": "a"}, "conversations.json"),
        ({"mapping": {"a": 7}, "current_node": "a"}, "conversations.json"),
        ({"mapping": [], "current_node": "a"}, "conversations.json"),
    ],
)
def test_a_broken_conversation_is_named(tmp_path: Path, item: Any, said: str) -> None:
    with pytest.raises(InvalidTurn, match=said):
        imported(written(tmp_path, {"conversations.json": [CONVERSATION, item]}))


def test_a_tree_that_goes_in_circles_ends(tmp_path: Path) -> None:
    talk = tree(("a", None, said("user", "Hi")), ("b", "a", said("assistant", "Hello.")), current="b")
    talk["mapping"]["a"]["parent"] = "b"
    assert len(imported(written(tmp_path, {"conversations.json": [talk]}))["chatgpt/c-1"]) == 2

"""Import files that a test writes, and look at what became of them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from optical_memory.imports import import_into
from optical_memory.stores import SessionId, open_store
from optical_memory.turns.turn import Turn

__all__ = ["imported", "outline", "written"]


def written(folder: Path, files: dict[str, Any]) -> Path:
    """Write each file: bytes, or JSON; a tuple becomes JSON lines."""
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, tuple):
            value = "".join(json.dumps(row) + "\n" for row in value).encode()
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return folder


def imported(source: Path, *, session: str | None = None) -> dict[str, list[Turn]]:
    """The turns of each session that an import makes, and that a second import leaves as they are."""
    store = open_store(f"memory://{uuid.uuid4().hex}")
    import_into(store, source, session=session)
    first = {info.id.name: store.read(info.id) for info in store.sessions()}
    assert all(done.new == 0 for done in import_into(store, source, session=session))
    assert {name: store.read(SessionId(name)) for name in first} == first
    return first


def outline(turns: list[Turn]) -> list[tuple[str, str]]:
    """Role and text of each turn; calls as `name(arguments)`."""
    return [(turn.role, turn.text) for turn in turns]

"""Files in which a value is not what the format has there: read without it, or refused with the file's name; never another error."""

from __future__ import annotations

import json
import random
import uuid
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from optical_memory.errors import InvalidTurn
from optical_memory.imports import import_into
from optical_memory.stores import open_store

from .test_contract import NEEDS
from .writers import TALK, WRITERS

OTHER: tuple[Any, ...] = (None, 7, "x", "", [], {}, [None], {"a": 1}, [[]], True, 1e300, [{"type": "text"}], [{"type": []}], {"type": {}})


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and its key."""
    found: list[tuple[Any, Any]] = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found += [(value, key), *places(inner)]
    return found


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", WRITERS)
def test_any_value_may_be_another(tmp_path: Path, name: str, seed: int) -> None:
    if package := NEEDS.get(name):
        pytest.importorskip(package, reason=f"the sample is made with {package}")
    rng = random.Random(f"{name} {seed}")
    path = WRITERS[name].write(TALK, tmp_path)
    path = path / "conversations.json" if path.is_dir() else path
    in_lines = path.suffix == ".jsonl"
    text = path.read_text("utf-8")
    value = [json.loads(line) for line in text.splitlines()] if in_lines else json.loads(text)
    for _ in range(rng.choice((1, 1, 3))):
        holder, key = rng.choice(places(value))
        holder[key] = deepcopy(rng.choice(OTHER))
    path.write_text("\n".join(map(json.dumps, value)) if in_lines else json.dumps(value), "utf-8")
    store = open_store(f"memory://{uuid.uuid4().hex}")
    try:
        import_into(store, path.parent)
    except InvalidTurn as exc:
        assert path.name in str(exc)
        assert store.sessions() == []

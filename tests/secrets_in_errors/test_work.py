"""No error, warning or log line quotes a secret when drawing, verifying, storing or erasing fails, whoever it is that quotes."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory, WaterMarks
from optical_memory.errors import RenderError, StoreError
from optical_memory.renderers.chromium.mathml import to_mathml
from optical_memory.renderers.embedded_images import fit_picture
from optical_memory.turns.redaction import Secrets
from tests.planted import TOKENS
from tests.secrets_in_errors.misuse import memory_with, message, raised
from tests.support import RuledRenderer

OWN = Secrets(patterns=[r"ACME-[\d-]{14}"])
SOON = WaterMarks(high=300, low=100)


@dataclass
class Quotes:
    """A renderer, a verifier and a redactor that quote all they are given."""

    error: type[Exception] = RuntimeError
    name, fingerprint, at_once = "quotes", "1", False

    def render(self, exchanges: Any, *_: Any, **__: Any) -> Any:
        try:
            raise KeyError(exchanges)
        except KeyError as exc:
            raise self.error(f"cannot draw {exchanges}") from exc

    def verify(self, page: Any, turns: Any, tier: Any) -> Any:
        raise self.error(f"cannot read {turns}")

    def redact(self, text: str) -> str:
        raise self.error(f"cannot redact {text}")

    def close(self) -> None: ...


def talk(secret: str, memory: OpticalMemory) -> OpticalMemory:
    """Forty turns, each of which says the secret."""
    memory.extend([("user" if place % 2 == 0 else "assistant", f"{place}: {secret} " + "words " * 40) for place in range(40)])
    return memory


def drawn(renderer: Any = None, **options: Any) -> Callable[[str, Path], Any]:
    """A context of a memory that masks what it draws, and keeps all in its log."""

    def run(secret: str, path: Path) -> Any:
        own = {"redact": OWN, "keep_secrets_in_log": True, "marks": SOON, "renderer": renderer or RuledRenderer()} | options
        return talk(secret, OpticalMemory("d", store=f"sqlite:///{path / 'd.db'}", **own)).context(2_000)

    return run


def formula(secret: str, _: Path) -> Any:
    return [to_mathml(rf"\frac{{ {secret} \left"), to_mathml(rf"\begin{{{secret}}} x \over"), to_mathml(f"^^_ {secret}")]


def _damaged(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(statement)
        db.commit()


def after(statement: str, act: Callable[[OpticalMemory], Any]) -> Callable[[str, Path], Any]:
    """What is done with a file in which something was changed."""

    def run(secret: str, path: Path) -> Any:
        talk(secret, memory_with(path, OWN)).context()
        _damaged(path / "a.db", statement)
        return act(memory_with(path, OWN))

    return run


def locked(secret: str, path: Path) -> Any:
    memory = OpticalMemory("a", store=f"sqlite:///{path / 'a.db'}?timeout=0.05", renderer="pillow", redact=True)
    with closing(sqlite3.connect(path / "a.db")) as db:
        db.execute("BEGIN EXCLUSIVE")
        return memory.append("user", secret)


def read_only(secret: str, path: Path) -> Any:
    memory_with(path).append("user", "x")
    _damaged(path / "a.db", "CREATE TRIGGER t BEFORE INSERT ON turn BEGIN SELECT RAISE(ABORT, 'no'); END")
    return memory_with(path).append("user", secret)


def async_twins(secret: str, path: Path) -> Any:
    return asyncio.run(memory_with(path, OWN).aextend([message(role=secret, content=secret)]))


def in_a_group(secret: str, path: Path) -> Any:
    async def work() -> None:
        memory = memory_with(path, OWN)
        async with asyncio.TaskGroup() as group:
            group.create_task(memory.aextend([message(role=secret)]))
            group.create_task(memory.aextend([message(content=[{"type": secret}])]))

    return asyncio.run(work())


def while_handling(secret: str, path: Path) -> Any:
    """The second error has the first as its context."""
    memory = memory_with(path, OWN)
    try:
        memory.extend([message(content={"text": secret})])
    except ValueError:
        return memory.extend([message(created_at=secret)])


RAISES: dict[str, Callable[[str, Path], Any]] = {
    "a redactor while appending": lambda secret, path: talk(secret, memory_with(path, Quotes())),
    "a locked file": locked,
    "a file that takes no rows": read_only,
    "a damaged record": after("UPDATE turn SET record = record || 'x'", lambda memory: memory.context()),
    "a damaged record that is recalled": after("UPDATE turn SET record = record || 'x'", lambda memory: memory.turns()),
    "a lost turn": after("DELETE FROM turn WHERE key & 4294967295 = 3", lambda memory: memory.turns()),
    "async twins": async_twins,
    "a group of tasks": in_a_group,
    "while another is handled": while_handling,
}
GOES_ON: dict[str, Callable[[str, Path], Any]] = {
    "a redactor while drawing": drawn(redact=Quotes()),
    "a renderer": drawn(Quotes(RenderError)),
    "a verifier": drawn(verify=Quotes()),
    "a verifier of another error": drawn(verify=Quotes(OSError)),
    "a formula": formula,
    "a picture": lambda secret, _: fit_picture(b"\x89PNG\r\n\x1a\n" + secret.encode(), 100, 100),
    "damaged pages": after("UPDATE cache SET data = data || 'x'", lambda memory: memory.context()),
}


@pytest.mark.parametrize("kind", RAISES)
@pytest.mark.parametrize("token", ["github", "jwt", "own"])
def test_work_that_fails(tmp_path: Path, kind: str, token: str, watched: Callable[..., None]) -> None:
    secret = _secret(token, kind)
    error = raised(lambda: RAISES[kind](secret, tmp_path))
    assert error is not None, "it fails"
    watched(secret, error)


@pytest.mark.parametrize("kind", GOES_ON)
@pytest.mark.parametrize("token", ["github", "jwt", "own"])
def test_work_that_goes_on(
    tmp_path: Path, kind: str, token: str, watched: Callable[..., None], caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    secret = _secret(token, kind)
    error = raised(lambda: GOES_ON[kind](secret, tmp_path))
    assert error is None
    watched(secret, "")


def _secret(token: str, kind: str) -> str:
    return "ACME-7391-8264-5502" if token == "own" and "formula" not in kind else TOKENS.get(token, TOKENS["pypi"])(random.Random(9))


def test_the_watch_sees_what_is_told(watched: Callable[..., None]) -> None:
    """The tests beside this one would find a secret in a context, in a cause's arguments, and in a field."""
    secret = TOKENS["github"](random.Random(1))
    try:
        try:
            json.loads('{"a": ' + secret)
        except ValueError:
            raise StoreError("unreadable") from None
    except StoreError as exc:
        with pytest.raises(AssertionError):
            watched(secret, exc)

"""Several processes that append to one session at once."""

from __future__ import annotations

import multiprocessing

from optical_memory.stores import SessionId, open_store
from optical_memory.turns.turn import Turn

SESSION = SessionId("alice")
EACH = 100  # turns that a writer adds alone; as many more are common to all writers


def write_at_once(url: str, writers: int, method: str) -> list[Turn]:
    """The session after `writers` processes have written to it; checks what holds for every store.

    Numbers have no gaps, each writer's turns stand in its order, and turns of one id are stored once.
    """
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=_write, args=(url, writer)) for writer in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    store = open_store(url)
    stored = store.read(SESSION)
    store.close()
    assert [turn.number for turn in stored] == list(range(1, (writers + 1) * EACH + 1))
    for writer in range(writers):
        own = [turn.content for turn in stored if str(turn.content).startswith(f"writer{writer} ")]
        assert own == [f"writer{writer} turn{number}" for number in range(EACH)]
    return stored


def _write(url: str, writer: int) -> None:
    store = open_store(url)
    for number in range(EACH):
        own = Turn(id=f"writer{writer} {number}", role="user", content=f"writer{writer} turn{number}")
        common = Turn(id=f"shared {number}", role="user", content="from all")
        store.append(SESSION, [own, common])  # one call: half of it may be there already
    store.close()

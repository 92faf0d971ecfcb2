"""One row of `benchmarks.speeds`, printed as JSON: `python -m benchmarks._speeds_row ROW`, in a folder with any build's `optical_memory`.

Prints the CPU seconds of all processes for a unit of the row's work, and a hash of what came out, where builds should agree on it.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from ._waiting_replay import cpu, sent

DATA = Path(__file__).parents[1] / "tests" / "data"
PAGE = 6_000  # characters of text on a page, about
TIED = 600  # pages that tie
SENTENCE = "What was it that the assistant said about the waiver policy?"

Measured = tuple[float, str]  # seconds a unit, and a hash of what came out


def messages(name: str) -> list[Any]:
    """The messages of one of the tests' conversations."""
    held = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return list(held["messages"] if isinstance(held, dict) else held)


def demo() -> list[Any]:
    """The demo's messages."""
    import optical_memory

    folder = Path(optical_memory.__file__).parent
    [file] = [*folder.glob("demo/*.json"), *folder.glob("data/airline-agent.json")]
    return list(json.loads(file.read_text("utf-8"))["messages"])


def opened(session: str, **options: Any) -> Any:
    """A memory."""
    from optical_memory import OpticalMemory

    return OpticalMemory(session, **options)


def spent(work: Callable[[], object], own: bool = False) -> float:
    """CPU seconds of a call: of all processes, in hundredths; or of this one, which is exact."""
    import time

    clock = time.process_time if own else cpu
    began = clock()
    work()
    return clock() - began


def digest(what: object) -> str:
    return hashlib.sha256(what if isinstance(what, bytes) else repr(what).encode()).hexdigest()


def sidecars() -> Measured:
    """The sidecar of a page of the tests' conversations."""
    from optical_memory.text.exact_strings import sidecar_of

    texts: list[str] = []
    for file in sorted(DATA.glob("*.json")):
        held = json.loads(file.read_text("utf-8"))
        whole = "\n".join(_texts(held.get("messages", []) if isinstance(held, dict) else held))
        texts += [whole[at : at + PAGE] for at in range(0, min(len(whole), 40 * PAGE), PAGE)]
    texts = texts[:200]

    def count(text: str) -> int:
        return -(-len(text) // 4)

    sidecar_of(texts[:1], max_tokens=64, count=count)  # compiles patterns
    found: list[tuple[str, ...]] = []
    took = spent(lambda: found.extend(sidecar_of([text], max_tokens=64, count=count) for text in texts), own=True)
    return took / len(texts), digest(found)


def _texts(found: Any) -> Iterator[str]:
    """All strings inside a message."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for each in found:
            yield from _texts(each)
    elif isinstance(found, dict):
        yield from _texts([value for key, value in found.items() if key in ("content", "text", "arguments", "function", "tool_calls")])


class _Tiny:
    """All pages at Tiny."""

    unbounded: Any

    def __init__(self) -> None:
        self.unbounded = self

    def tier(self, age: object) -> Any:
        from optical_memory import Tier

        return Tier.TINY

    def __repr__(self) -> str:
        return "tiny"


def _shaped(renderer: str, pages: int) -> Measured:
    """An image at Tiny whose page is drawn already."""
    from optical_memory import WaterMarks
    from optical_memory.stores import open_store

    store = open_store("memory://")
    options: dict[str, Any] = {"store": store, "renderer": renderer, "forgetting": _Tiny(), "marks": WaterMarks(high=1_000, low=100)}
    plain = opened("shaped", shape=(), **options)
    plain.extend(_sized(pages))
    shown = len(plain.context().pages)
    memory = opened("shaped", shape=("tiny",), **options)
    images: list[bytes] = []
    took = spent(lambda: images.extend(part.image() for part in memory.context().pages))
    return took / shown, ""


def _sized(pages: int) -> list[Any]:
    """Turns that fill about so many pages."""
    turns = demo()
    size = 0
    for place, message in enumerate(turns):
        size += len(json.dumps(message))
        if size > pages * 1.4 * PAGE:
            return turns[:place]
    return turns


def _lost(renderer: str, pages: int) -> Measured:
    """One context whose images are all gone."""
    from optical_memory import ByAge, WaterMarks
    from optical_memory.stores import open_store

    store = open_store("memory://")
    options: dict[str, Any] = {"store": store, "renderer": renderer, "forgetting": ByAge(), "marks": WaterMarks(high=1_000, low=100)}
    memory = opened("lost", shape=(), **options)
    memory.extend(_sized(pages))
    memory.context()
    store.discard(memory.session, store.names(memory.session, "picture/"))
    again = opened("lost", shape=(), **options)
    found: list[Any] = []
    took = spent(lambda: found.append(again.context()))
    return took / len(found[0].pages), digest([part.text for part in found[0].pages])


def _page(renderer: str, name: str) -> Measured:
    """A full page of a conversation, warm."""
    from optical_memory.pages.page import PageStyle
    from optical_memory.renderers.base import open_renderer
    from optical_memory.turns.exchanges import exchanges_of
    from optical_memory.turns.from_messages import turn_of

    turns = [turn_of(message) for message in messages(name)]
    turns = [turn.model_copy(update={"number": number}) for number, turn in enumerate(turns, 1)]
    exchanges, taken = [], 0
    for exchange in exchanges_of(turns):
        taken += sum(len(turn.text.encode()) for unit in exchange for turn in unit)
        exchanges.append(exchange)
        if taken > 90_000:
            break
    drawing = open_renderer(renderer)
    half = exchanges[: len(exchanges) // 2]
    drawing.render(half, PageStyle())
    drawn: list[Any] = []
    took = min(spent(lambda: drawn.append(drawing.render(exchanges, PageStyle()))) for _ in range(3))
    drawing.close()
    return took / len(drawn[0]), digest([page.png for page in drawn[0]])


def _after_a_turn(turns: int) -> Measured:
    """`context()` after one turn, the median of many without a re-plan; pages are imagined and blank."""
    memory = opened("grown", store="memory://", renderer=_blank(), forgetting=_by_age())
    source = cycle(demo())
    memory.extend(islice(source, turns))
    memory.context()
    took = list[float]()
    for message in islice(source, 150):
        memory.append(message)
        took.append(spent(memory.context, own=True))
    return statistics.median(took), sent(memory.context())


def _by_age() -> Any:
    from optical_memory import ByAge

    return ByAge()


def _blank() -> Any:
    from tests.support import RuledRenderer

    return RuledRenderer(rows=6_000)


def _replan(turns: int) -> Measured:
    """A re-plan that draws nothing, where all pages are drawn: two budgets in turn."""
    memory = opened("grown", store="memory://", renderer=_blank())
    source = cycle(demo())
    for _ in range(turns // 1_000):
        memory.extend(islice(source, 1_000))
    memory.context(8_000)
    memory.pages(draw=True)
    budgets = (8_000, 4_000)
    contexts = [memory.context(budget) for budget in budgets * 2]
    took = spent(lambda: [memory.context(budget) for budget in budgets * 4], own=True)
    return took / 8, digest([sent(each) for each in contexts])


def _langchain(length: int) -> Measured:
    """A call of LangChain's middleware after two messages more."""
    from .adapters import Agent, conversation

    agent = Agent(conversation(length))
    agent.call()
    took = list[float]()
    for _ in range(20):
        agent.grow()
        took.append(spent(agent.call, own=True))
    return statistics.median(took), digest(agent.sent)


def _import() -> Measured:
    """`import optical_memory` in a new process, without Python's own start."""

    def alone(code: str) -> float:
        return min(spent_by_child(code) for _ in range(5))

    return alone("import optical_memory") - alone("pass"), ""


def spent_by_child(code: str) -> float:
    """CPU seconds of a new interpreter."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _tied() -> Measured:
    """A choice among hundreds of pages of equal worth."""
    from optical_memory.planning.best_use import Option, best_use

    options = [Option(0, 0, 0.0), Option(1, 85, 10.0), Option(2, 123, 13.0), Option(3, 285, 14.0)]
    chosen: list[Any] = []
    took = spent(lambda: chosen.append(best_use([options] * TIED, 90 * TIED)), own=True)
    return took, digest([option.level for option in chosen[0]])


@contextmanager
def _redis() -> Iterator[str]:
    """A server of one's own."""
    import socket
    import time

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(1)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def _recall(url: str, turns: int, query: str) -> Measured:
    """The first recall of a process over a log of so many turns."""
    memory = opened("recall", store=url)
    source = cycle(demo())
    for start in range(0, turns, 1_000):
        memory.extend([{**message, "content": _told(message, start + at)} for at, message in enumerate(islice(source, 1_000))])
    memory.close()
    code = (
        "import json, sys, time; from optical_memory import OpticalMemory; memory = OpticalMemory('recall', store=sys.argv[1])\n"
        "len(memory); began = time.process_time(); found = memory.recall(sys.argv[2]); took = time.process_time() - began\n"
        "began = time.process_time(); memory.recall(sys.argv[2]); print(json.dumps([took, [turn.number for turn in found]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, url, query], capture_output=True, text=True, check=True)
    took, found = json.loads(done.stdout)
    return took, digest(found)


def _told(message: Any, number: int) -> str:
    content = message.get("content")
    return f"{content if isinstance(content, str) else json.dumps(content)} {number}"


def _recall_redis() -> Measured:
    with _redis() as url:
        return _recall(url, 100_000, SENTENCE)


def _recall_sqlite(turns: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        return _recall(f"sqlite:///{folder}/memory.db", turns, SENTENCE)


def _append_redis() -> Measured:
    """An append beside a bare RPUSH of the same record: CPU seconds of this process."""
    import redis

    from optical_memory.stores.codec import encode
    from optical_memory.turns.turn import Turn

    with _redis() as url:
        memory = opened("append", store=url)
        turns = [Turn(role="user", content="x" * 1_000 + str(number)) for number in range(2_000)]
        client: Any = redis.Redis.from_url(url)
        records = [encode(turn.model_copy(update={"number": number})) for number, turn in enumerate(turns, 1)]

        def pushed() -> None:
            for record in records:
                client.rpush("bare", record)

        def appended() -> None:
            for turn in turns:
                memory.append(turn)

        return spent(appended, own=True) / spent(pushed, own=True), ""


ROWS: dict[str, Callable[[], Measured]] = {
    "tiny-chromium": lambda: _shaped("chromium", 12),
    "tiny-pillow": lambda: _shaped("pillow", 12),
    "lost": lambda: _lost("chromium", 42),
    "sidecar": sidecars,
    "one-turn": lambda: _after_a_turn(5_000),
    "replan": lambda: _replan(10_000),
    "replan-100000": lambda: _replan(100_000),
    "langchain": lambda: _langchain(5_000),
    "langchain-1000": lambda: _langchain(1_000),
    "tied": _tied,
    "page-pillow": lambda: _page("pillow", "assistant-chats"),
    "page-chromium": lambda: _page("chromium", "assistant-chats"),
    "page-chromium-chinese": lambda: _page("chromium", "travel-chat-chinese"),
    "import": _import,
    "recall-redis": _recall_redis,
    "recall-sqlite": lambda: _recall_sqlite(100_000),
    "recall-sqlite-million": lambda: _recall_sqlite(1_000_000),
    "append-redis": _append_redis,
}


def main(arguments: Sequence[str]) -> None:
    """Print one row."""
    seconds, same = ROWS[arguments[0]]()
    print(json.dumps({"seconds": seconds, "same": same}))


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the SQLite store costs as a session grows, beside a bare INSERT into a table of the same file settings in the same run.

`python -m benchmarks.stores` measures at 1,000, 10,000 and 100,000 turns; `--quick` leaves the last out. Turns are of about 1,000
characters with a vocabulary that is spread like that of real text.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from optical_memory.stores import SessionId, Store, open_store
from optical_memory.turns.turn import Turn

from ._timing import timed

SESSION = SessionId("benchmark")
VOCABULARY = 20_000
WORDS_A_TURN = 150
MEASURED = 500  # appends, one at a time, once the session has its size


def texts() -> Iterator[str]:
    """Texts without end; word k of the vocabulary is about 1 / k as frequent as the first."""
    chance = random.Random(1)
    words = vocabulary()
    totals = list(itertools.accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
    while True:
        yield " ".join(chance.choices(words, cum_weights=totals, k=WORDS_A_TURN))


def vocabulary() -> list[str]:
    """The words, the most frequent first."""
    chance = random.Random(2)
    return ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 10))) for _ in range(VOCABULARY)]


def median_of(call: Callable[[], object], times: int = 20) -> float:
    """The median in milliseconds over some calls."""
    return statistics.median(timed(call) for _ in range(times))


def spread(times: Sequence[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def bare_inserts(path: Path, bodies: Sequence[str]) -> list[float]:
    """Milliseconds for each INSERT in a transaction of its own, with the store's file settings and nothing else."""
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE turn(key INTEGER PRIMARY KEY, record BLOB)")
    times = [timed(lambda body=body: database.execute("INSERT INTO turn(record) VALUES(?)", (body.encode(),))) for body in bodies]  # type: ignore[misc]
    database.close()
    return times


def grow(store: Store, source: Iterator[str], length: int) -> None:
    """Bring the session to a length, in batches."""
    while (held := store.length(SESSION)) < length:
        size = min(500, length - held)
        store.append(
            SESSION, [Turn(id=f"t{held + place}", role="user", content=text) for place, text in enumerate(itertools.islice(source, size))]
        )


def measure(folder: Path, store: Store, source: Iterator[str], length: int) -> dict[str, float]:
    """One row of the table, in milliseconds."""
    grow(store, source, length - MEASURED)
    turns = [
        Turn(id=f"single {length} {place}", role="user", content=text) for place, text in enumerate(itertools.islice(source, MEASURED))
    ]
    bare = spread(bare_inserts(folder / f"bare{length}.db", [turn.model_dump_json() for turn in turns]))
    append = spread([timed(lambda turn=turn: store.append(SESSION, [turn])) for turn in turns])  # type: ignore[misc]
    words = vocabulary()
    return {
        "bare median": bare[0],
        "bare p95": bare[1],
        "append median": append[0],
        "append p95": append[1],
        "again": median_of(lambda: store.append(SESSION, [turns[-1]])),
        "read tail 20": median_of(lambda: store.read(SESSION, length - 19)),
        "search rare": median_of(lambda: store.search(SESSION, f"{words[9_000]} {words[4_000]}", 5)),
        "search sentence": median_of(
            lambda: store.search(SESSION, " ".join(words[place] for place in (0, 1, 4, 20, 90, 400, 4_000)), 5), 5
        ),
    }


def main() -> None:
    """Print the table."""
    lengths = [1_000, 10_000] if "--quick" in sys.argv[1:] else [1_000, 10_000, 100_000]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder / 'log.db'}")
        source = texts()
        rows = {length: measure(folder, store, source, length) for length in lengths}
        size = (folder / "log.db").stat().st_size
        erased = timed(lambda: store.erase(SESSION, [lengths[-1] // 2]))
        store.close()
    print("milliseconds".ljust(18) + "".join(f"{length:>12,} turns" for length in lengths))
    for title in rows[lengths[0]]:
        print(title.ljust(18) + "".join(f"{rows[length][title]:>18.3f}" for length in lengths))
    print(f"the file has {size / 1e6:.0f} MB; erasing one turn of it, down to the bytes, took {erased:.0f} ms")


if __name__ == "__main__":
    main()

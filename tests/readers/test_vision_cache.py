from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the deepseek extra is not installed")

from optical_memory.readers.vision_cache import FolderShelf, PageKey, Payload, StoreShelf, VisionCache
from optical_memory.stores import SessionId, open_store
from tests.sampling import examples

KEYS = [PageKey(f"page {n}", "small", "encoder") for n in range(6)]


class Encoder:
    """Makes recognisable tensors and counts."""

    def __init__(self, keys: Sequence[PageKey], rows: int = 4) -> None:
        self.keys, self.rows, self.calls = keys, rows, list[list[int]]()

    def __call__(self, places: Sequence[int]) -> list[Payload]:
        self.calls.append(list(places))
        return [{"rows": torch.full((self.rows, 8), float(int(self.keys[place].content.split()[1])))} for place in places]


def numbers(payloads: Sequence[Payload]) -> list[float]:
    return [float(payload["rows"][0, 0]) for payload in payloads]


def test_only_what_is_missing_is_encoded_and_once() -> None:
    cache = VisionCache()
    first = [KEYS[0], KEYS[1], KEYS[0]]
    encoder = Encoder(first)
    assert numbers(cache.get_or_encode(first, encoder)) == [0, 1, 0]
    assert encoder.calls == [[0, 1]]
    second = [KEYS[2], KEYS[1]]
    again = Encoder(second)
    assert numbers(cache.get_or_encode(second, again)) == [2, 1]
    assert again.calls == [[0]]
    assert (cache.counts.encoded, cache.counts.memory) == (3, 1)


def test_another_tier_or_encoder_is_another_page() -> None:
    cache = VisionCache()
    for key in (PageKey("page 1", "small", "a"), PageKey("page 1", "base", "a"), PageKey("page 1", "small", "b")):
        cache.get_or_encode([key], Encoder([key]))
    assert cache.counts.encoded == 3


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), max_size=30), st.integers(0, 2000))
def test_memory_never_exceeds_its_limit(asked: list[tuple[int, int]], limit: int) -> None:
    cache = VisionCache(memory_bytes=limit)
    for page, rows in asked:
        (payload,) = cache.get_or_encode([KEYS[page]], Encoder([KEYS[page]], rows))
        assert float(payload["rows"][0, 0]) == page
        assert cache.nbytes <= limit
        assert cache.nbytes == sum(size for _, size in cache._held.values())


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_a_shelf_outlives_the_cache(kind: str, tmp_path: Path) -> None:
    store = open_store("memory://")

    def shelf() -> Any:
        return FolderShelf(tmp_path) if kind == "folder" else StoreShelf(store, SessionId("s"))

    given = {"a": torch.randn(3, 5, dtype=torch.bfloat16), "b.c": torch.arange(4)}
    VisionCache(shelf=shelf()).get_or_encode(KEYS[:1], lambda places: [given])
    assert numbers(VisionCache(shelf=shelf()).get_or_encode(KEYS[1:], Encoder(KEYS[1:]))) == [1, 2, 3, 4, 5]  # several at once
    later = VisionCache(shelf=shelf())
    (back,) = later.get_or_encode(KEYS[:1], Encoder(KEYS))
    assert back.keys() == given.keys()
    assert all(torch.equal(back[name], tensor) and back[name].dtype == tensor.dtype for name, tensor in given.items())
    assert (later.counts.shelf, later.counts.encoded) == (1, 0)


@settings(max_examples=examples(60))
@given(st.data())
def test_a_damaged_file_is_made_again(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("shelf")
    VisionCache(shelf=FolderShelf(folder)).get_or_encode(KEYS[:1], Encoder(KEYS))
    (file,) = folder.glob("*.safetensors")
    whole = file.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    file.write_bytes(whole[:place] if cut else whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :])
    cache, encoder = VisionCache(shelf=FolderShelf(folder)), Encoder(KEYS)
    (back,) = cache.get_or_encode(KEYS[:1], encoder)
    # White space in the header's JSON may change without changing a thing; then, and only then, the file is taken.
    assert encoder.calls == [[0]] or _header(file.read_bytes()) == _header(whole)
    assert torch.equal(back["rows"], torch.zeros(4, 8))
    (again,) = VisionCache(shelf=FolderShelf(folder)).get_or_encode(KEYS[:1], Encoder(KEYS))
    assert torch.equal(again["rows"], torch.zeros(4, 8))


def _header(data: bytes) -> Any:
    import json

    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def test_a_file_of_another_page_is_not_taken(tmp_path: Path) -> None:
    VisionCache(shelf=FolderShelf(tmp_path)).get_or_encode(KEYS[:2], Encoder(KEYS))
    one, other = (tmp_path / f"{key.name}.safetensors" for key in KEYS[:2])
    one.write_bytes(other.read_bytes())
    cache = VisionCache(shelf=FolderShelf(tmp_path))
    assert numbers(cache.get_or_encode(KEYS[:2], Encoder(KEYS))) == [0, 1]
    assert (cache.counts.damaged, cache.counts.encoded, cache.counts.shelf) == (2, 1, 1)  # looked at before and after the lock


def test_a_folder_keeps_to_its_limit(tmp_path: Path) -> None:
    size = 600
    shelf = FolderShelf(tmp_path, limit=4 * size)
    for n in range(20):
        shelf.put(f"{n:040}", bytes(size))
        assert sum(file.stat().st_size for file in tmp_path.glob("*.safetensors")) <= 4 * size
    assert shelf.get(f"{19:040}") is not None
    assert shelf.get(f"{0:040}") is None


def test_threads_encode_a_page_once() -> None:
    cache, calls, ready = VisionCache(), list[int](), threading.Barrier(8)

    def encode(places: Sequence[int]) -> list[Payload]:
        calls.append(len(places))
        return Encoder(KEYS)(places)

    def ask() -> None:
        ready.wait()
        assert numbers(cache.get_or_encode(KEYS, encode)) == [0, 1, 2, 3, 4, 5]

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [6]


PROGRAM = """
import sys, time, torch
from pathlib import Path
from optical_memory.readers.vision_cache import FolderShelf, PageKey, VisionCache
cache = VisionCache(shelf=FolderShelf(Path(sys.argv[1])))
def encode(places):
    time.sleep(0.3)
    return [{"rows": torch.zeros(2, 2)} for _ in places]
cache.get_or_encode([PageKey("page", "small", "encoder")], encode)
print(cache.counts.encoded)
"""


@pytest.mark.slow
def test_processes_encode_a_page_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate(timeout=120)[0]) for process in running) == 1


@pytest.mark.endurance
def test_the_death_of_a_holder_delays_nobody(tmp_path: Path) -> None:
    dying = PROGRAM.replace("time.sleep(0.3)", "print('encoding', flush=True); time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", dying, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "encoding\n"
        holder.kill()
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1\n"

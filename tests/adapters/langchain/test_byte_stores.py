"""Pages in LangChain's byte stores, and our stores as byte stores: LangChain's own test suite, on every back end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("langchain_tests.integration_tests", reason="langchain-tests is not installed")

from langchain_core.stores import BaseStore, InMemoryByteStore
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

from optical_memory.adapters.langchain.byte_stores import ByteStorePages, OpticalByteStore
from optical_memory.adapters.settings import AdapterSettings, ModelMemories
from optical_memory.planning.triggers import WaterMarks
from optical_memory.stores import SessionId, Store
from tests.support import RuledRenderer

PAGES = SessionId("pages", "optical-memory")
VALUES = (b"one\x00", b"", b"\xff" * 100_000)


class TestSync(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, store: Store) -> OpticalByteStore:
        return OpticalByteStore(store)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return VALUES


@pytest.mark.asyncio
class TestAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, store: Store) -> OpticalByteStore:
        return OpticalByteStore(store)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return VALUES


def test_namespaces_and_sessions_do_not_meet(store: Store) -> None:
    kv_store = OpticalByteStore(store)
    kv_store.mset([("a", b"1"), ("a/b", b"2"), ("ü*", b"3")])
    OpticalByteStore(store, namespace="other").mset([("a", b"other")])
    store.put(SessionId("default"), {"a": b"a session's"})
    assert kv_store.mget(["ü*", "a", "x", "a"]) == [b"3", b"1", None, b"1"]
    assert list(kv_store.yield_keys(prefix="a")) == ["a", "a/b"]
    assert store.sessions() == []


def test_a_store_by_its_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bytes.db'}"
    OpticalByteStore(url).mset([("a", b"1")])
    assert OpticalByteStore(url).mget(["a"]) == [b"1"]


@pytest.fixture(params=["memory", "files", "ours"])
def byte_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStore[str, bytes]]:
    if request.param == "files":
        classic = pytest.importorskip("langchain_classic.storage", reason="langchain-classic is not installed")
        yield classic.LocalFileStore(tmp_path)
    else:
        yield InMemoryByteStore() if request.param == "memory" else OpticalByteStore("memory://")


NAMES = [
    "plan/ü",
    "picture/ab_c/512",
    "picture/ab_c/sealed",
    "picture/ab",
    "picture",
    "run/1-2/x",
    "run/1-2",
    "..",
    "",
    "/",
    "a//b",
    "é\ud800",
    "a.b",
]


def test_what_is_derived_is_kept_in_any_byte_store(byte_store: BaseStore[str, bytes]) -> None:
    pages = ByteStorePages(byte_store)
    byte_store.mset([("somebody-elses", b"x")])
    items = {name: str(place).encode() for place, name in enumerate(NAMES)}
    pages.put(PAGES, {})
    pages.put(PAGES, items)
    pages.put(SessionId("pages"), {"plan/ü": b"another session's"})
    assert pages.get(PAGES, [*NAMES, "absent"]) == items
    assert pages.get(PAGES, []) == {}
    assert pages.names(PAGES) == sorted(NAMES)
    assert pages.names(PAGES, "picture/ab_c/") == ["picture/ab_c/512", "picture/ab_c/sealed"]
    assert pages.names(PAGES, "picture/a") == ["picture/ab", "picture/ab_c/512", "picture/ab_c/sealed"]
    assert pages.names(PAGES, "absent/") == []
    pages.put(PAGES, {"plan/ü": b"new"})
    pages.discard(PAGES, ["picture", "absent"])
    pages.discard(PAGES, [])
    assert pages.get(PAGES, ["plan/ü", "picture"]) == {"plan/ü": b"new"}
    pages.discard(PAGES, NAMES)
    assert pages.names(PAGES) == []
    assert pages.names(SessionId("pages")) == ["plan/ü"]
    assert byte_store.mget(["somebody-elses"]) == [b"x"]


@given(names=st.sets(st.text(st.characters()), max_size=8), prefix=st.text(st.characters(), max_size=2))
def test_any_names_stay_apart(names: set[str], prefix: str) -> None:
    pages = ByteStorePages(InMemoryByteStore())
    items = {name: repr(name).encode() for name in names}
    pages.put(SessionId("a", "b/"), items)
    pages.put(SessionId("/a", "b"), {"other": b""})
    assert pages.get(SessionId("a", "b/"), sorted(names)) == items
    assert pages.names(SessionId("a", "b/"), prefix) == sorted(name for name in names if name.startswith(prefix))


def test_pages_of_a_conversation_outlive_the_process(byte_store: BaseStore[str, bytes]) -> None:
    messages = [{"role": role, "content": f"{n} about the parcel QX-77{n:03}. " * 9} for n in range(20) for role in ("user", "assistant")]
    drawn, state, images = [], None, []
    for _ in range(2):  # the second knows nothing but the bytes and the state
        renderer = RuledRenderer(rows=900)
        settings = AdapterSettings(
            cache=ByteStorePages(byte_store), renderer=renderer, reader="deepseek-ocr", marks=WaterMarks(high=300, low=60)
        )
        memory = ModelMemories(settings, key=str, turn=lambda message: message).memory_for(None)
        assert memory is not None
        shown = memory.context(messages, state)
        state = shown.state
        images.append([page.image() for page in shown.context.pages])
        drawn.append(len(renderer.calls))
    assert drawn[0] and not drawn[1]
    assert images[0] == images[1] and images[0]


def test_a_prefix_is_checked() -> None:
    with pytest.raises(ValueError, match="'a/b'"):
        ByteStorePages(InMemoryByteStore(), prefix="a/b")

"""Counting tokens: the real tokenizer where it is at hand, else an estimate that errs high."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tokens import reference, samples
from optical_memory.text import token_count as tokens
from optical_memory.text.token_count import Estimate, _Exact, open_counter
from tests.sampling import mostly_slow

DATA = Path(__file__).parents[1] / "data"
VOCABULARIES = {  # and what tiktoken calls them in its cache
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
estimate = Estimate()


def test_an_unknown_encoding_is_estimated() -> None:
    older = open_counter("no-such-encoding")
    assert older.name == "estimate"
    assert older.count("plain words") == estimate.count("plain words")
    assert older.count("நன்றி, спасибо, 謝謝") > estimate.count("நன்றி, спасибо, 謝謝")


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with the vocabularies as tiktoken caches them, out of bpe-openai's wheel."""
    data = resources.files("bpe_openai") / "data"
    for encoding, name in VOCABULARIES.items():
        (tmp_path / name).write_bytes(gzip.decompress((data / f"{encoding}.tiktoken.gz").read_bytes()))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


def in_fresh_process(code: str, **env: str) -> list[str]:
    """What a process prints that says which addresses it asked for."""
    watch = "import sys; sys.addaudithook(lambda event, of: event in ('socket.getaddrinfo', 'socket.connect') and print('ASKED', of))\n"
    return subprocess.run(
        [sys.executable, "-c", watch + code], env=os.environ | env, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize("absent", [(), ("bpe_openai",), ("tiktoken",), ("bpe_openai", "tiktoken")], ids=" ".join)
def test_nothing_is_ever_fetched(tmp_path: Path, absent: tuple[str, ...]) -> None:
    file = tmp_path / VOCABULARIES["o200k_base"]
    file.write_bytes(b"damaged")  # tiktoken would download anew
    code = (
        f"sys.modules.update(dict.fromkeys({absent!r}))\n"
        "from optical_memory.text.token_count import open_counter\n"
        "for encoding in (None, 'o200k_base', 'cl100k_base', 'p50k_base'):\n"
        "    counter = open_counter(encoding); print(counter.name, counter.count('hello world') >= 2)"
    )
    best = "estimate" if "bpe_openai" in absent else "bpe-openai/{}"
    names = [best.format(encoding) for encoding in ("o200k_base", "o200k_base", "cl100k_base")] + ["estimate"]
    assert in_fresh_process(code, TIKTOKEN_CACHE_DIR=str(tmp_path)) == [f"{name} True" for name in names]
    assert file.read_bytes() == b"damaged"


needs_bpe = pytest.mark.skipif(importlib.util.find_spec("bpe_openai") is None, reason="bpe-openai is not installed")


def test_a_tokenizer_is_loaded_when_something_is_counted() -> None:
    code = (
        "from optical_memory.text.token_count import open_counter\n"
        "name = 'bpe_openai._bindings'; counter = open_counter(); before = name in sys.modules; counter.count('a')\n"
        "print(before, name in sys.modules, 'bpe_openai' in sys.modules)"
    )
    assert in_fresh_process(code, TIKTOKEN_CACHE_DIR="") == ["False True False"], "the package's own dictionaries are not built"


@needs_bpe
def test_the_package_can_be_imported_before_and_after() -> None:
    code = (
        "from optical_memory.text.token_count import open_counter\n"
        "{}print(open_counter().count('hello world'), __import__('bpe_openai').get_encoding('o200k_base').encode_ordinary('hello world'))"
    )
    for first in ("", "import bpe_openai\n"):
        assert in_fresh_process(code.format(first), TIKTOKEN_CACHE_DIR="") == ["2 [24912, 2375]"]


@needs_bpe
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_the_compiled_module_counts_what_the_package_encodes(encoding: str) -> None:
    import bpe_openai

    letters = random.Random(7)
    signs = "abcdeé中文 \n\t0123<|endoftext|>.,;:’ABCx😀\u0301\u00a0\r"
    counter, encode = _Exact("bpe-openai", encoding), bpe_openai.get_encoding(encoding).encode_ordinary
    for _ in range(3_000):
        text = "".join(letters.choices(signs, k=letters.randrange(200)))
        assert counter.count(text) == len(encode(text)), text


@pytest.mark.parametrize("text", ["", "a", "hello world", "字", "🏳️‍🌈", "\x00", "\ud800", "<|endoftext|>", " ", "\n", "\r\n", "é" * 10])
def test_only_nothing_counts_nothing(text: str) -> None:
    assert (estimate.count(text) == 0) == (text == "")


@pytest.mark.parametrize(
    ("text", "true"),  # counted with tiktoken's o200k_base
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("def f(x):\n    return x\n", 8),
        ('{"reservation_id":"NO6JO3","price":152.50,"passengers":[{"first_name":"Mia"}]}', 26),
        ("2024-05-15T15:00:00Z ERROR [worker-7] request id=4f1c took 312ms status=500", 33),
        ("Das Wetter in München ist heute überraschend schön geworden.", 11),
        ("我想在这些附近景点里找一个评分比较高的餐馆，人均消费不要太贵。", 23),
        ("昨日は東京で友達と一緒に美味しい寿司を食べました。", 20),
        ("어제 서울에서 친구와 함께 맛있는 저녁을 먹었습니다.", 15),
        ("وصل القطار إلى المحطة متأخرا عن موعده بنصف ساعة.", 17),
        ("कल हम सब मिलकर बाज़ार गए और फल खरीदे।", 14),
        ("Вчера мы долго гуляли по набережной и говорили о работе.", 16),
        ("Great job! 🎉🔥 See you tomorrow 😀", 10),
        ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 43),
        ("SGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0IHRleHQu", 28),
    ],
)
def test_known_counts_are_met_from_above(text: str, true: int) -> None:
    assert true <= estimate.count(text) <= 1.15 * true + 2
    if importlib.util.find_spec("bpe_openai"):
        assert exact(text) == true


@given(st.text(st.characters(), max_size=200), st.text(st.characters(), max_size=200))
def test_parts_cost_about_what_the_whole_does(first: str, second: str) -> None:
    assert estimate.count(first + second) <= 1.2 * (estimate.count(first) + estimate.count(second)) + 8


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_never_more_tokens_than_bytes(text: str) -> None:
    assert estimate.count(text) <= len(text.encode()) * tokens.MARGIN + 1


@pytest.mark.parametrize("text", mostly_slow(["a", " ", "\n", "-", "A", "字", "a-", "\u0301", "é", "0"], quick=["a", " ", "字"]))
def test_a_flood_is_counted_in_linear_time(text: str) -> None:
    began = time.process_time()
    assert estimate.count(text * 200_000) > 1_000
    assert time.process_time() - began < 5


def test_the_filter_is_the_size_that_the_code_reads() -> None:
    assert Path(tokens.__file__).with_name("o200k_base.filter").stat().st_size * 8 == tokens.FILTER_BITS


needs_reference = pytest.mark.skipif(reference() is None, reason="no real tokenizer here: pip install bpe-openai")


@needs_reference
@pytest.mark.parametrize("name", ["coding-agent", "office-agent", "assistant-chats", "travel-chat-chinese", "reasoning-maths-code"])
def test_the_estimate_errs_high_on_real_conversations(name: str) -> None:
    real = reference()
    assert real is not None
    messages = json.loads((DATA / f"{name}.json").read_text())["messages"]
    text = "\n".join(message["content"] for message in messages if isinstance(message["content"], str))
    ratios = [estimate.count(sample) / real.count(sample) for sample in samples(text, real)]
    assert min(ratios) >= 0.98
    assert 1.0 <= sum(ratios) / len(ratios) <= 1.15


def exact(text: str, encoding: str = "o200k_base") -> int:
    """What bpe-openai counts, whatever else is on this machine."""
    return _Exact("bpe-openai", encoding).count(text)


@needs_bpe
@pytest.mark.parametrize(
    "text",
    ["<|endoftext|>", "<|fim_prefix|>a<|endofprompt|>", "\ud800", "a\udc00\ud83db", "\x00", "\ufeff", "<|im_start|>" * 9_000],
)
@pytest.mark.parametrize("encoding", VOCABULARIES)
def test_hostile_text_is_text(text: str, encoding: str) -> None:
    assert exact(text, encoding) >= 1
    if text.startswith("<|"):
        assert exact(text, encoding) > text.count("<|") + 1, "a special token would be one, and is its letters here"


@needs_bpe
@pytest.mark.parametrize("encoding", VOCABULARIES)
def test_only_nothing_is_no_token(encoding: str) -> None:
    assert exact("", encoding) == 0


@needs_bpe
@pytest.mark.parametrize("char", ["a", " ", "\n", "-", "A", "字", "\u0301", "é", "0", "\U0010ffff", "👍"])
def test_floods_are_counted_to_the_end(char: str) -> None:
    """More than bpe-openai takes at once, in characters and in tokens; what is quadratic in them would not end in time."""
    whole, chunk = exact(char * 1_200_000), exact(char * tokens.CHUNK)
    assert whole == 24 * chunk > 0


@needs_bpe
def test_threads_share_a_tokenizer() -> None:
    counter = _Exact("bpe-openai", "o200k_base")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(counter.count, ["hello world"] * 200)) == [2] * 200


needs_both = pytest.mark.skipif(
    importlib.util.find_spec("tiktoken") is None or importlib.util.find_spec("bpe_openai") is None, reason="needs tiktoken and bpe-openai"
)


@needs_both
def test_a_vocabulary_in_the_cache_is_used(cached: Path) -> None:
    counter = open_counter()
    assert (counter.name, counter.count("hello world")) == ("tiktoken/o200k_base", 2)
    (cached / VOCABULARIES["o200k_base"]).unlink()
    assert counter.count("hello again, world") == 4, "it was loaded when it was opened"
    assert open_counter().name == "bpe-openai/o200k_base"


@needs_both
@pytest.mark.parametrize("encoding", VOCABULARIES)
def test_both_tokenizers_count_the_same(cached: Path, encoding: str) -> None:
    theirs = open_counter(encoding)
    assert theirs.name == f"tiktoken/{encoding}"
    for file in sorted(DATA.glob("*.json")):
        for message in json.loads(file.read_text())["messages"]:
            text = message["content"] if isinstance(message["content"], str) else ""
            assert exact(text, encoding) == theirs.count(text)

    @given(st.text(st.characters() | st.sampled_from("aA'sté 0\n\t<|>\u200d👍字\u0301"), max_size=80))
    def agree(text: str) -> None:
        assert exact(text, encoding) == theirs.count(text)
        assert exact(f"{text}<|endoftext|>", encoding) == theirs.count(f"{text}<|endoftext|>")

    agree()

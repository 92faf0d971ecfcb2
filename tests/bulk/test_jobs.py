from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from optical_memory import OpticalMemory
from optical_memory.bulk import Running, VisionTokens, encode, open_source, parse, render, transcribe
from optical_memory.bulk.items import safe_path
from optical_memory.bulk.page_making import drawn_pages
from optical_memory.planning.settings import ViewSettings
from optical_memory.profiles.registry import profile_of
from optical_memory.renderers.base import open_renderer
from optical_memory.turns.turn import Turn
from tests.commands import run_command

from .sessions import lines, messages, png
from .work import rows

HERE = Running()


def filled(path: Path, sessions: int, pairs: int = 2) -> str:
    """A store's URL, with sessions in it."""
    url = f"sqlite:///{path}"
    for number in range(sessions):
        with OpticalMemory(f"session-{number}", store=url) as memory:
            memory.extend(messages(number, pairs))
    return url


def test_pages_in_parquet_are_those_that_the_renderer_draws(tmp_path: Path) -> None:
    done = render(lines(tmp_path / "talk.jsonl", 3), tmp_path / "out", HERE, renderer="pillow")
    assert (done.items, done.failed, done.pages) == (3, 0, 3)
    turns = [Turn(number=at, id=str(at), **message) for at, message in enumerate(messages(1), 1)]
    [page] = drawn_pages(turns, ViewSettings.of(profile_of("deepseek-ocr"), renderer="pillow"), open_renderer("pillow"))
    row = rows(tmp_path / "out")[1]
    assert row["item"] == "session-1 (line 2)"
    assert (row["png"], row["key"]) == (page.png, page.page_key)
    assert [(segment["turn"], segment["role"]) for segment in row["segments"]] == [
        (1, "user"),
        (2, "assistant"),
        (3, "user"),
        (4, "assistant"),
    ]
    assert "QX-1-0" in row["sidecar"]
    left, top, width, height = row["segments"][0]["boxes"][0]
    drawn = _picture(row["png"])
    assert drawn.crop((left, top, left + width, top + height)).convert("L").getextrema()[0] < 128, "there is ink in a turn's box"


def _picture(data: bytes) -> Image.Image:
    from io import BytesIO

    return Image.open(BytesIO(data))


def test_a_tier_sets_the_size_of_the_pictures(tmp_path: Path) -> None:
    render(lines(tmp_path / "talk.jsonl", 1), tmp_path / "out", HERE, renderer="pillow", tier="small")
    [row] = rows(tmp_path / "out")
    assert max(_picture(row["png"]).size) == 640
    assert max(row["width"], row["height"]) == 1024, "boxes are in pixels of the sealed page"


def test_a_session_with_erased_turns_keeps_its_numbers(tmp_path: Path) -> None:
    url = filled(tmp_path / "memory.sqlite3", 1)
    with OpticalMemory("session-0", store=url) as memory:
        memory.erase(2)
    render(url, tmp_path / "out", HERE, renderer="pillow")
    [row] = rows(tmp_path / "out")
    assert [segment["turn"] for segment in row["segments"]] == [1, 3, 4]


def test_a_session_that_has_grown_is_drawn_again_and_the_others_are_not(tmp_path: Path) -> None:
    url = filled(tmp_path / "memory.sqlite3", 2)
    assert render(url, tmp_path / "out", HERE, renderer="pillow").items == 2
    with OpticalMemory("session-1", store=url) as memory:
        memory.append({"role": "user", "content": "And back again?"})
    done = render(url, tmp_path / "out", HERE, renderer="pillow")
    assert (done.items, done.skipped) == (1, 1)
    assert [row["item"] for row in rows(tmp_path / "out")] == ["session-0@4", "session-1@4", "session-1@5"]


def test_a_warm_cache_holds_all_that_a_context_draws(tmp_path: Path) -> None:
    url = filled(tmp_path / "memory.sqlite3", 2, pairs=120)
    done = render(url, tmp_path / "out", HERE, to="cache", renderer="pillow", budget=2000)
    assert (done.items, done.failed) == (2, 0)
    assert done.pages >= 2
    with OpticalMemory("session-1", store=url, renderer="pillow") as memory:
        context = memory.context(2000)
        assert context.usage.vision_tokens > 0
        assert (memory.stats().pages_sealed, memory.stats().pages_redrawn) == (0, 0), "nothing was left to draw"
    with pytest.raises(ValueError, match="is no store's URL"):
        render(lines(tmp_path / "talk.jsonl", 1), tmp_path / "cache", HERE, to="cache")


def test_a_broken_line_is_a_dead_letter_that_names_its_place(tmp_path: Path) -> None:
    path = lines(tmp_path / "talk.jsonl", 2)
    with path.open("a") as file:
        file.write('{"id": "cut", "messages": [{"role": "us\n')
        file.write(json.dumps({"id": "odd", "messages": [{"role": "martian", "content": "?"}]}) + "\n")
    done = render(path, tmp_path / "out", HERE, renderer="pillow")
    assert (done.items, done.failed) == (2, 2)
    cut, odd = sorted((json.loads(line) for line in Path(done.dead_letters).read_text().splitlines()), key=lambda each: str(each["item"]))
    assert (cut["item"], odd["item"]) == ("line 3", "odd (line 4)")
    assert "line 3 is not JSON" in cut["why"]
    assert "martian" in odd["why"]
    assert odd["advice"] == "mend the message that the error names in the source"


def test_vision_tokens_are_those_of_the_whole_model(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import torch

    from optical_memory.deepseek_ocr.processing import page_pixels
    from optical_memory.deepseek_ocr.tiny import make_tiny
    from optical_memory.deepseek_ocr.weights import load_model
    from optical_memory.pages.tiers import Tier

    weights = make_tiny(tmp_path / "model")
    done = encode(
        lines(tmp_path / "talk.jsonl", 3),
        tmp_path / "out",
        Running(batch=2),
        weights=str(weights),
        tier="tiny",
        device="cpu",
        renderer="pillow",
    )
    assert (done.items, done.failed, done.pages) == (3, 0, 3)
    render(tmp_path / "talk.jsonl", tmp_path / "pages", HERE, renderer="pillow")
    tokens = VisionTokens(tmp_path / "out")
    assert len(tokens) == 3
    model = load_model(weights, dtype=torch.float32)
    for row in rows(tmp_path / "pages"):
        whole = model.encode_page(page_pixels(_picture(row["png"]), Tier.TINY))
        found = tokens.rows(row["item"])
        assert found.shape == whole.shape == (73, whole.shape[1])
        assert torch.allclose(found, whole, atol=1e-5)
    with pytest.raises(LookupError, match="no page 2"):
        tokens.rows("session-0 (line 1)", 2)


def test_readings_and_markdown_hold_the_words_of_the_pages(tmp_path: Path) -> None:
    render(lines(tmp_path / "talk.jsonl", 1), tmp_path / "drawn", HERE, renderer="pillow")
    folder = tmp_path / "pictures" / "July"
    folder.mkdir(parents=True)
    (folder / "page 1.png").write_bytes(rows(tmp_path / "drawn")[0]["png"])
    (tmp_path / "pictures" / "broken.png").write_bytes(b"\x89PNG but no picture")
    read = transcribe(tmp_path / "drawn" / "pages", tmp_path / "read", HERE)
    assert read.items == 1
    assert "QX-0-1" in rows(tmp_path / "read", "readings")[0]["text"]
    parsed = parse(tmp_path / "pictures", tmp_path / "parsed", HERE)
    assert (parsed.items, parsed.failed) == (1, 1)
    assert "train to Lyon" in (tmp_path / "parsed" / "markdown" / "July" / "page 1.png.md").read_text("utf-8")
    assert "no picture that Pillow reads" in Path(parsed.dead_letters).read_text()


def test_parquet_of_sessions_and_of_pictures_are_sources(tmp_path: Path) -> None:
    typed = [{"id": f"s{number}", "messages": messages(number)} for number in range(3)]
    pq.write_table(pa.Table.from_pylist(typed), tmp_path / "typed.parquet")
    text = [{"id": "s0", "messages": json.dumps(messages(0))}, {"id": "s1", "messages": "[cut"}]
    pq.write_table(pa.Table.from_pylist(text), tmp_path / "text.parquet")
    pq.write_table(
        pa.Table.from_pylist([{"name": "a", "image": {"bytes": png()}}, {"name": "b", "image": None}]), tmp_path / "images.parquet"
    )
    pq.write_table(pa.Table.from_pylist([{"a": 1}]), tmp_path / "other.parquet")
    items = list(open_source((tmp_path / "typed.parquet").as_uri()).items())
    assert [len(item.turns()) for item in items] == [4, 4, 4]  # type: ignore[attr-defined]
    assert render(tmp_path / "text.parquet", tmp_path / "out", HERE, renderer="pillow").failed == 1
    keys = [item.key for item in open_source(tmp_path / "images.parquet").items()]
    assert keys == ["a (row 1)", "b (row 2)"]
    with pytest.raises(ValueError, match="wanted is one of messages, png"):
        list(open_source(tmp_path / "other.parquet").items())
    with pytest.raises(ValueError, match="lives in one process"):
        open_source("memory://shared")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        open_source(tmp_path / "absent")


def test_an_export_of_another_program_is_a_source(tmp_path: Path) -> None:
    chat = {"messages": messages(5), "title": "trains"}
    (tmp_path / "chat.json").write_text(json.dumps(chat))
    [item] = open_source(tmp_path / "chat.json").items()
    assert [turn.text for turn in item.turns()] == [message["content"] for message in messages(5)]  # type: ignore[attr-defined]


def test_paths_of_items_stay_in_their_folder() -> None:
    assert safe_path("July/page 1.png") == "July/page 1.png"
    for key in ("../../etc/passwd", "/etc/passwd", "a//b", ".", "x" * 300):
        assert "/" not in safe_path(key)
        assert "." not in safe_path(key)
    assert safe_path("a\\b:c") == "a%5Cb%3Ac"
    assert len({safe_path(key) for key in ("..", ".", "/", "//")}) == 4


def test_the_command_says_what_it_did_and_fails_where_items_failed(tmp_path: Path) -> None:
    path = lines(tmp_path / "talk.jsonl", 2)
    command = ("bulk", "render", str(path), "--out", "out", "--renderer", "pillow", "--workers", "0")
    done = run_command(*command, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["items"], told["failed"], told["pages"], told["folder"]) == (2, 0, 2, "out")
    again = run_command(*command, cwd=tmp_path)
    assert again.stdout.startswith("0 items done, 0 failed, 2 done before; 0 pages")
    other = run_command(*command, "--tier", "tiny", cwd=tmp_path)
    assert (other.returncode, "holds outputs with tier" in other.stderr) == (2, True)
    with path.open("a") as file:
        file.write("{}\n")
    failed = run_command(*command, cwd=tmp_path)
    assert failed.returncode == 1
    assert "dead-letter.jsonl says what, why and what to do" in failed.stderr

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from optical_memory.bulk import LANGUAGES, RandomTalks, Running, pairs
from optical_memory.errors import UnknownName

from .sessions import lines, messages
from .work import rows


def made(folder: Path, talks: RandomTalks, batch: int = 4, **options: Any) -> list[dict[str, Any]]:
    pairs(talks, folder, Running(batch=batch), **{"renderers": ("pillow",), "tiers": ("tiny", "large")} | options)
    return sorted(rows(folder, "pairs"), key=lambda row: (row["item"], row["renderer"], row["page"], row["width"]))


def test_a_seed_determines_every_row(tmp_path: Path) -> None:
    talks = RandomTalks(5, seed=7, languages=("en", "zh", "ar"))
    first = made(tmp_path / "a", talks)
    assert made(tmp_path / "b", talks, batch=2) == first
    assert [row["language"] for row in first if row["tier"] == "tiny"] == ["en", "zh", "ar", "en", "zh"]
    other = made(tmp_path / "c", RandomTalks(5, seed=8, languages=("en", "zh", "ar")))
    assert not {row["text"] for row in first} & {row["text"] for row in other}


def test_a_larger_count_goes_on_where_the_last_ended(tmp_path: Path) -> None:
    made(tmp_path / "grown", RandomTalks(2, languages=("en",)))
    assert made(tmp_path / "grown", RandomTalks(4, languages=("en",))) == made(tmp_path / "whole", RandomTalks(4, languages=("en",)))


def test_each_turn_stands_in_its_box_at_each_tier(tmp_path: Path) -> None:
    found = made(tmp_path / "out", RandomTalks(2, languages=("de",)), tiers=("tiny", "small", "base", "large", "gundam"))
    assert len(found) == 10
    for row in found:
        picture = Image.open(BytesIO(row["png"])).convert("L")
        assert picture.size == (row["width"], row["height"])
        assert max(picture.size) == {"tiny": 512, "small": 640, "base": 1024, "large": 1280, "gundam": 1280}[row["tier"]]
        assert row["text"] == "\n".join(segment["text"] for segment in row["segments"])
        for segment in row["segments"]:
            for left, top, width, height in segment["boxes"]:
                assert left + width <= picture.width + 1
                assert picture.crop((left, top, left + width, top + height)).getextrema()[0] < 128, "ink"


def test_a_page_with_half_a_turn_is_left_out(tmp_path: Path) -> None:
    short = [message for number in range(120) for message in messages(number)]
    long = {"role": "user", "content": " ".join(message["content"] for message in short)}
    (tmp_path / "long.jsonl").write_text(json.dumps({"id": "long", "messages": [*short, long]}) + "\n")
    pairs(tmp_path / "long.jsonl", tmp_path / "out", Running(), renderers=("pillow",), tiers=("base",))
    said = [segment["text"] for row in rows(tmp_path / "out", "pairs") for segment in row["segments"]]
    assert 0 < len(said) <= len(short)
    assert set(said) <= {message["content"] for message in short}, "no part of the turn that stands on two pages"


def test_both_renderers_draw_scripts_of_all_directions(tmp_path: Path) -> None:
    some = ("en", "zh", "ja", "ko", "ar", "he", "hi", "th", "ka", "am", "bo", "my")
    assert set(some) < set(LANGUAGES)
    assert len(set(LANGUAGES)) == len(LANGUAGES) >= 100
    found = made(tmp_path / "out", RandomTalks(len(some), languages=some), renderers=("chromium", "pillow"), tiers=("tiny",))
    assert {(row["language"], row["renderer"]) for row in found} == {(each, name) for each in some for name in ("chromium", "pillow")}


def test_what_does_not_exist_is_named_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown language 'tlh'"):
        RandomTalks(1, languages=("en", "tlh"))
    with pytest.raises(UnknownName, match="unknown renderer 'cairo'"):
        pairs(lines(tmp_path / "talk.jsonl", 1), tmp_path / "out", renderers=("cairo",))


@pytest.mark.slow
def test_training_is_resumed_to_the_same_weights_and_the_loss_falls(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.train_reader import Settings, Trainer, opened, samples
    from optical_memory.pages.tiers import Tier

    torch.set_num_threads(1)
    made(tmp_path / "pairs", RandomTalks(24, languages=("en",)), tiers=("tiny",))
    known, unseen = samples(tmp_path / "pairs", Tier.TINY)
    assert {sample.text for sample in known}.isdisjoint(sample.text for sample in unseen)
    settings = Settings(Tier.TINY, batch=1, rate=4e-3, longest=8, seed=3)

    def fresh(name: str) -> Trainer:
        (tmp_path / name).mkdir(exist_ok=True)
        return opened(None, tmp_path / name, "cpu", settings)[0]

    whole = fresh("whole")
    before = whole.test(unseen, 2)[0]
    for _ in range(6):
        whole.train(known)
    assert whole.test(unseen, 2)[0] < before - 0.1
    half = fresh("halves")
    for _ in range(3):
        half.train(known)
    half.save(tmp_path / "halves")
    again = fresh("halves")
    assert again.resume(tmp_path / "halves")
    for _ in range(3):
        again.train(known)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name]), name

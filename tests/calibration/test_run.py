"""Whole eye tests with real readers: Tesseract in this process, and behind a real server; kills, bounds, verdicts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from optical_memory import OpticalMemory
from optical_memory.calibration import (
    Answered,
    Bounds,
    ChartName,
    Record,
    Settings,
    asker_for,
    plot,
    price_of,
    run,
    usable_kinds,
    verdict_of,
)
from optical_memory.calibration.asking import ChatAsker, found_in_json, found_in_transcription
from optical_memory.calibration.eye_charts import draw
from optical_memory.calibration.run import read_results
from optical_memory.calibration.verdict import Place, profile_with, write_profile
from optical_memory.errors import ReaderUnavailable
from optical_memory.pages.tiers import Tier
from optical_memory.profiles.registry import load_profile
from optical_memory.readers import ReaderProfile, open_reader, profile_of
from optical_memory.readers.tesseract import OcrReader, has_language
from optical_memory.renderers.base import Renderer, open_renderer
from optical_memory.renderers.png import decode_grey
from tests.commands import run_command

from .ocr_server import OcrServer

ROOT = Path(__file__).parents[2]
SMALL = Settings("tesseract", ("hex", "prose"), (Tier.TINY, Tier.BASE), (14.0,), rounds=1, probes=24, seed=3)
PLAIN = profile_of("tesseract")  # whose pages are the default ones
needs_tesseract = pytest.mark.skipif(not has_language(), reason="no Tesseract with English here: apt install tesseract-ocr")


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    opened = open_renderer("pillow")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, renderer: Renderer) -> Path:
    """Results of a run that nothing cut short."""
    path = tmp_path_factory.mktemp("whole") / "results.jsonl"
    assert run(SMALL, asker_for(OcrReader()), renderer, path).stopped == ""
    return path


def calibration(folder: Path, *arguments: str) -> list[str]:
    small = ["--kinds", "hex,prose", "--tiers", "tiny,base", "--sizes", "14", "--charts", "1", "--probes", "24", "--seed", "3"]
    return ["calibrate", "--out", str(folder), *small, *arguments]


def finished(*arguments: str, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_command(*calibration(folder, *arguments), cwd=ROOT)
    assert done.returncode == code, done.stderr
    return done


# -- with Tesseract ------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_tesseract
def test_the_curve_falls(whole: Path) -> None:
    verdict = verdict_of(read_results(whole)[1], PLAIN)
    rates = {place: found.exact_rate for place, found in verdict.scores.items()}
    for kind in ("hex", "prose"):
        assert rates[Place(kind, Tier.TINY, 14.0)] < rates[Place(kind, Tier.BASE, 14.0)]
    tiny = verdict.scores[Place("hex", Tier.TINY, 14.0)]
    assert tiny.wrong > 0, "misread, not left out"
    assert verdict.total.probes == 4 * 24


@pytest.mark.slow
@needs_tesseract
def test_a_run_that_was_killed_goes_on_and_ends_the_same(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    command = [sys.executable, "-m", "optical_memory", *calibration(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 2 <= path.read_bytes().count(b"\n") < whole.read_bytes().count(b"\n")
    with path.open("a") as file:
        file.write('{"kind": "he')  # as a kill in the middle of a write leaves it
    shown = finished(folder=tmp_path).stdout
    assert path.read_bytes() == whole.read_bytes()
    assert "faintest rung of 14-px pages" in shown and "hex" in shown


@pytest.mark.slow
@needs_tesseract
@pytest.mark.parametrize("at", range(0, 100, 9))
def test_a_file_cut_anywhere_is_gone_on_with(at: int, whole: Path, tmp_path: Path, renderer: Renderer) -> None:
    """The reader here gives back what was read; a cut is mended whatever byte it fell on."""
    data, path = whole.read_bytes(), tmp_path / "results.jsonl"
    path.write_bytes(data[: len(data) * at // 100])
    by_name = {record.name: record for record in read_results(whole)[1]}

    class Replayed(ChatAsker):
        def __init__(self) -> None:
            self.profile = profile_of("tesseract")

        def text_tokens(self, numbers: object) -> int:
            return 0

        def answer_tokens(self, probes: int) -> int:
            return 0

        def ask(self, chart):  # type: ignore[no-untyped-def]
            from optical_memory.calibration.asking import Reply

            record = by_name[chart.name]
            return Reply({item.number: item.answer for item in record.answers if item.answer is not None}, "", record.tokens)

    run(SMALL, Replayed(), renderer, path)
    assert path.read_bytes() == data


@pytest.mark.slow
@needs_tesseract
def test_bounds_hold_over_all_runs_into_a_file(tmp_path: Path, renderer: Renderer) -> None:
    asker, path = asker_for(OcrReader()), tmp_path / "results.jsonl"
    assert run(SMALL, asker, renderer, path, bounds=Bounds(requests=0)).records == ()
    for _ in range(2):
        outcome = run(SMALL, asker, renderer, path, bounds=Bounds(requests=1))
        assert len(outcome.records) == 1 and "1 requests" in outcome.stopped
    outcome = run(SMALL, asker, renderer, path, bounds=Bounds(tokens=273 + 273 + 72))
    assert sum(record.tokens for record in outcome.records) == 546 and "bound of 618 tokens" in outcome.stopped


@pytest.mark.slow
@needs_tesseract
def test_other_settings_do_not_go_on_with_a_file(whole: Path, renderer: Renderer) -> None:
    with pytest.raises(ValueError, match="other settings or another reader"):
        run(replace(SMALL, seed=4), asker_for(OcrReader()), renderer, whole)


@needs_tesseract
def test_a_dry_run_asks_nothing(tmp_path: Path) -> None:
    done = finished("--dry-run", "--price-in", "2", folder=tmp_path / "none")
    assert "requests                   4" in done.stdout
    assert f"picture tokens  {2 * 73 + 2 * 273:>12,}" in done.stdout
    assert not (tmp_path / "none").exists()


@needs_tesseract
def test_kinds_that_the_reader_has_no_letters_for_are_left_out(renderer: Renderer) -> None:
    usable, left_out = usable_kinds(["hex", "arabic"], renderer, OcrReader())
    assert usable == ("hex",) and "'ara'" in left_out["arabic"]
    with pytest.raises(ValueError, match="unknown kind of text 'digits'; known: arabic"):
        usable_kinds(["digits"], renderer, OcrReader())


@pytest.mark.slow
def test_a_model_in_this_process_is_asked_to_transcribe(tmp_path: Path) -> None:
    """A tiny DeepSeek-OCR with random weights: it reads nothing, and nothing is what is written down."""
    pytest.importorskip("torch", reason="the deepseek extra is not installed")
    from optical_memory.deepseek_ocr.tiny import make_tiny

    weights = make_tiny(tmp_path / "tiny")
    finished("--reader", "deepseek-ocr", "--weights", str(weights), "--kinds", "hex", "--tiers", "tiny", "--probes", "3", folder=tmp_path)
    _, found = read_results(tmp_path / "results.jsonl")
    assert [item.outcome for record in found for item in record.answers] == ["abstained"] * 3
    assert all(record.tokens > 73 for record in found)
    assert load_profile(tmp_path / "profile.toml").evidence is not None


# -- behind a server -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs_tesseract
def test_a_chat_model_is_asked_over_http(tmp_path: Path, whole: Path) -> None:
    pytest.importorskip("httpx", reason="the serving extra is not installed")
    own = tmp_path / "own.toml"  # with the pages that Tesseract was shown
    own.write_text("[own]\nas_of = '2026-11'\nsource = 'this test'\nformula = {kind = 'flat', tokens = 100}\n", "utf-8")
    with OcrServer() as server:
        shown = finished(
            "--reader", server.url, "--model", "looks-with-ocr", "--profile", str(own), "--tiers", "small,base", folder=tmp_path
        )
    assert len(server.requests) == 4
    assert all(request["temperature"] == 0 and request["max_tokens"] == 32 + 48 * 24 for request in server.requests)
    _, records = read_results(tmp_path / "results.jsonl")
    assert {record.tokens for record in records} == {777}, "as the server billed"
    direct = {record.name: record for record in read_results(whole)[1]}
    for record in records:
        if record.name in direct:
            assert record.answers == direct[record.name].answers, "the same picture reaches the server, and its answers come back"
    written = (tmp_path / "profile.toml").read_text()
    assert "looks-with-ocr" in written and "--sizes 14 --charts 1" in written and "small" in shown.stdout


@needs_tesseract
def test_an_outage_loses_nothing_and_is_no_answer(tmp_path: Path, renderer: Renderer) -> None:
    pytest.importorskip("httpx", reason="the serving extra is not installed")
    settings, path = replace(SMALL, reader="m", tiers=(Tier.BASE,)), tmp_path / "results.jsonl"
    with OcrServer(fail_after=1) as server:
        reader = open_reader("openai", url=server.url, model="m", profile="deepseek-ocr")  # whose pages are those of `whole`
        with pytest.raises(ReaderUnavailable):
            run(settings, asker_for(reader), renderer, path)
        assert len(read_results(path)[1]) == 1
        server.fail_after = None
        assert len(run(settings, asker_for(reader), renderer, path).records) == 2
        assert len(server.requests) == 3


def test_the_price_of_a_chat_model_counts_its_question() -> None:
    pytest.importorskip("httpx", reason="the serving extra is not installed")
    asker = asker_for(open_reader("openai", url="http://127.0.0.1:1/v1", model="qwen3-vl-8b"))
    price = price_of(replace(SMALL, reader="q", tiers=(Tier.BASE,)), asker)
    assert (price.requests, price.picture_tokens) == (2, 2 * (36 * 36 + 2))
    assert 2 * 150 < price.text_tokens < 2 * 400
    assert price.tokens == price.picture_tokens + price.text_tokens + 2 * (32 + 48 * 24)


def test_a_model_of_unknown_price_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("httpx", reason="the serving extra is not installed")
    done = finished("--reader", "http://127.0.0.1:1/v1", "--model", "nobody-knows", folder=tmp_path, code=2)
    assert "pass --profile" in done.stderr
    assert "needs --model" in finished("--reader", "http://127.0.0.1:1/v1", folder=tmp_path, code=2).stderr


# -- answers and verdicts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"17": "ab", "18": null}', {17: "ab", 18: None}),
        ('Sure:\n```json\n{"#17": "a{b}", "20": ""}\n```', {17: "a{b}", 20: None}),
        ("I cannot read it.", {}),
        ('{"17": "broken', {}),
        ('{"17": ["no", "text"], "note": "x"}', {17: None}),
    ],
)
def test_answers_in_json(said: str, found: dict[int, str | None]) -> None:
    assert found_in_json(said) == found


def test_answers_in_a_transcription() -> None:
    said = "#17 user ab\ncd\n# 19 assistant: 9f3a 21 user\n\n#23 user\n**#25 tool** x\n#17 user again 31 userif #33 userif a"
    assert found_in_transcription(said) == {17: "ab cd", 19: "9f3a", 21: None, 23: None, 25: "x", 33: "if a"}
    assert found_in_transcription("| #17 user ab\n[#18 user cd 1\nI #19 tool e |\n#20 tool f") == {17: "ab", 18: "cd 1", 19: "e |", 20: "f"}
    assert found_in_transcription("no heads at all") == found_in_transcription("") == {}


def records(*rights: tuple[str, Tier, float, int]) -> list[Record]:
    """A hundred answers for each place, so many of them right."""
    return [
        Record(ChartName(kind, tier, size, 0), 1.0, tuple(Answered(at, "a", "a" if at < right else "b") for at in range(100)), 1)
        for kind, tier, size, right in rights
    ]


def test_the_floor_is_the_faintest_rung_without_a_failure_above_it() -> None:
    tiny, small, base = Tier.TINY, Tier.SMALL, Tier.BASE
    found = records(("hex", base, 14.0, 100), ("hex", small, 14.0, 90), ("hex", tiny, 14.0, 100), ("prose", base, 14.0, 100))
    verdict = verdict_of(found, PLAIN)
    assert (verdict.floors, verdict.floor) == ({"hex": base, "prose": base}, base)
    found = records(("hex", base, 14.0, 100), ("hex", small, 14.0, 100), ("hex", tiny, 14.0, 96), ("hex", tiny, 18.0, 100))
    verdict = verdict_of(found, PLAIN)
    assert (verdict.floor, verdict.letter) == (small, 14 * 640 / 1024)
    assert verdict_of(records(("hex", base, 14.0, 97)), PLAIN).floor is None, "97 of 100 does not show 95 %"
    found = records(("hex", Tier.LARGE, 14.0, 80), ("hex", base, 14.0, 100), ("hex", small, 14.0, 100), ("hex", tiny, 14.0, 3))
    verdict = verdict_of(found, PLAIN)
    assert verdict.floor is small, "a sharper rung that fails, an enlarged picture say, does not lift the floor"
    with pytest.raises(ValueError, match="nothing to judge"):
        verdict_of([], PLAIN)


def test_a_profile_is_written_and_read_back(tmp_path: Path) -> None:
    verdict = verdict_of(records(("hex", Tier.BASE, 14.0, 100), ("hex", Tier.SMALL, 14.0, 100), ("hex", Tier.TINY, 14.0, 3)), PLAIN)
    for number, name in enumerate(("deepseek-ocr", "gpt-4o", "qwen3-vl", "gemini-3")):
        measured = profile_with(profile_of(name), verdict, name=f'mine "{number}" \\ ü', by="a test")
        write_profile(tmp_path / "profile.toml", measured)
        found = load_profile(tmp_path / "profile.toml")
        assert found == measured
        assert found.floor is Tier.SMALL and found.measured is not None and found.measured.met
        assert found.measured.floors == {"hex": "small"} and found.measured.letter == 8.75
    memory = OpticalMemory("p", store="memory://", reader=str(tmp_path / "profile.toml"))
    assert isinstance(memory.profile, ReaderProfile) and memory.profile.name.startswith("mine")
    (tmp_path / "bad.toml").write_text("name = 3")
    with pytest.raises(ValueError, match="is no table"):
        profile_of(str(tmp_path / "bad.toml"))


def test_pages_are_laid_out_in_the_letters_that_were_read() -> None:
    """At Small 12 px on a page of 1152 px: a page in that font is Small's, and the rungs below are off."""
    qwen = profile_of("qwen3-vl").allowing("tiny")
    sizes = (12.0, 15.0)
    found = records(
        *(("hex", Tier.BASE, size, 100) for size in sizes),
        ("hex", Tier.SMALL, 15.0, 100),
        ("hex", Tier.SMALL, 12.0, 50),
        ("hex", Tier.TINY, 15.0, 3),
    )
    verdict = verdict_of(found, qwen)
    assert (verdict.floor, verdict.letter) == (Tier.SMALL, 12.0), "12 px at Base, where the page is shown as it is"
    measured = profile_with(qwen, verdict, name="mine", by="a test")
    assert measured.ladder == (Tier.SMALL, Tier.BASE)
    style = measured.page_style()
    assert (
        style.font_size * measured.side(Tier.SMALL) / style.width >= 12.0 > (style.font_size - 1) * measured.side(Tier.SMALL) / style.width
    )
    failed = verdict_of(records(("hex", Tier.BASE, 15.0, 5)), qwen)
    assert profile_with(qwen, failed, name="mine", by="a test").rungs == qwen.rungs


def test_charts_are_the_readers_own_pages() -> None:
    claude = profile_of("claude")
    drawn = draw(ChartName("hex", Tier.SMALL, 18.0, 0), open_renderer("pillow"), claude, seed=1, probes=5)
    assert (drawn.page.width, drawn.page.height) == (1092, 1092)
    assert decode_grey(drawn.page.image(Tier.SMALL)).size == (756, 756)


def test_where_nothing_met_the_target_the_floor_is_the_sharpest_rung() -> None:
    verdict = verdict_of(records(("hex", Tier.BASE, 14.0, 5), ("hex", Tier.SMALL, 14.0, 1)), PLAIN)
    measured = profile_with(profile_of("deepseek-ocr"), verdict, name="x", by="a test")
    assert measured.floor is Tier.BASE and measured.measured and not measured.measured.met and measured.measured.letter is None


def test_the_plot_is_a_picture() -> None:
    verdict = verdict_of(records(*(("hex", tier, size, 20 * tier) for tier in (Tier.TINY, Tier.BASE) for size in (11.0, 14.0))), PLAIN)
    root = ElementTree.fromstring(plot(verdict))
    assert root.tag.endswith("svg") and len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 2


@pytest.mark.parametrize("change", [{"kinds": ("runes",)}, {"kinds": ()}, {"tiers": ()}, {"rounds": 0}, {"font_sizes": (3.0,)}])
def test_settings_that_make_no_test_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_results_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps({"v": 1}) + '\n{"a": 1}\n')
    with pytest.raises(ValueError, match="no result"):
        read_results(tmp_path / "r.jsonl")

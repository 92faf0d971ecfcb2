"""`optical-memory cost --probe`, against a real HTTP server that bills as a provider does."""

from __future__ import annotations

from pathlib import Path

import pytest

from optical_memory.profiles.registry import OWN_FILE, load_profile, profile_for_model, profile_of
from optical_memory.server.local_upstream.app import LocalUpstream
from optical_memory.server.local_upstream.serving import Serving
from tests.cli.test_sessions import Shell

KEY = "sk-probe-not-a-real-key"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.extra["OPTICAL_MEMORY_API_KEY"] = KEY
    return made


@pytest.mark.parametrize("model", ["gpt-6-sol", "kimi-k3"])
def test_a_model_that_is_billed_as_its_profile_says(shell: Shell, model: str) -> None:
    upstream = LocalUpstream()
    with Serving(upstream) as server:
        said = shell("cost", "--probe", model, "--url", f"{server.address}/v1", "--out", "own.toml")
    assert "fits" in said.stdout and "no known rule" not in said.stdout
    assert KEY not in said.stdout + said.stderr + (shell.folder / "own.toml").read_text("utf-8")
    assert all(("authorization", f"Bearer {KEY}") in seen.headers for seen in upstream.seen) and len(upstream.seen) == 9
    probed, shipped = load_profile(shell.folder / "own.toml"), profile_of(model)
    assert (probed.ladder, probed.page, probed.cache) == (shipped.ladder, shipped.page, shipped.cache)
    around = probed.picture_tokens(1000, 700) - shipped.picture_tokens(1000, 700)
    assert around == 16, "the words around a picture, which this server counts too"
    assert probed.picture_tokens(40, 3000) == shipped.picture_tokens(40, 3000) + around


def test_a_model_that_is_billed_otherwise_gets_text(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with Serving(LocalUpstream(picture_price=1.9)) as server:
        result = shell.json("cost", "--probe", "gpt-5.4", "--url", f"{server.address}/v1", "--out", "own.toml")
    assert result["like"] == ""
    assert all(each["billed"] > 1.8 * each["expected"] for each in result["pictures"])
    assert load_profile(shell.folder / "own.toml").ladder == ()
    monkeypatch.setenv(OWN_FILE, str(shell.folder / "own.toml"))
    own = profile_for_model("gpt-5.4")
    assert own is not None and own.source.startswith("probed on") and own.ladder == ()


def test_what_cannot_be_probed_says_so(shell: Shell) -> None:
    assert "--url" in shell("cost", "--probe", "gpt-5.4", code=2).stderr
    assert "--probe MODEL --url URL" in shell("cost", code=2).stderr
    upstream = LocalUpstream()
    upstream.refuses_pages = True
    with Serving(upstream) as server:
        failed = shell("cost", "--probe", "gpt-5.4", "--url", f"{server.address}/v1", code=1).stderr
    assert "'gpt-5.4': the server answered 400" in failed and KEY not in failed

"""The hooks of the plug-in for Claude Code: a transcript is kept before a compaction, and can be recalled after it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from optical_memory import OpticalMemory
from tests.commands import run_command

PLUGIN = Path(__file__).parents[2] / "integrations" / "claude-code"
ID = "0f0f0f0f-0000-4000-8000-000000000001"


def _row(at: int, role: str, content: Any) -> dict[str, Any]:
    when = f"2026-05-01T10:{at // 60:02d}:{at % 60:02d}.000Z"
    message = {"role": role, "content": content}
    return {"type": role, "uuid": f"u{at}", "sessionId": ID, "isSidechain": False, "timestamp": when, "message": message}


def _transcript(folder: Path, rows: int) -> Path:
    words = "the order goes to Lyon and the driver knows the way; " * 60
    said = [_row(at, "user" if at % 2 == 0 else "assistant", f"Step {at}: ORD-{at * 7919}. {words}") for at in range(rows)]
    path = folder / f"{ID}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in said), "utf-8")
    return path


def _event(name: str, transcript: Path, **more: str) -> str:
    return json.dumps({"session_id": ID, "transcript_path": str(transcript), "cwd": "/", "hook_event_name": name, **more})


def _hook(folder: Path, event: str) -> Any:
    environment = {"OPTICAL_MEMORY_STORE": f"sqlite:///{folder.as_posix()}/s.sqlite3", "OPTICAL_MEMORY_RENDERER": "pillow"}
    return run_command("hook", cwd=folder, env=environment, stdin=event)


def test_a_conversation_is_kept_before_and_offered_after_a_compaction(tmp_path: Path) -> None:
    before = _hook(tmp_path, _event("PreCompact", _transcript(tmp_path, 60), trigger="auto"))
    assert (before.returncode, before.stdout, before.stderr) == (0, "", "")
    after = _hook(tmp_path, _event("SessionStart", _transcript(tmp_path, 62), source="compact"))
    said = json.loads(after.stdout)["hookSpecificOutput"]
    assert said["hookEventName"] == "SessionStart"
    context = said["additionalContext"]
    assert f'62 turns, session "claude-code/{ID}"' in context
    assert "[p70 #" in context and "ORD-443464" in context and len(context) < 8_000
    with OpticalMemory(f"claude-code/{ID}", store=f"sqlite:///{tmp_path.as_posix()}/s.sqlite3") as memory:
        assert [turn.number for turn in memory.recall("ORD-7919")][:1] == [2]
        assert len(memory) == 62  # nothing twice


@pytest.mark.parametrize(
    "event",
    [
        "",
        "[]",
        "{",
        "{}",
        json.dumps({"session_id": 3}),
        _event("PreCompact", Path("/no.jsonl")),
        _event("SessionStart", Path("/nowhere")),
    ],
)
def test_what_fails_never_keeps_claude_code_from_compacting(tmp_path: Path, event: str) -> None:
    done = _hook(tmp_path, event)
    assert done.returncode == 1  # 2 would
    assert done.stdout == ""
    assert done.stderr.startswith("optical-memory: ") and done.stderr.count("\n") == 1


def test_a_store_that_cannot_be_opened_is_no_obstacle_either(tmp_path: Path) -> None:
    transcript = _transcript(tmp_path, 2)
    done = run_command("hook", "--store", "nonsense://x", cwd=tmp_path, stdin=_event("PreCompact", transcript))
    assert done.returncode == 1 and "nonsense" in done.stderr


def test_other_hooks_are_none_of_its_business(tmp_path: Path) -> None:
    done = _hook(tmp_path, _event("Stop", Path("/nowhere")))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_plug_in_calls_commands_that_there_are(tmp_path: Path) -> None:
    manifest = json.loads((PLUGIN / ".claude-plugin" / "plugin.json").read_text("utf-8"))
    hooks = json.loads((PLUGIN / "hooks" / "hooks.json").read_text("utf-8"))["hooks"]
    servers = json.loads((PLUGIN / ".mcp.json").read_text("utf-8"))["mcpServers"]
    assert manifest["name"] == "optical-memory"
    assert set(hooks) == {"PreCompact", "SessionStart"}
    assert hooks["SessionStart"][0]["matcher"] == "compact"
    lines = [shlex.split(hook["command"]) for groups in hooks.values() for group in groups for hook in group["hooks"]]
    lines += [[server["command"], *server["args"]] for server in servers.values()]
    for program, command, *options in lines:
        assert program == "optical-memory"
        shown = run_command(command, "--help", cwd=tmp_path, env={"COLUMNS": "200"})
        assert shown.returncode == 0
        assert all(option in shown.stdout for option in options if option.startswith("--"))

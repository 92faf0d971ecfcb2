"""What the local provider answers: a function of the newest message only, so that it does not depend on how the past is shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answered", "CallMade", "scripted"]

LINES, LINE = 400, "went well and its value was kept in the log"  # of output, some 23 kB
ROUND = re.compile(r"ROUND (\d+) OF (\d+)")


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call of a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """What is said and called; the thinking before it, and what binds that to the request."""

    text: str
    calls: Sequence[CallMade] = field(default=())
    thinking: str = ""
    signature: str = ""


def scripted(newest: str, tools: Sequence[str]) -> Answered:
    """Answer the newest message.

    A message with `ROUND n OF m` gets a call for the next round while there are tools and n < m, with arguments for tools that run shell
    commands; anything else gets a text that names the message's hash.
    """
    name = hashlib.sha256(newest.encode("utf-8", "surrogatepass")).hexdigest()
    found = [(int(match[1]), int(match[2])) for match in ROUND.finditer(newest)]
    if found and tools and found[-1][0] < found[-1][1]:
        number, last = found[-1]
        command = f"echo ROUND {number + 1} OF {last}; seq 1 {LINES} | sed 's/$/ of {number + 1}: {LINE}/'"
        arguments = {"command": command, "description": f"round {number + 1}"}
        tool = _shell(tools)
        call = CallMade(f"call_{name[:20]}", tool, {"cmd": command} if tool == "exec_command" else arguments)
        return Answered(f"Round {number + 1}.", [call], thinking=f"next comes round {number + 1}")
    return Answered(f"This answers {name[:12]}: " + " ".join(f"word{at}" for at in range(40)), thinking="all is said")


def _shell(tools: Sequence[str]) -> str:
    known = ("Bash", "bash", "exec_command", "shell", "run_shell_command", "local_shell")
    return next((tool for tool in known if tool in tools), tools[0])

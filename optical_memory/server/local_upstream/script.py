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
RECALL = re.compile(r"PLEASE RECALL #(\d+)|PLEASE RECALL (\w+)")


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
    commands. One with `PLEASE RECALL #n`, or `PLEASE RECALL word`, gets a call of `recall_memory`, if there is that tool; with both, it
    gets both. Anything else gets a text that names the message's hash.
    """
    name = hashlib.sha256(newest.encode("utf-8", "surrogatepass")).hexdigest()
    found = [(int(match[1]), int(match[2])) for match in ROUND.finditer(newest)]
    wanted = RECALL.search(newest) if "recall_memory" in tools else None
    recall = _recall(name, wanted) if wanted else []
    tools = [tool for tool in tools if tool != "recall_memory"]
    if found and tools and found[-1][0] < found[-1][1]:
        number, last = found[-1]
        command = f"echo ROUND {number + 1} OF {last}; seq 1 {LINES} | sed 's/$/ of {number + 1}: {LINE}/'"
        arguments = {"command": command, "description": f"round {number + 1}"}
        tool = _shell(tools)
        call = CallMade(f"call_{name[:20]}", tool, {"cmd": command} if tool == "exec_command" else arguments)
        return Answered(f"Round {number + 1}.", [*recall, call], thinking=f"next comes round {number + 1}")
    if recall:
        return Answered("I look it up.", recall, thinking="it stands on a page")
    return Answered(f"This answers {name[:12]}: " + " ".join(f"word{at}" for at in range(40)), thinking="all is said")


def _shell(tools: Sequence[str]) -> str:
    known = ("Bash", "bash", "exec_command", "shell", "run_shell_command", "local_shell")
    return next((tool for tool in known if tool in tools), tools[0])


def _recall(name: str, wanted: re.Match[str]) -> list[CallMade]:
    return [CallMade(f"call_r{name[:18]}", "recall_memory", {"numbers": [int(wanted[1])]} if wanted[1] else {"query": wanted[2]})]

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from optical_memory.text.surrogates import sendable, sendable_text


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("plain", "plain"),
        ("naïve 🎉", "naïve 🎉"),
        ("cut \ud83d here", "cut \ufffd here"),
        ("\ude00 back", "\ufffd back"),
        ("\ud83d\ude00", "😀"),
        ('{"a": "\\ud83d"}', '{"a": "\\ufffd"}'),
        ('{"a": "\\ud83d\\ude00"}', '{"a": "\\ud83d\\ude00"}'),
        ('{"a": "\\\\ud83d"}', '{"a": "\\\\ud83d"}'),
    ],
)
def test_half_pairs_are_replaced(text: str, sent: str) -> None:
    assert sendable_text(text) == sent
    json.dumps(json.loads(sent) if sent.startswith("{") else sent, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Note:
    words: list[str]


def test_what_can_be_sent_is_the_same_object() -> None:
    message = {"role": "user", "content": [{"text": "fine"}], "notes": (Note(["a"]),)}
    assert sendable(message) is message
    broken = {"content": [{"te\ud83d": "x\ud83d"}], "notes": (Note(["\ud83d"]),)}
    assert sendable(broken) == {"content": [{"te\ufffd": "x\ufffd"}], "notes": (Note(["\ufffd"]),)}

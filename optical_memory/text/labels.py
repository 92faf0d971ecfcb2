"""Names and exact strings as parts of a label: one line, without what is not seen.

Whoever names a speaker or a tool, or writes an address, chooses its characters. A line feed would begin a new line of a label, and an
override of direction would show a label in another order than it has.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["label_text", "without_openings"]

_WHITE = re.compile(r"\s+")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_OPENING = re.compile(r"^(?=#\d|(?:system|developer|user|assistant|tool)\b[^\n:]{0,80}:)", re.MULTILINE | re.IGNORECASE)
# Never drawn, though most are not assigned: Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, without selectors of emoji.
_IGNORED = re.compile("[\u2065\ufff0-\ufff8\U000e0000-\U000e0fff]")
_JOINERS = "\u200c\u200d"  # Persian and Indian scripts, and emoji, are spelled with them


def label_text(text: str, longest: int | None = None) -> str:
    """Return `text` as it may stand in a label: white space as single spaces, without control and format characters.

    Args:
        longest: characters that are kept at most.
    """
    if not _PLAIN.fullmatch(text):
        text = "".join("\ufffd" if unicodedata.category(char) == "Cs" else char for char in _WHITE.sub(" ", text) if _is_seen(char))
    return _WHITE.sub(" ", text).strip()[:longest].rstrip()


def without_openings(text: str) -> str:
    """Return text in which no line opens like a turn in a transcript (`#43 user:`, `user:`): a space is put before such a line."""
    return _OPENING.sub(" ", text)


def _is_seen(char: str) -> bool:
    return char in _JOINERS or (unicodedata.category(char) not in ("Cc", "Cf") and not _IGNORED.match(char))

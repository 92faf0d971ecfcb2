"""The greys of a page, from 0 (black) to 255 (white), for every renderer. A page of four greys has 0, 85, 170 and 255."""

from __future__ import annotations

__all__ = ["COLUMN_RULE", "COMMENT", "EXCHANGE_RULE", "QUOTE_BAR", "RULE", "STRING", "TABLE_LINE", "css"]

STRING = 68
COMMENT = 85  # light enough to be told apart, dark enough for an OCR reader
EXCHANGE_RULE = 85
RULE = 136
QUOTE_BAR = 136
TABLE_LINE = 153
COLUMN_RULE = 187


def css(grey: int) -> str:
    """Return a grey as a CSS colour: `#555555`."""
    return f"#{grey:02x}{grey:02x}{grey:02x}"

"""What all tests of a process share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optical_memory.renderers.typography.fonts import FontBook
from optical_memory.renderers.typography.word_masks import WordBook, shared_words


@pytest.fixture(scope="session", autouse=True)
def _words() -> Iterator[WordBook]:
    """Words that one test has drawn with Pillow are drawn: most tests have the same conversations."""
    yield shared_words(FontBook())

"""What all tests of a process share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from optical_memory.renderers import png
from optical_memory.renderers.typography.fonts import FontBook
from optical_memory.renderers.typography.word_masks import WordBook, shared_words
from tests.remembered import resize


@pytest.fixture(scope="session", autouse=True)
def _words() -> Iterator[WordBook]:
    """Words that one test has drawn with Pillow are drawn: most tests have the same conversations."""
    yield shared_words(FontBook())


@pytest.fixture(scope="session", autouse=True)
def _resized() -> Iterator[None]:
    """A picture that was scaled for one test is not scaled again for another. Tests of scaling have imported the function itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png, "resize", resize)
        yield

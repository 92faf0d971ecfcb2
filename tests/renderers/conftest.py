from __future__ import annotations

from collections.abc import Iterator

import pytest

from optical_memory.renderers.base import Renderer, open_renderer
from optical_memory.renderers.chromium.finding import find_browser


@pytest.fixture(scope="module", params=["bitmap", "chromium", "pillow"])
def renderer(request: pytest.FixtureRequest) -> Iterator[Renderer]:
    if request.param == "chromium":
        pytest.importorskip("playwright", reason="the chromium extra is not installed")
        if find_browser() is None:
            pytest.skip("no Chromium on this machine")
    opened = open_renderer(request.param)
    yield opened
    opened.close()

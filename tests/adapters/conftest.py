"""The adapters' tests run on back ends of the stores' tests: all of them in `make test-all`, and those of most users in `make test`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sampling import mostly_slow
from tests.stores.conftest import BACK_ENDS, clean_redis, redis_url, store, url_of

__all__ = ["clean_redis", "redis_url", "store", "store_url"]


@pytest.fixture(params=mostly_slow(BACK_ENDS, quick=["sqlite", "redis"]))
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    return url_of(request, tmp_path)

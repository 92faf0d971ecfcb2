"""What is derived from turns, less what is damaged: that can be made again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..errors import SessionCorrupted, WrongKey
from .base import DerivedCache, SessionId

__all__ = ["intact"]

_log = logging.getLogger(__name__)


def intact(cache: DerivedCache, session: SessionId, names: Sequence[str]) -> dict[str, bytes]:
    """Those of `names` that are there and whole. Each damaged one is logged, and counts as absent."""
    try:
        return cache.get(session, names)
    except (SessionCorrupted, WrongKey) as exc:
        if len(names) == 1:
            _log.warning("%s. It will be made again", str(exc).rstrip("."))
            return {}
    return {name: data for name in names for data in intact(cache, session, [name]).values()}

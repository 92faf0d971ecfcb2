"""Sessions on Redis servers."""

from .connecting import Options
from .store import RedisStore

__all__ = ["Options", "RedisStore"]

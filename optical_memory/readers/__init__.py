"""Readers: the models that look at the pages, and what they charge."""

from .base import ReaderProfile
from .profiles import known_readers, profile_of

__all__ = ["ReaderProfile", "known_readers", "profile_of"]

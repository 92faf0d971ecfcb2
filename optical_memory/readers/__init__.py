"""Readers: the models that look at the pages, and what they charge."""

from .base import Answer, Reader, ReaderProfile, open_reader
from .profiles import known_readers, load_profiles, profile_of

__all__ = ["Answer", "Reader", "ReaderProfile", "known_readers", "load_profiles", "open_reader", "profile_of"]

"""Readers: models that read pages, and their prices."""

from ..profiles.profile import ReaderProfile
from ..profiles.registry import known_readers, load_profiles, profile_of
from .base import Answer, Reader, open_reader

__all__ = ["Answer", "Reader", "ReaderProfile", "known_readers", "load_profiles", "open_reader", "profile_of"]

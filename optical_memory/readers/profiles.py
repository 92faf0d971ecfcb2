"""The reader profiles that ship with the library."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from ..errors import UnknownName
from .base import ReaderProfile

__all__ = ["known_readers", "profile_of"]


@cache
def _profiles() -> dict[str, ReaderProfile]:
    tables = tomllib.loads(files(__package__).joinpath("profiles.toml").read_text("utf-8"))
    return {name: ReaderProfile(name=name, **table) for name, table in tables.items()}


def known_readers() -> list[str]:
    """Names of the readers with a profile."""
    return sorted(_profiles())


def profile_of(reader: str | ReaderProfile) -> ReaderProfile:
    """The profile of a reader by name; a profile of your own is returned as it is. Raises `UnknownName`."""
    if isinstance(reader, ReaderProfile):
        return reader
    try:
        return _profiles()[reader]
    except KeyError:
        raise UnknownName("reader", reader, known_readers()) from None

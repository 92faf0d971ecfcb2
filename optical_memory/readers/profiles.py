"""The reader profiles that ship with the library."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path

from ..errors import UnknownName
from .base import ReaderProfile

__all__ = ["known_readers", "load_profile", "profile_for_model", "profile_of"]


@cache
def _profiles() -> dict[str, ReaderProfile]:
    tables = tomllib.loads(files(__package__).joinpath("profiles.toml").read_text("utf-8"))
    return {name: ReaderProfile(name=name, **table) for name, table in tables.items()}


def known_readers() -> list[str]:
    """Names of the readers with a profile."""
    return sorted(_profiles())


def profile_of(reader: str | ReaderProfile) -> ReaderProfile:
    """The profile of a reader by name, or of a file `*.toml`; a profile of your own is returned as it is.

    Raises `UnknownName`, `ValueError` for a file that holds none, `FileNotFoundError`.
    """
    if isinstance(reader, ReaderProfile):
        return reader
    if reader.endswith(".toml"):
        return load_profile(reader)
    try:
        return _profiles()[reader]
    except KeyError:
        raise UnknownName("reader", reader, known_readers()) from None


def load_profile(path: str | Path) -> ReaderProfile:
    """A profile that `optical-memory calibrate` wrote, or one written by hand: the fields of `ReaderProfile`, `name` among them.

    Raises `ValueError` if the file holds none.
    """
    try:
        return ReaderProfile(**tomllib.loads(Path(path).read_text("utf-8")))
    except (ValueError, TypeError) as exc:
        raise ValueError(f"{str(path)!r} holds no reader profile: {exc}") from exc


def profile_for_model(model: str) -> ReaderProfile | None:
    """The profile of the reader whose name a provider's model name holds, the longest one; None if there is none.

    `anthropic/claude-sonnet-4-5` is read by `claude`, `Qwen/Qwen2.5-VL-7B-Instruct` by `qwen2.5-vl`.
    """
    plain = model.lower().replace("_", "-")
    found = [name for name in known_readers() if re.search(rf"(^|[^a-z0-9]){re.escape(name)}($|[^a-z0-9])", plain)]
    return _profiles()[max(found, key=len)] if found else None

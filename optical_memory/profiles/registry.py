"""The reader profiles that ship with the library, and a file of your own."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import UnknownName
from ..pages.tiers import Tier
from .formulas import FlatFormula
from .profile import ReaderProfile

__all__ = ["OWN_FILE", "known_readers", "load_profile", "load_profiles", "profile_for_model", "profile_of", "shipped_profiles", "text_only"]

OWN_FILE = "OPTICAL_MEMORY_PROFILES"  # the environment variable that names a file of profiles
SHIPPED = "profiles.toml"


def load_profiles(path: str | os.PathLike[str] | None = None) -> dict[str, ReaderProfile]:
    """The profiles by name: those that ship, and those of a file of your own, which replace shipped ones of the same name.

    Args:
        path: a TOML file of the form of `optical_memory/profiles/profiles.toml`; None for the one that `OPTICAL_MEMORY_PROFILES` names.

    Raises `ValueError`, which names file, table and field, for a file that cannot be understood; `OSError` for one that cannot be read.
    """
    own = os.fspath(path) if path is not None else os.environ.get(OWN_FILE)
    if not own:
        return dict(shipped_profiles())
    file = Path(own).expanduser()
    return {**shipped_profiles(), **_own(str(file), file.stat().st_mtime_ns)}


def known_readers() -> list[str]:
    """Names of the readers with a profile."""
    return sorted(load_profiles())


def profile_of(reader: str | ReaderProfile) -> ReaderProfile:
    """The profile of a reader: by its own name, by a provider's name of the model (`claude-sonnet-4-5`), or the one of a file `*.toml`.

    A profile of your own is returned as it is. Raises `UnknownName`; `ValueError` for a file that holds none or several,
    `FileNotFoundError`.
    """
    if isinstance(reader, ReaderProfile):
        return reader
    if reader.endswith(".toml"):
        return load_profile(reader)
    profiles = load_profiles()
    found = profiles.get(reader) or profile_for_model(reader)
    if found is None:
        raise UnknownName("reader", reader, sorted(profiles))
    return found


def load_profile(path: str | os.PathLike[str]) -> ReaderProfile:
    """The one profile of a file, as `optical-memory calibrate` writes it. Raises `ValueError` for a file that holds none or several."""
    file = Path(path).expanduser()
    found = list(_own(str(file), file.stat().st_mtime_ns).values())
    if len(found) != 1:
        raise ValueError(f"{str(path)!r} holds {len(found)} profiles; name one, with {OWN_FILE}={str(path)!r} for the file")
    return found[0]


def profile_for_model(model: str) -> ReaderProfile | None:
    """The profile of the reader that a provider's model name means; None if no profile matches.

    The profile whose pattern covers most of the name wins: `anthropic/claude-sonnet-4-5` is read by `claude`, `gpt-5-mini` by
    `gpt-5-mini`, `Qwen/Qwen2.5-VL-7B-Instruct` by `qwen2.5-vl`. A name that is a profile's own is that profile.
    """
    plain = model.lower().replace("_", "-")
    profiles = load_profiles()
    covered = {name: _covered(plain, [re.escape(name), *profile.models]) for name, profile in profiles.items()}
    best = max(covered, key=lambda name: covered[name])
    return profiles[best] if covered[best] else None


def _covered(model: str, patterns: Iterable[str]) -> int:
    """Characters of the longest place in a model's name that a pattern finds between the edges of words."""
    found = (re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z0-9])", model) for pattern in patterns)
    return max((match.end() - match.start() for match in found if match), default=0)


@lru_cache(maxsize=1)
def text_only() -> ReaderProfile:
    """The profile of a model that no profile knows, or that takes no images: everything is text, and a budget still holds.

    A user's own image counts as 1,600 tokens: as much as any model with a profile here charges for one of common size, since this one's
    price is not known.
    """
    return ReaderProfile(
        name="text", as_of="2026-11", source="none: the model is not known", formula=FlatFormula(tokens=1_600), rungs={}, floor=Tier.TINY
    )


@lru_cache(maxsize=1)
def shipped_profiles() -> Mapping[str, ReaderProfile]:
    """The profiles that ship with the library, by name."""
    return _read(SHIPPED, files(__package__).joinpath(SHIPPED).read_text("utf-8"))


@lru_cache(maxsize=4)
def _own(path: str, changed: int) -> Mapping[str, ReaderProfile]:
    return _read(path, Path(path).read_text("utf-8"))


def _read(file: str, text: str) -> dict[str, ReaderProfile]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ValueError(f"{file}: {exc}") from exc
    known = {} if file == SHIPPED else shipped_profiles()
    profiles: dict[str, ReaderProfile] = {}
    for name, table in tables.items():
        profiles[name] = _profile(file, name, table, {**known, **profiles})
    return profiles


def _like(file: str, name: str, table: dict[str, Any], known: Mapping[str, ReaderProfile]) -> dict[str, Any]:
    """The fields of a table; where it is `like` another profile, with that one's where it says nothing itself.

    Sub-tables are merged by field. The models are its own.
    """
    own = {key: value for key, value in table.items() if key != "like"}
    if "like" not in table:
        return own
    if (model := known.get(str(table["like"]))) is None:
        raise ValueError(f"{file}: [{name}] like: no profile {table['like']!r} above it; known: {', '.join(sorted(known))}")
    fields = model.model_dump(exclude={"name", "models", "measured"})
    fields["rungs"] = {Tier(tier).label: rung for tier, rung in fields.get("rungs", {}).items()}
    for key in ("rungs", "limits", "cache", "page"):
        if isinstance(own.get(key), dict):
            own[key] = {**(fields.get(key) or {}), **own[key]}
    if "ladder" in own:
        del fields["rungs"]
    return {**fields, **own}


def _profile(file: str, name: str, table: Any, known: Mapping[str, ReaderProfile]) -> ReaderProfile:
    if not isinstance(table, dict):
        raise ValueError(f"{file}: {name!r} is no table; a profile begins with [{name}]")
    table = _like(file, name, table, known)
    try:
        return ReaderProfile(**{"name": name, **table})
    except ValidationError as exc:
        first = exc.errors()[0]
        names = [Tier(part).label if place == 1 and part in tuple(Tier) else str(part) for place, part in enumerate(first["loc"])]
        field = ".".join(names) or "the table"
        raise ValueError(f"{file}: [{name}] {field}: {first['msg']}") from exc

"""What is exported: texts with names, from files or from Git. Names and words are not trusted."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import OpticalMemoryError
from ..text.excerpts import excerpt, said

__all__ = ["LeftOut", "NamedText", "diff_of", "files", "text_of"]

# Settings of a repository can name programs that `git diff` runs: drivers, filters of text, a monitor of the file system.
GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.quotepath=off", "--no-pager", "diff")
PLAIN = ("--no-color", "--no-ext-diff", "--no-textconv")
_FILE = re.compile(r"^(?=diff --git )", re.MULTILINE)
_TO = re.compile(r"^\+\+\+ (?:b/)?([^\t\n]+)", re.MULTILINE)
_FROM = re.compile(r"^--- (?:a/)?([^\t\n]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class NamedText:
    """A text and what it is called: a path, or the part of a diff that is about one."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was asked for and is not exported, and why."""

    name: str
    why: str


def text_of(data: bytes) -> str | None:
    """Return the text of a file in UTF-8; None for anything else."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def files(names: Iterable[str | os.PathLike[str]]) -> tuple[list[NamedText], list[LeftOut]]:
    """Read files, in the given order. What is not text in UTF-8, or empty, is left out.

    Raises `FileNotFoundError`, `ValueError` for a folder, `OSError`.
    """
    texts: list[NamedText] = []
    others: list[LeftOut] = []
    for given in names:
        name, path = os.fspath(given), Path(given)
        if path.is_dir():
            raise ValueError(f"{excerpt(name)} is a folder; pass files, such as {excerpt(name.rstrip('/') + '/*.py')} in a shell")
        if not path.exists():
            raise FileNotFoundError(f"no file {excerpt(name)}")
        if not path.is_file():
            raise ValueError(f"{excerpt(name)} is no regular file; for a pipe use --stdin")
        text = text_of(path.read_bytes())
        if text and text.strip():
            texts.append(NamedText(name, text))
        else:
            others.append(LeftOut(name, "not text in UTF-8" if text is None else "empty"))
    return texts, others


def diff_of(folder: str | os.PathLike[str] = ".", revision: str = "HEAD") -> list[NamedText]:
    """Return what differs between a revision and the files of a Git repository, one text a file.

    Raises `ValueError` for a revision that begins like an option, `OpticalMemoryError` if Git is missing or refuses.
    """
    if revision.startswith("-"):
        raise ValueError(f"a revision does not begin with a hyphen; got {excerpt(revision)}")
    try:
        ran = subprocess.run([*GIT, *PLAIN, revision, "--"], cwd=folder, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as exc:
        raise OpticalMemoryError("git is not installed, or there is no such folder") from exc
    if ran.returncode:
        raise OpticalMemoryError(f"git diff failed: {said(ran.stderr.decode('utf-8', 'replace'))}")
    parts = [part for part in _FILE.split(ran.stdout.decode("utf-8", "replace")) if part.strip()]
    return [NamedText(_name(part), part) for part in parts]


def _name(part: str) -> str:
    """The path that a part of a diff is about: the new one, for a deleted file the old one."""
    found = [match[1].strip() for pattern in (_TO, _FROM) if (match := pattern.search(part)) and match[1].strip() != "/dev/null"]
    return found[0] if found else part.partition("\n")[0]

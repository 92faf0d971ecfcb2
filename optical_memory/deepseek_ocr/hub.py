"""Models on this machine: fetched once by a command, found again without a network.

huggingface_hub does the fetching, the cache and the comparing. Here are the names, what is wanted of a repository, and what to do next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MissingExtra, ReaderUnavailable, UnknownName, WeightsMismatch, WeightsNotFound

__all__ = ["REPOSITORIES", "LocalModel", "list_models", "pull", "resolve"]

REPOSITORIES = {
    "deepseek-ocr": "deepseek-ai/DeepSeek-OCR",
    "unlimited-ocr": "baidu/Unlimited-OCR",
    "deepseek-ocr-2": "deepseek-ai/DeepSeek-OCR-2",
}
WANTED = ("*.json", "*.safetensors", "LICENSE*", "README.md")  # no code: none is run


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model in the hub cache of this machine. `name` is ours where it has one, else empty."""

    name: str
    repository: str
    revision: str
    folder: Path
    bytes: int


def resolve(weights: str | Path | None, family: str) -> Path:
    """The folder of a model: a folder as it is, a hub id from the local cache, the family's published model for None. Never the network.

    Raises `WeightsNotFound`, with the command that fetches it.
    """
    if weights is not None and Path(weights).expanduser().is_dir():
        return Path(weights).expanduser()
    repository = REPOSITORIES[family] if weights is None else str(weights)
    repository = REPOSITORIES.get(repository, repository)
    name = next((name for name, known in REPOSITORIES.items() if known == repository), repository)
    command = f"optical-memory models pull {name}"
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise WeightsNotFound(
            f"no folder {str(weights)!r} with weights. Fetch the published ones with: optical-memory models pull {family}"
        )
    hub = _hub()
    try:
        return Path(hub.snapshot_download(repository, local_files_only=True, allow_patterns=list(WANTED)))
    except (hub.errors.LocalEntryNotFoundError, hub.errors.HFValidationError) as exc:
        raise WeightsNotFound(f"the weights of {repository!r} are not on this machine. Fetch them with: {command}") from exc


def pull(name: str, *, revision: str | None = None, report: Callable[[str], None] = lambda _: None) -> Path:
    """Fetch a model into the hub cache. Files that are there are not fetched again; a transfer whose connection breaks goes on where it
    broke. A command that was ended begins the file that it was at anew: the hub's client keeps no part of one.

    Every file is hashed and compared with what the hub publishes of it: the SHA-256 of large ones, git's hash of the others.

    Args:
        name: one of `REPOSITORIES`, or a hub id.
        report: told what is being done.

    Raises `UnknownName`, `ReaderUnavailable` if the hub does not answer, `WeightsMismatch` for a file that is not what the hub says.
    """
    repository = REPOSITORIES.get(name, name)
    if repository.count("/") != 1:
        raise UnknownName("model", name, list(REPOSITORIES))
    hub = _hub()
    foreseen = _http_errors(hub)
    try:
        report(f"fetching {repository}")
        folder = Path(hub.snapshot_download(repository, revision=revision, allow_patterns=list(WANTED)))
        report(f"checking {folder}")
        damaged = hub.HfApi().verify_repo_checksums(repository, revision=folder.name).mismatches  # a download does not compare by itself
    except foreseen as exc:
        raise ReaderUnavailable(f"{repository!r} could not be fetched: {exc}. Run the command again: whole files are kept") from exc
    if damaged:
        _discard([folder / file["path"] for file in damaged])
        named = "; ".join("{path} is damaged: its {algorithm} is {actual}, the hub says {expected}".format_map(file) for file in damaged)
        raise WeightsMismatch(f"{named}. Pull again")
    return folder


def list_models() -> list[LocalModel]:
    """Models of these families in the local hub cache, by repository."""
    hub = _hub()
    try:
        found = hub.scan_cache_dir().repos
    except hub.errors.CacheNotFound:
        return []
    names = {repository: name for name, repository in REPOSITORIES.items()}
    models = [
        LocalModel(names.get(repo.repo_id, ""), repo.repo_id, revision.commit_hash, Path(revision.snapshot_path), revision.size_on_disk)
        for repo in found
        for revision in repo.revisions
        if repo.repo_type == "model" and (repo.repo_id in names or "ocr" in repo.repo_id.lower())
    ]
    return sorted(models, key=lambda model: (model.repository, model.revision))


def _discard(files: list[Path]) -> None:
    """Take single files out of the cache, which the hub's client empties by whole revisions; the next pull fetches them anew."""
    for file in files:
        file.resolve().unlink()  # what a link in the snapshot leads to
        file.unlink(missing_ok=True)


def _http_errors(hub: Any) -> tuple[type[Exception], ...]:
    """What the client lets through: its own errors, and those of its HTTP library, which differs with its version."""
    return (OSError, next(kind for kind in hub.errors.HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError"))


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as exc:
        raise MissingExtra("fetching and finding models", "deepseek") from exc
    return huggingface_hub

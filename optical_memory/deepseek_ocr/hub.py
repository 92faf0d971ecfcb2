"""Models on this machine: downloaded once by a command, then found without a network.

huggingface_hub downloads, caches and verifies. This module has the names, the wanted files of a repository, and advice in errors.
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
WANTED = ("*.json", "*.safetensors", "LICENSE*", "README.md")  # no code, since none is run


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model in the hub cache of this machine. `name` is our short name, or empty."""

    name: str
    repository: str
    revision: str
    folder: Path
    bytes: int


def resolve(weights: str | Path | None, family: str) -> Path:
    """Return the folder of a model: of a folder itself, of a hub id in the local cache, of the family's published model for None. Offline.

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
    """Download a model into the hub cache. Existing files are not downloaded again; a broken connection is resumed. An interrupted command
    starts its current file again, since the hub's client keeps no partial files.

    Every file is verified against the hub's hash: SHA-256 for large files, git's hash for others.

    Args:
        name: one of `REPOSITORIES`, or a hub id.
        report: receives progress messages.

    Raises `UnknownName`, `ReaderUnavailable` if the hub does not answer, `WeightsMismatch` for a file with another hash.
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
        damaged = hub.HfApi().verify_repo_checksums(repository, revision=folder.name).mismatches  # a download alone does not verify hashes
    except foreseen as exc:
        raise ReaderUnavailable(f"{repository!r} could not be fetched: {exc}. Run the command again: whole files are kept") from exc
    if damaged:
        _discard([folder / file["path"] for file in damaged])
        named = "; ".join("{path} is damaged: its {algorithm} is {actual}, the hub says {expected}".format_map(file) for file in damaged)
        raise WeightsMismatch(f"{named}. Pull again")
    return folder


def list_models() -> list[LocalModel]:
    """Return models of these families in the local hub cache, by repository."""
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
    """Remove single files from the cache (the hub's client removes whole revisions only); the next pull downloads them again."""
    for file in files:
        file.resolve().unlink()  # the target of a link in the snapshot
        file.unlink(missing_ok=True)


def _http_errors(hub: Any) -> tuple[type[Exception], ...]:
    """Return the client's error types: its own, and those of its HTTP library, which depends on its version."""
    return (OSError, next(kind for kind in hub.errors.HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError"))


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as exc:
        raise MissingExtra("fetching and finding models", "deepseek") from exc
    return huggingface_hub

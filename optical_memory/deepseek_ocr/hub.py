"""Models on this machine: fetched once by a command, found again without a network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra, ReaderUnavailable, UnknownName, WeightsMismatch, WeightsNotFound

if TYPE_CHECKING:
    from huggingface_hub import ModelInfo

__all__ = ["REPOSITORIES", "LocalModel", "list_models", "pull", "resolve"]

REPOSITORIES = {
    "deepseek-ocr": "deepseek-ai/DeepSeek-OCR",
    "unlimited-ocr": "baidu/Unlimited-OCR",
    "deepseek-ocr-2": "deepseek-ai/DeepSeek-OCR-2",
}
WANTED = ("*.json", "*.safetensors", "LICENSE*", "README.md")  # no code: none is run
BLOCK = 2**22  # bytes hashed at a time


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

    Every file that the hub publishes a SHA-256 of is hashed and compared.

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
        info = hub.HfApi().model_info(repository, revision=folder.name, files_metadata=True)
    except foreseen as exc:
        raise ReaderUnavailable(f"{repository!r} could not be fetched: {exc}. Run the command again: whole files are kept") from exc
    _verify(folder, info, report)
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


def _verify(folder: Path, info: ModelInfo, report: Callable[[str], None]) -> None:
    for sibling in info.siblings or ():
        path = folder / sibling.rfilename
        expected = sibling.lfs.sha256 if sibling.lfs else None
        if expected is None or not path.is_file():
            continue
        report(f"checking {sibling.rfilename}")
        whole = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                whole.update(block)
        if whole.hexdigest() != expected:
            path.resolve().unlink()  # the next pull fetches it anew
            path.unlink(missing_ok=True)
            raise WeightsMismatch(
                f"{sibling.rfilename} is damaged: its SHA-256 is {whole.hexdigest()}, the hub says {expected}. Pull again"
            )


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

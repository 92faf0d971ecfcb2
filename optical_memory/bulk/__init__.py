"""Jobs over sessions and pages by the million: in one process, in a pool of them, or as stages on a Ray cluster."""

from .encoding import VisionTokens
from .jobs import (
    Job,
    Running,
    Summary,
    encode,
    encode_job,
    pairs,
    pairs_job,
    parse,
    parse_job,
    render,
    render_job,
    run,
    transcribe,
    transcribe_job,
)
from .manifest import DeadLetter, FolderBusy, Receipt
from .sources import Source, open_source
from .stages import Outage
from .vocabulary import LANGUAGES, RandomTalks

__all__ = [
    "LANGUAGES",
    "DeadLetter",
    "FolderBusy",
    "Job",
    "Outage",
    "RandomTalks",
    "Receipt",
    "Running",
    "Source",
    "Summary",
    "VisionTokens",
    "encode",
    "encode_job",
    "open_source",
    "pairs",
    "pairs_job",
    "parse",
    "parse_job",
    "render",
    "render_job",
    "run",
    "transcribe",
    "transcribe_job",
]

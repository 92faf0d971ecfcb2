"""Jobs over sessions and pages by the million: in one process, in a pool of them, or as stages on a Ray cluster."""

from .encoding import VisionTokens
from .jobs import (
    Job,
    Running,
    Summary,
    encode,
    encode_job,
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

__all__ = [
    "DeadLetter",
    "FolderBusy",
    "Job",
    "Outage",
    "Receipt",
    "Running",
    "Source",
    "Summary",
    "VisionTokens",
    "encode",
    "encode_job",
    "open_source",
    "parse",
    "parse_job",
    "render",
    "render_job",
    "run",
    "transcribe",
    "transcribe_job",
]

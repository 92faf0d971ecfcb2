"""Files, or a diff, as pages in a folder, to be attached to any chat by hand."""

from .folder import Exported, export_pages
from .sources import LeftOut, NamedText, diff_of, files

__all__ = ["Exported", "LeftOut", "NamedText", "diff_of", "export_pages", "files"]

"""Read whole exports of conversations: by what they hold, not by their names. `register` adds a format of your own."""

from .base import Conversation, Document, Format, UnknownExport
from .reading import read_conversations
from .registry import formats, register
from .storing import Imported, import_into

__all__ = ["Conversation", "Document", "Format", "Imported", "UnknownExport", "formats", "import_into", "read_conversations", "register"]

"""What headers that hold addresses name: `Host` and `Origin`, which the sender writes as it likes."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["host_of", "place_of"]


def host_of(address: str) -> str | None:
    """Return the host of an address (`http://localhost:1` or `//localhost:1`), in lower case; None if it has none or cannot be read."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def place_of(address: str) -> str | None:
    """Return the host and port of an address, as they are written; None if it cannot be read."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None

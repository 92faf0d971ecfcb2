"""Run the local provider: `python -m optical_memory.server.local_upstream --port 9000`."""

from __future__ import annotations

import argparse

import uvicorn

from .app import LocalUpstream


def main() -> None:
    """Serve on this machine until interrupted."""
    parser = argparse.ArgumentParser(description="A provider on this machine that answers from a script.")
    parser.add_argument("--port", type=int, default=9000)
    given = parser.parse_args()
    uvicorn.run(LocalUpstream(), host="127.0.0.1", port=given.port, log_level="warning")


main()

"""`python -m optical_memory` is `optical-memory`."""

from .cli import main

main()

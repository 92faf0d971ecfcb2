"""`python -m optical_memory` is `optical-memory`."""

from .cli.app import main

main()

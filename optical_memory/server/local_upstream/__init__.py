"""A provider on this machine that speaks the real wire formats, with prompt-cache accounting and faults: for tests, benchmarks and trials.

It answers from a script, not from a model. Run it with `python -m optical_memory.server.local_upstream --port 9000`.
"""

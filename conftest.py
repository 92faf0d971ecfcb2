"""Settings of every test run: threads of each process, pictures read once, and where property tests take their examples from."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

# Tests run side by side, so more threads in each only wait for each other: with torch's own, one test took 300 s under load instead of 16.
# Set before torch is imported, and inherited by every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings

from tests.sampling import examples

READINGS = "TESTS_READINGS"  # the folder of what Tesseract read in this run, the same for all processes of it
IS_FIRST = READINGS not in os.environ
if IS_FIRST and (tesseract := shutil.which("tesseract")):
    os.environ[READINGS] = tempfile.mkdtemp(prefix="readings-")
    os.environ["TESTS_TESSERACT"] = tesseract
    os.environ["PATH"] = os.pathsep.join((str(Path(__file__).parent / "tests" / "once"), os.environ["PATH"]))


def pytest_unconfigure() -> None:
    if IS_FIRST:
        shutil.rmtree(os.environ.pop(READINGS, ""), ignore_errors=True)


EXAMPLES = "OPTICAL_MEMORY_NEW_EXAMPLES"
PROFILES = {
    "": "developer",  # new examples; those that failed are kept in .hypothesis and tried first
    "0": "fixed",  # the same in every run, so that a change is judged by itself
    "1": "new",  # new examples on a machine that keeps nothing: what is printed of a failure is enough to see it again
}
# How fast a machine is decides no test.
UNTIMED = settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("developer", UNTIMED)
settings.register_profile("fixed", UNTIMED, derandomize=True, database=None)
settings.register_profile("new", UNTIMED, derandomize=False, database=None, print_blob=True)

if os.environ.get(EXAMPLES, "") not in PROFILES:
    raise ValueError(f"{EXAMPLES} is {os.environ[EXAMPLES]!r}; set it to 1 for new examples, to 0 for the same in every run, or not at all")
settings.load_profile(PROFILES[os.environ.get(EXAMPLES, "")])

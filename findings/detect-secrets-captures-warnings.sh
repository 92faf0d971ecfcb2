#!/bin/sh
# One would guess that importing a plugin of detect-secrets, a class of regular expressions, leaves the process as it was.
# It calls logging.captureWarnings(True): from then on every warning of the process is a log line, and warnings.catch_warnings(record=True)
# blocks that are open at that moment record nothing more.
#
# Seen with detect-secrets 1.5.0, Python 3.11:
#   shown by: logging, recorded: ['one']
# Why it matters here: with redact=True the library imports these plugins, and a host would lose its warnings; so they are put back.
# Exits non-zero once this has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check detect-secrets==1.5.0
"$folder/venv/bin/python" - <<'PYTHON'
import warnings

with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    warnings.warn("one")
    import detect_secrets.plugins.github_token

    warnings.warn("two")
    print(f"shown by: {warnings.showwarning.__module__}, recorded: {[str(each.message) for each in seen]}")
assert [str(each.message) for each in seen] == ["one"]
PYTHON

#!/bin/sh
# One would guess that a browser draws Tamil wherever Noto Sans Tamil is installed, as in Debian's fonts-noto-core.
# Noto Sans Grantha, of the same package, has the Tamil letters pa and va and no other letter of that script. Where no font of the page has a
# word's first letter, Chromium asks fontconfig for it and gets Grantha. With a vowel sign, which that font lacks, letter and sign are empty boxes.
# After another letter the same syllable is right, and so is all of it once the page names Noto Sans Tamil.
#
# Seen with Debian bookworm's chromium-headless-shell 156.0.8078.108 and fonts-noto-core 20201225, playwright 1.65.0:
#   fallback: pu and vu drawn alike: True, ku and tu drawn alike: False
#   named: pu and vu drawn alike: False, ku and tu drawn alike: False
# Why it matters here: pages of Tamil had words of boxes, and no count of missing glyphs told, since fonts for all letters are there.
# Exits non-zero once this has changed. Needs Chromium and fonts-noto-core as system packages.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check playwright==1.65.0
"$folder/venv/bin/python" - <<'PYTHON'
import shutil

from playwright.sync_api import sync_playwright

KA, TA, PA, VA, U = "\u0b95", "\u0ba4", "\u0baa", "\u0bb5", "\u0bc1"
path = next(found for name in ("chromium-headless-shell", "chromium", "google-chrome") if (found := shutil.which(name)))


def alike(page, family, one, other):
    pictures = []
    for word in (one, other):
        page.set_content(f"""<p id="w" style='font:40px {family};width:300px;margin:0'>{word}</p>""")
        pictures.append(page.locator("#w").screenshot())
    return pictures[0] == pictures[1]


seen = {}
with sync_playwright() as playwright:
    for name, family in (("fallback", '"DejaVu Sans"'), ("named", '"DejaVu Sans","Noto Sans Tamil"')):
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # its own: one remembers what it fell back to
        page = browser.new_page()
        seen[name] = alike(page, family, PA + U, VA + U), alike(page, family, KA + U, TA + U)
        print(f"{name}: pu and vu drawn alike: {seen[name][0]}, ku and tu drawn alike: {seen[name][1]}")
        browser.close()
assert seen == {"fallback": (True, False), "named": (False, False)}
PYTHON

#!/bin/sh
# One would guess that an OCR engine that takes the bytes of a PNG reads a palette picture as the picture that it shows.
# RapidOCR takes the numbers of the palette for greys: in a picture of four greys black is 3 and white 0, and no text is found, without an error.
# The same picture as plain grey is read.
#
# Seen with rapidocr 3.10.0, onnxruntime 1.32.0, pillow 13.0.0, Python 3.11:
#   grey: ('Invoice 77419 paid',)
#   palette: None
# Why it matters here: pages are palette pictures of 4 or 16 greys, the smallest that PNG knows; the reader converts them to grey first.
# Exits non-zero once this has changed.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rapidocr==3.10.0 onnxruntime==1.32.0 pillow==13.0.0
"$folder/venv/bin/python" - <<'PYTHON'
import io
import logging

from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR

logging.disable(logging.WARNING)


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


grey = Image.new("L", (640, 120), 255)
ImageDraw.Draw(grey).text((20, 30), "Invoice 77419 paid", font=ImageFont.load_default(40), fill=0)
engine = RapidOCR()
read = {"grey": engine(png(grey)).txts, "palette": engine(png(grey.quantize(4))).txts}
for kind, texts in read.items():
    print(f"{kind}: {texts}")
assert read["grey"] and not read["palette"]
PYTHON

"""The canvas in whole device pixels, and the style sheet that sets it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from ..pages import PageStyle

__all__ = ["Canvas", "document", "style_sheet"]

MONO_ADVANCE = 0.602  # em; width of a DejaVu Sans Mono character
SANS = '"DejaVu Sans", "Noto Sans", sans-serif'
MONO = '"DejaVu Sans Mono", "Noto Sans Mono", monospace'
TINTS = ("#0ff", "#f0f", "#ff0")  # see `style_sheet`


@dataclass(frozen=True, slots=True)
class Canvas:
    """A page style in device pixels. Columns are whole pixels wide, so every page of a run is drawn at the same sub-pixel phase."""

    style: PageStyle

    @property
    def scale(self) -> float:
        return self.style.scale

    @property
    def page_size(self) -> tuple[int, int]:
        return self.style.pixel_size

    @property
    def margin(self) -> int:
        return round(self.style.margin * self.scale)

    @property
    def gutter(self) -> int:
        return max(1, round(self.style.gutter * self.scale))

    @property
    def column_width(self) -> int:
        inner = self.page_size[0] - 2 * self.margin - (self.style.columns - 1) * self.gutter
        return inner // self.style.columns

    @property
    def pitch(self) -> int:
        """From one column's left edge to the next one's."""
        return self.column_width + self.gutter

    @property
    def height(self) -> int:
        """Of a column."""
        return self.page_size[1] - 2 * self.margin

    @property
    def line(self) -> int:
        """Height of a line of prose. A whole number, so that all lines have the same vertical phase."""
        return max(1, round(self.style.font_size * self.style.line_height * self.scale))

    @property
    def code_line(self) -> int:
        return max(1, round(self.style.code_size * self.style.line_height * self.scale))

    @property
    def capacity(self) -> float:
        """What a page holds for sure: a column may lose up to a line at its end, since no line is cut."""
        return float(self.style.columns * (self.height - self.line))

    @property
    def row_width(self) -> int:
        """Characters of code in a row of a column."""
        return max(10, int(self.column_width / (self.style.code_size * self.scale * MONO_ADVANCE)))

    def check(self) -> None:
        """Raises `ValueError` where no text could stand."""
        if self.style.columns < 1 or self.column_width < 4 * self.line or self.height < 4 * self.line:
            raise ValueError(f"{self.style!r} leaves no room for text; use a larger page, fewer columns or a smaller font")


def document(canvas: Canvas) -> str:
    """The empty page: three slots, the style sheet, and a policy under which nothing but it and pictures inside the page may load."""
    sheet = style_sheet(canvas)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'"
    slots = "".join(f'<div class="slot" id="s{n}"><div class="clip"><div class="flow"></div></div></div>' for n in range(len(TINTS)))
    return (
        f'<!doctype html><html lang="zh"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="referrer" content="no-referrer"><style>{sheet}</style></head><body>{slots}</body></html>'
    )


def style_sheet(canvas: Canvas) -> str:
    """CSS for the canvas.

    Three pages are captured in one picture, one in each of its colour channels: a slot is drawn in black and white, lightened by a tint
    that leaves it in one channel, and the slots are multiplied. That gives each page back to the last bit, and takes half the time of
    three captures (docs/experiments.md).
    """
    style, px = canvas.style, canvas.scale
    width, height = canvas.page_size
    hair = max(1, round(px))
    em = style.font_size * px
    tints = "".join(f"#s{n}::after{{background:{tint}}}" for n, tint in enumerate(TINTS))
    indents = "".join(f".l{n}{{margin-left:{min(n, 6) * 0.9:g}em}}" for n in range(1, 13))
    return f"""
*{{box-sizing:border-box;animation:none!important;transition:none!important;caret-color:transparent}}
body,p,h1,h2,h3,h4,h5,h6,pre{{margin:0}}
html{{background:#fff;overflow:hidden}}
body{{font:{em:g}px/{canvas.line}px {SANS};color:#000;overflow-wrap:anywhere;orphans:1;widows:1;font-kerning:normal;hyphens:manual}}
.slot{{position:absolute;left:0;top:0;width:{width}px;height:{height}px;overflow:clip;background:#fff;isolation:isolate;mix-blend-mode:multiply}}
.slot::after{{content:"";position:absolute;inset:0;mix-blend-mode:lighten}}{tints}
.clip{{position:absolute;left:{canvas.margin}px;top:{canvas.margin}px;height:{canvas.height}px;overflow:clip}}
.grey .clip{{filter:grayscale(1)}}
.flow{{width:{canvas.column_width}px;height:{canvas.height}px;column-width:{canvas.column_width}px;column-gap:{canvas.gutter}px;
column-fill:auto;column-rule:{hair}px solid #bbb}}
.measure{{column-width:auto;column-count:auto;height:auto}}
.start{{break-before:column}}
section{{display:flow-root}}
section.x{{border-top:{hair}px solid #555}}
article{{padding-top:{2 * hair}px;unicode-bidi:isolate;overflow:clip}}
section.x>article:first-child{{padding-top:{3 * hair}px}}
.n{{font-size:{style.number_size * px:g}px;line-height:1px}}
.h{{unicode-bidi:isolate}}
p,h1,h2,h3,h4,h5,h6,td,th{{unicode-bidi:plaintext;text-align:start}}
p+p,p+.k,.k+p,pre+p,p+pre,table+p,div+p{{margin-top:{2 * hair}px}}
p.r+p.r{{margin-top:0}}
.alone,h1,h2,h3,h4,h5,h6{{break-after:avoid}}
h1,h2,h3,h4,h5,h6{{font-size:1em;margin-top:{2 * hair}px}}
h1{{font-size:1.12em}}
pre,code{{font-family:{MONO};font-size:{style.code_size * px:g}px}}
pre{{line-height:{canvas.code_line}px;white-space:pre-wrap;word-break:break-all;unicode-bidi:plaintext;text-align:start;tab-size:4}}
pre .h{{font:{em:g}px/1px {SANS}}}
pre .n{{font-size:{style.number_size * px:g}px}}
pre i{{color:#555}}
pre s{{color:#444;text-decoration:none}}
code{{unicode-bidi:isolate;white-space:pre-wrap;line-height:1px}}
pre code{{font-size:1em}}
.w{{word-break:break-all}}
{indents}
.l>p{{padding-inline-start:1.1em}}
.l>p:first-child{{text-indent:-1.1em}}
.m{{unicode-bidi:isolate}}
.q{{border-inline-start:{2 * hair}px solid #888;padding-inline-start:{4 * hair}px}}
table{{border-collapse:collapse;max-width:100%;font-size:.93em;line-height:{canvas.line - hair}px}}
td,th{{border:{hair}px solid #999;padding:0 {2 * hair}px;vertical-align:top;overflow-wrap:break-word}}
th{{font-weight:bold}}
tr{{break-inside:avoid}}
.tight{{table-layout:fixed;width:100%}}.tight td,.tight th{{overflow-wrap:anywhere}}
.center{{text-align:center}}.right{{text-align:end}}
img{{display:block;break-inside:avoid;margin:{hair}px 0}}
math{{font-family:math,{SANS}}}
.k{{text-align:center;break-inside:avoid}}
hr{{border:0;border-top:{hair}px solid #888;margin:{3 * hair}px 0}}
"""

"""The empty page that Chromium fills: its markup, its style sheet, and the policy that forbids loading anything else.

Lengths are device pixels, as in `Canvas`.
"""

from __future__ import annotations

import base64
import hashlib

from ..document.blocks import MOST_INDENTS
from ..document.compaction import CUT_MARK
from ..geometry import Canvas
from ..greys import COMMENT, EXCHANGE_RULE, QUOTE_BAR, RULE, STRING, TABLE_LINE, css

__all__ = ["TINTS", "document", "style_sheet"]

# Browsers look for a font by the first letter that the named ones lack. Noto Sans Grantha has pa and va of Tamil and nothing else of it,
# so that those letters with a vowel sign would be boxes. So the fonts of that script are named; fc-match finds no other such guest.
TAMIL = '"Noto Sans Tamil", "Noto Serif Tamil", "Lohit Tamil"'
SANS = f'"Optical Memory Sans", "DejaVu Sans", "Noto Sans", {TAMIL}, sans-serif'
MONO = f'"DejaVu Sans Mono", "Noto Sans Mono", {TAMIL}, monospace'
TINTS = ("#0ff", "#f0f", "#ff0")  # one per slot, see `_slots`
DEEPEST_INDENT = 6  # levels; deeper list items are not indented further


def document(canvas: Canvas) -> str:
    """Return the empty page: three slots, the style sheet, and a policy that allows only it and embedded images."""
    sheet = style_sheet(canvas)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; form-action 'none'; base-uri 'none'"
    slots = "".join(f'<div class="slot" id="s{n}"><div class="clip"><div class="flow"></div></div></div>' for n in range(len(TINTS)))
    return (
        f'<!doctype html><html lang="zh"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="referrer" content="no-referrer"><style>{sheet}</style></head><body>{slots}</body></html>'
    )


def style_sheet(canvas: Canvas) -> str:
    """Return the CSS for the canvas."""
    hair = max(1, round(canvas.scale))
    return _slots(canvas) + _turns(canvas, hair) + _blocks(canvas, hair)


def _slots(canvas: Canvas) -> str:
    """Return the CSS of the page and its slots.

    Three pages are captured in one image, one per colour channel: a slot is drawn in black and white, lightened by a tint that leaves it in
    one channel, and the slots are multiplied. That reproduces each page exactly, in half the time of three captures (docs/experiments.md).
    """
    width, height = canvas.page_size
    tints = "".join(f"#s{n}::after{{background:{tint}}}" for n, tint in enumerate(TINTS))
    return f"""
*{{box-sizing:border-box;animation:none!important;transition:none!important;caret-color:transparent}}
html{{background:#fff;overflow:hidden}}
.slot{{position:absolute;left:0;top:0;width:{width}px;height:{height}px;overflow:clip;background:#fff;isolation:isolate;mix-blend-mode:multiply}}
.slot::after{{content:"";position:absolute;inset:0;mix-blend-mode:lighten}}{tints}
.clip{{position:absolute;left:{canvas.left}px;top:{canvas.margin}px;height:{canvas.height}px;overflow:clip}}
.grey .clip{{filter:grayscale(1)}}
.flow{{width:{canvas.text_width}px;height:{canvas.height}px;column-width:{canvas.text_width}px;column-gap:{canvas.gap}px;
column-fill:auto}}
.measure{{column-width:auto;column-count:auto;height:auto}}
.start{{break-before:column}}
"""


def _turns(canvas: Canvas, hair: int) -> str:
    """Return the CSS of text, exchanges, turns and their heads."""
    style, px = canvas.style, canvas.scale
    em = style.font_size * px
    return f"""
body,p,h1,h2,h3,h4,h5,h6,pre{{margin:0}}
body{{font:{em:g}px/{canvas.line}px {SANS};color:#000;overflow-wrap:anywhere;orphans:1;widows:1;font-kerning:normal;hyphens:manual;
hyphenate-character:"{CUT_MARK}"}}
section{{display:flow-root}}
section.x{{border-top:{hair}px solid {css(EXCHANGE_RULE)}}}
article{{padding-top:{2 * hair}px;unicode-bidi:isolate;overflow:clip}}
section.x>article:first-child{{padding-top:{3 * hair}px}}
.n{{font-size:{style.number_size * px:g}px;line-height:1px}}
.h{{unicode-bidi:isolate}}
pre,code{{font-family:{MONO};font-size:{style.code_size * px:g}px}}
pre{{line-height:{canvas.code_line}px;white-space:pre-wrap;unicode-bidi:plaintext;text-align:start;tab-size:4}}
pre .h{{font:{em:g}px/1px {SANS}}}
pre .n{{font-size:{style.number_size * px:g}px}}
pre i{{color:{css(COMMENT)}}}
pre s{{color:{css(STRING)};text-decoration:none}}
code{{unicode-bidi:isolate;white-space:pre-wrap;line-height:1px}}
pre code{{font-size:1em}}
"""


def _blocks(canvas: Canvas, hair: int) -> str:
    """Return the CSS of all other blocks of a turn.

    Maths: the sans face has a MATH table, so fences and roots grow, but its table leaves no room around the bar of a fraction and no
    depth below a subscript. `text-align: right` does not move the content of a cell; `-webkit-right` does.
    """
    indents = "".join(f".l{n}{{margin-left:{min(n, DEEPEST_INDENT) * 0.9:g}em}}" for n in range(1, MOST_INDENTS + 1))
    strikes = _strikes(hair)
    return f"""
p,h1,h2,h3,h4,h5,h6,td,th{{unicode-bidi:plaintext;text-align:start}}
p+p,p+.k,.k+p,pre+p,p+pre,table+p,div+p{{margin-top:{2 * hair}px}}
p.r+p.r{{margin-top:0}}
.alone,h1,h2,h3,h4,h5,h6{{break-after:avoid}}
h1,h2,h3,h4,h5,h6{{font-size:1em;margin-top:{2 * hair}px}}
h1{{font-size:1.12em}}
{indents}
.l>p{{padding-inline-start:1.1em}}
.l>p:first-child{{text-indent:-1.1em}}
.m{{unicode-bidi:isolate}}
.q{{border-inline-start:{2 * hair}px solid {css(QUOTE_BAR)};padding-inline-start:{4 * hair}px}}
table{{border-collapse:collapse;max-width:100%;font-size:.93em;line-height:{canvas.line - hair}px}}
td,th{{border:{hair}px solid {css(TABLE_LINE)};padding:0 {2 * hair}px;vertical-align:top;overflow-wrap:break-word}}
th{{font-weight:bold}}
tr{{break-inside:avoid}}
.tight{{table-layout:fixed;width:100%}}.tight td,.tight th{{overflow-wrap:anywhere}}
.center{{text-align:center}}.right{{text-align:end}}
img{{display:block;break-inside:avoid;margin:{hair}px 0}}
math{{font-family:{SANS}}}
mfrac>:first-child{{padding-bottom:.12em}}mfrac>:last-child{{padding-top:.12em}}
msub>:nth-child(2){{padding-top:.45em}}
mtd{{padding:.15em .4em}}
mtd>mrow{{display:inline math}}
mtd[columnalign=left]{{text-align:-webkit-left}}mtd[columnalign=right]{{text-align:-webkit-right}}
mtable[columnspacing^="0em"]>mtr>mtd{{padding-left:0;padding-right:0}}
mtable[columnspacing^="0em"]>mtr>mtd:nth-child(2n+3){{padding-left:2em}}
.vl{{border-left:{hair}px solid #000}}.hl{{border-top:{hair}px solid #000}}
menclose{{background-repeat:no-repeat;background-size:100% 100%}}
menclose[notation~=box],menclose[notation~=roundedbox],menclose[notation~=circle]{{border:{hair}px solid #000;padding:{2 * hair}px}}
menclose[notation~=roundedbox]{{border-radius:.4em}}menclose[notation~=circle]{{border-radius:50%}}
{strikes}
.k{{text-align:center;break-inside:avoid;padding-bottom:{2 * hair}px}}
hr{{border:0;border-top:{hair}px solid {css(RULE)};margin:{3 * hair}px 0}}
"""


def _strikes(hair: int) -> str:
    """Return the CSS of lines through a part of a formula. The browser knows no `menclose`, so they are backgrounds."""

    def line(direction: str) -> str:
        half = f"{hair / 2 + 0.25:g}px"
        edges = f"#0000 calc(50% - {half}),#000 calc(50% - {half}),#000 calc(50% + {half}),#0000 calc(50% + {half})"
        return f"linear-gradient({direction},{edges})"

    up, down, across = line("to bottom right"), line("to top right"), line("to bottom")
    return f"""menclose[notation=updiagonalstrike]{{background-image:{up}}}
menclose[notation=downdiagonalstrike]{{background-image:{down}}}
menclose[notation="updiagonalstrike downdiagonalstrike"]{{background-image:{up},{down}}}
menclose[notation=horizontalstrike]{{background-image:{across}}}"""

"""Convert TeX to safe MathML.

The converter passes input through: `\\href` becomes a link, `\\class` and `\\style` become attributes. So its tree is rebuilt from a short
list of elements and attributes, with everything escaped.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from html import escape, unescape
from xml.etree.ElementTree import Element

from ...text.excerpts import excerpt, said

__all__ = ["to_mathml"]

LONGEST_TEX = 2000  # characters; longer sources are shown unconverted
DEEPEST = 60

_ELEMENTS = re.compile(
    "mrow|mi|mn|mo|mtext|ms|mfrac|msqrt|mroot|msub|msup|msubsup|munder|mover|munderover|mmultiscripts|mprescripts|none"
    "|mtable|mtr|mtd|mlabeledtr|mspace|mstyle|mpadded|menclose"
)
_WORD = re.compile(r"[a-z-]{1,24}(?: [a-z-]{1,24}){0,12}")
_LENGTH = re.compile(r"[0-9]?(?:\.[0-9]{1,4}|[0-9](?:\.[0-9]{1,4})?)?(?:em|ex|px|pt|mu)?")
_ATTRIBUTES = {
    **dict.fromkeys(("lspace", "rspace", "width", "linethickness", "minsize", "maxsize", "rowspacing", "columnspacing"), _LENGTH),
    **dict.fromkeys(("mathvariant", "stretchy", "fence", "form", "separator", "accent", "accentunder", "largeop", "movablelimits"), _WORD),
    **dict.fromkeys(("displaystyle", "columnalign", "rowalign", "columnlines", "rowlines", "notation", "symmetric"), _WORD),
}
_log = logging.getLogger(__name__)


@lru_cache(maxsize=512)
def to_mathml(tex: str, *, display: bool = False) -> str:
    """Return the MathML of a TeX formula, or its escaped source in `<code>` if it cannot be converted."""
    source = f'<code dir="ltr">{escape(tex)}</code>'
    if len(tex) > LONGEST_TEX:
        return source
    from latex2mathml.converter import convert_to_element

    try:
        tree = convert_to_element(tex)
        body = "".join(_safe(child, 0) for child in tree)
    except Exception as exc:  # the converter raises many types; show the source then
        _log.debug("no MathML for %s: %s: %s", excerpt(tex), type(exc).__name__, said(exc))
        return source
    shape = "block" if display else "inline"
    return f'<math display="{shape}" alttext="{escape(tex)}">{body}</math>'


def _safe(element: Element, depth: int) -> str:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    inner = _text(element.text) + "".join(_safe(child, depth + 1) + _text(child.tail) for child in element)
    name = element.tag.rpartition("}")[2]
    if not _ELEMENTS.fullmatch(name):
        return f"<mrow>{inner}</mrow>"  # mphantom and maction would hide words; others are unknown
    kept = {key: value for key, value in element.attrib.items() if key in _ATTRIBUTES and _ATTRIBUTES[key].fullmatch(value)}
    return f"<{name}{''.join(f' {key}={chr(34)}{escape(value)}{chr(34)}' for key, value in kept.items())}>{inner}</{name}>"


def _text(text: str | None) -> str:
    return escape(unescape(text or ""))  # the converter writes operators as character references inside its text

"""Convert TeX to safe MathML that Chromium draws truly: rows as tables, enclosures as the style sheet can draw them.

The converter passes input through: `\\href` becomes a link, `\\class` and `\\style` become attributes. So its tree is rebuilt from a short
list of elements and attributes, with everything escaped.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape, unescape
from types import MappingProxyType
from xml.etree.ElementTree import Element

from ...text.excerpts import excerpt, said
from .tex_rows import with_rows

__all__ = ["to_mathml"]

LONGEST_TEX = 2000  # characters; longer sources are shown unconverted
DEEPEST = 60

_ELEMENTS = re.compile(
    "mrow|mi|mn|mo|mtext|ms|mfrac|msqrt|mroot|msub|msup|msubsup|munder|mover|munderover|mmultiscripts|mprescripts|none"
    "|mtable|mtr|mtd|mlabeledtr|mspace|mstyle|mpadded|menclose"
)
_WORD = re.compile(r"[a-z-]{1,24}(?: [a-z-]{1,24}){0,12}")
_LENGTH = re.compile(r"[0-9]?(?:\.[0-9]{1,4}|[0-9](?:\.[0-9]{1,4})?)?(?:em|ex|px|pt|mu)?")
_LENGTHS = re.compile(r"[0-9.]{1,6}(?:em|ex|px|pt|mu)(?: [0-9.]{1,6}(?:em|ex|px|pt|mu)){0,12}")
_ATTRIBUTES = {
    **dict.fromkeys(("lspace", "rspace", "width", "linethickness", "minsize", "maxsize"), _LENGTH),
    **dict.fromkeys(("rowspacing", "columnspacing"), _LENGTHS),
    **dict.fromkeys(("mathvariant", "stretchy", "fence", "form", "separator", "accent", "accentunder", "largeop", "movablelimits"), _WORD),
    **dict.fromkeys(("displaystyle", "columnalign", "rowalign", "columnlines", "rowlines", "notation", "symmetric"), _WORD),
}
_ENCLOSURES = {"box", "roundedbox", "circle", "updiagonalstrike", "downdiagonalstrike", "horizontalstrike"}  # that the style sheet draws
_LOST = re.compile(r"\\[a-zA-Z]|&|\\\\")  # in a symbol: a command or a mark that the converter does not know
_log = logging.getLogger(__name__)


@lru_cache(maxsize=512)
def to_mathml(tex: str, *, display: bool = False) -> str:
    """Return the MathML of a TeX formula, or its escaped source in `<code>` if it cannot be converted, or not drawn truly."""
    source = f'<code dir="ltr">{escape(tex)}</code>'
    if len(tex) > LONGEST_TEX:
        return source
    from latex2mathml.converter import convert_to_element

    try:
        tree = convert_to_element(with_rows(tex))
        if not _is_true(tree):
            return source
        body = "".join(_safe(child, 0) for child in tree)
    except Exception as exc:  # the converter raises many types; show the source then
        _log.debug("no MathML for %s: %s: %s", excerpt(tex), type(exc).__name__, said(exc))
        return source
    shape = "block" if display else "inline"
    return f'<math display="{shape}" alttext="{escape(tex)}">{body}</math>'


def _is_true(tree: Element) -> bool:
    """Whether Chromium draws all of a tree: no row breaks outside of tables, no unknown commands, enclosures and lines that it can draw."""
    for element in tree.iter():
        name = _name(element)
        if name == "mspace" and element.get("linebreak"):
            return False
        if name in ("mi", "mo") and _LOST.search(unescape(element.text or "")):
            return False
        if name == "menclose" and not _ENCLOSURES.issuperset(element.get("notation", "").split()):
            return False
        if name == "mtable" and not _fits_lines(element):
            return False
    return True


def _fits_lines(table: Element) -> bool:
    """Whether all lines of a table lie between its rows and columns."""
    columns = max((len(row) for row in table), default=0)
    between = {"columnlines": columns - 1, "rowlines": len(table) - 1}
    return all(len(table.get(key, "").split()) <= most for key, most in between.items())


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _classes(table: Element) -> dict[Element, str]:
    """Return the class of each cell: a line on its left, on its upper edge, or both. The browser knows no lines of tables."""
    left, upper = (table.get(key, "").split() for key in ("columnlines", "rowlines"))
    classes: dict[Element, str] = {}
    for at, row in enumerate(table):
        for place, cell in enumerate(row):
            lines = [mark for mark, kinds, index in (("vl", left, place - 1), ("hl", upper, at - 1)) if _line(kinds, index)]
            if lines:
                classes[cell] = " ".join(lines)
    return classes


def _line(kinds: Sequence[str], index: int) -> bool:
    return 0 <= index < len(kinds) and kinds[index] != "none"


def _safe(element: Element, depth: int, marked: Mapping[Element, str] = MappingProxyType({})) -> str:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    name = _name(element)
    if name == "mtable":
        marked = _classes(element)
    inner = _text(element.text) + "".join(_safe(child, depth + 1, marked) + _text(child.tail) for child in element)
    if not _ELEMENTS.fullmatch(name):
        return f"<mrow>{inner}</mrow>"  # mphantom and maction would hide words; others are unknown
    kept = {key: value for key, value in element.attrib.items() if key in _ATTRIBUTES and _ATTRIBUTES[key].fullmatch(value)}
    if name == "mtd":
        inner = f"<mrow>{inner}</mrow>"  # one element, which the style sheet can move to a side
    if element in marked:
        kept["class"] = marked[element]
    return f"<{name}{''.join(f' {key}={chr(34)}{escape(value)}{chr(34)}' for key, value in kept.items())}>{inner}</{name}>"


def _text(text: str | None) -> str:
    return escape(unescape(text or ""))  # the converter writes operators as character references inside its text

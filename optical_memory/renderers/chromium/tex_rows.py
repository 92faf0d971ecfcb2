"""Rewrite the environments of TeX that stack rows as those that the converter to MathML knows.

It reads matrices, `cases` and `align*`; of others it runs the rows together, on one line.
"""

from __future__ import annotations

import re

__all__ = ["with_rows"]

_ALIGNED = "align|aligned|alignat|alignedat|flalign|eqnarray|xalignat|split"
_STACKED = "gather|gathered|multline|multlined|lines|displaylines"
_NAMES = {
    **dict.fromkeys((name + star for name in _ALIGNED.split("|") for star in ("", "*")), "align*"),
    **dict.fromkeys((name + star for name in _STACKED.split("|") for star in ("", "*")), "displaylines"),
    **dict.fromkeys(("dcases", "dcases*", "cases*", "numcases"), "cases"),
}
_COUNTED = ("alignat", "alignedat", "xalignat")  # a number of columns follows in braces
_SINGLE = ("equation", "displaymath", "math", "subequations")  # rows in them are as if in none
_OPENS = re.compile(r"\\(begin|end)\s*\{\s*([a-zA-Z]+\*?)\s*\}")
_TOKEN = re.compile(r"\\(?:begin|end)\{[a-zA-Z]+\*?\}|\\[a-zA-Z]+|\\.|[{}&]", re.DOTALL)
_SKIP = re.compile(r"\\\\\*?\s*\[\s*-?[\d.]+\s*(?:[a-z]{2}|\\[a-z]+)\s*\]|\\\\\*")  # a break with a length
_FRAMED = re.compile(
    r"\\begin\{array\}\s*\{\s*\|([^{}]*)\|\s*\}\s*(?:\\hline\s*)+((?:(?!\\begin|\\end).)*?)(?:\\\\\s*)?(?:\\hline\s*)+\\end\{array\}",
    re.DOTALL,
)
_RULED = re.compile(r"(\\begin\{array\}\s*\{[^{}|][^{}]*\})\s*(?:\\hline\s*)+|(?:\\hline\s*)+(?=\\end\{array\})")
_FENCED = re.compile(r"\\(begin|end)\{[pbBvV]matrix\*?\}")
_PLACE = re.compile(r"\s*\[[tbc]\]")
_COUNT = re.compile(r"\s*\{\s*\d+\s*\}")


def with_rows(tex: str) -> str:
    """Return `tex` with its stacked rows in environments that the converter knows, those outside of any environment too."""
    renamed = _unruled(_renamed(_SKIP.sub(r"\\\\", tex)))
    breaks, columns = _at_the_top(renamed)
    if not breaks:
        return renamed
    name = "align*" if columns else "displaylines"
    return f"\\begin{{{name}}}{renamed}\\end{{{name}}}"


def _renamed(tex: str) -> str:
    """Rename environments; drop those of one row, and the options of renamed ones."""
    pieces: list[str] = []
    place = 0
    for match in _OPENS.finditer(tex):
        pieces.append(tex[place : match.start()])
        place = match.end()
        edge, name = match.groups()
        if name.removesuffix("*") in _SINGLE:
            continue
        known = _NAMES.get(name, name)
        pieces.append(f"\\{edge}{{{known}}}")
        if edge == "begin" and name in _NAMES:
            for option in (_PLACE, _COUNT) if name.removesuffix("*") in _COUNTED else (_PLACE,):
                place = found.end() if (found := option.match(tex, place)) else place
    return "".join([*pieces, tex[place:]])


def _unruled(tex: str) -> str:
    """Replace a frame around an array by a box, and drop lines above and below one: the converter takes them for lines between rows."""
    tex = _FENCED.sub(lambda match: f"{{{match[0]}" if match[1] == "begin" else f"{match[0]}}}", tex)
    boxed = _FRAMED.sub(r"\\boxed{\\begin{array}{\1}\2\\end{array}}", tex)
    return _RULED.sub(lambda match: match[1] or "", boxed)


def _at_the_top(tex: str) -> tuple[bool, bool]:
    """Whether rows break, and columns are marked, outside of braces and environments."""
    depth = 0
    breaks = columns = False
    for token in _TOKEN.findall(tex):
        if token in ("{", "\\left") or token.startswith("\\begin{"):
            depth += 1
        elif token in ("}", "\\right") or token.startswith("\\end{"):
            depth -= 1
        elif depth == 0:
            breaks |= token in ("\\\\", "\\cr", "\\newline")
            columns |= token == "&"
    return breaks, columns

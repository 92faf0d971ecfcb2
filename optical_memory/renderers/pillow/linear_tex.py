"""Convert TeX maths to one readable line of Unicode, for renderers that cannot stack fractions.

`\\frac{a}{b}` becomes `a/b`, `x^2` becomes `x²`, commands become their characters if there is one; unknown ones keep their name. No macro
is expanded, and the time is linear in the length of the source.
"""

from __future__ import annotations

import re

__all__ = ["linear_tex"]

_TOKEN = re.compile(r"\\[a-zA-Z]+\*?|\\.|[{}^_&~]|\s+|[^\\{}^_&~\s]+|\\", re.DOTALL)
_DEPTH_LIMIT = 60  # deeper nested braces are nonsense: the source is shown unchanged

_NAMES = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "varpi": "ϖ",
    "rho": "ρ",    "varrho": "ϱ", "sigma": "σ", "varsigma": "ς", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω", "sum": "∑", "prod": "∏", "coprod": "∐", "int": "∫", "iint": "∬", "iiint": "∭", "oint": "∮", "partial": "∂", "nabla": "∇",
    "infty": "∞", "pm": "±", "mp": "∓", "times": "×", "div": "÷", "cdot": "·", "cdots": "⋯", "ldots": "…", "dots": "…", "vdots": "⋮",
    "ddots": "⋱", "ast": "∗", "star": "⋆", "circ": "∘", "bullet": "•", "oplus": "⊕", "ominus": "⊖", "otimes": "⊗", "odot": "⊙", "le": "≤",
    "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "ne": "≠", "neq": "≠", "ll": "≪", "gg": "≫", "equiv": "≡",
    "approx": "≈", "sim": "∼", "simeq": "≃", "cong": "≅", "propto": "∝", "perp": "⊥", "parallel": "∥", "mid": "∣", "nmid": "∤", "in": "∈",
    "notin": "∉", "ni": "∋", "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "supseteq": "⊇", "cup": "∪", "cap": "∩", "setminus": "∖",
    "emptyset": "∅", "varnothing": "∅", "forall": "∀", "exists": "∃", "nexists": "∄", "neg": "¬", "lnot": "¬", "land": "∧", "wedge": "∧",
    "lor": "∨", "vee": "∨", "to": "→", "rightarrow": "→", "leftarrow": "←", "gets": "←", "leftrightarrow": "↔", "Rightarrow": "⇒",
    "Leftarrow": "⇐", "Leftrightarrow": "⇔", "implies": "⇒", "impliedby": "⇐", "iff": "⇔", "mapsto": "↦", "longrightarrow": "⟶",
    "uparrow": "↑", "downarrow": "↓", "hookrightarrow": "↪", "rightharpoonup": "⇀", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊",
    "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "lvert": "|", "rvert": "|", "lVert": "‖", "rVert": "‖", "vert": "|", "Vert": "‖",
    "hbar": "ℏ", "ell": "ℓ", "Re": "ℜ", "Im": "ℑ", "aleph": "ℵ", "wp": "℘", "angle": "∠", "triangle": "△", "square": "□", "degree": "°",
    "prime": "′", "dagger": "†", "therefore": "∴", "because": "∵", "top": "⊤", "bot": "⊥", "vdash": "⊢", "models": "⊨", "checkmark": "✓",
    "blacksquare": "■", "lt": "<", "gt": ">", "colon": ":", "backslash": "\\", "quad": "  ", "qquad": "    ", "cdotp": "·",
}  # fmt: skip
_SILENT = {
    "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "textstyle", "scriptstyle", "limits",
    "nolimits", "mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathcal", "text", "textbf", "textit", "textrm", "operatorname",
    "boldsymbol", "boxed", "mathstrut", "nonumber", "mathop", "mathbin", "mathrel", "ensuremath", "mbox", "hbox",
}  # fmt: skip
_ACCENTS = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0305",
    "vec": "\u20d7",
    "tilde": "\u0303",
    "dot": "\u0307",
    "ddot": "\u0308",
}
_DOUBLE_STRUCK = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ", "H": "ℍ", "E": "𝔼"}
_SPACES = {"\\,": " ", "\\;": " ", "\\:": " ", "\\ ": " ", "\\!": "", "\\\\": "; ", "~": " ", "&": " "}
_RAISED = str.maketrans("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
_LOWERED = str.maketrans("0123456789+-=()aeioruvxn", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑᵢₒᵣᵤᵥₓₙ")


def linear_tex(source: str) -> str:
    """Return a formula on one line. Source with unmatched braces is returned unchanged."""
    tokens = _TOKEN.findall(source)
    if not _is_balanced(tokens):
        return " ".join(source.split())
    reader = _Reader(tokens)
    return re.sub(r"\s+", " ", re.sub(r" (?=[_^₀-ₜ⁰-ⁿ])", "", reader.sequence())).strip()


def _is_balanced(tokens: list[str]) -> bool:
    depth = 0
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if not 0 <= depth <= _DEPTH_LIMIT:
            return False
    return depth == 0


class _Reader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def sequence(self) -> str:
        """Read everything up to the closing brace, or the end."""
        pieces: list[str] = []
        while self._place < len(self._tokens) and self._tokens[self._place] != "}":
            pieces.append(self._piece())
        return "".join(pieces)

    def _piece(self) -> str:
        token = self._next()
        if token == "{":
            inner = self.sequence()
            self._next()
            return inner
        if token in ("^", "_"):
            return _script(token, self._argument())
        if token in _SPACES:
            return _SPACES[token]
        return self._command(token[1:].rstrip("*")) if token.startswith("\\") and len(token) > 1 else token

    def _command(self, name: str) -> str:
        if name in _NAMES:
            return _NAMES[name]
        if name in _SILENT:
            return ""
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return f"{_grouped(self._argument())}/{_grouped(self._argument())}"
        if name in ("binom", "dbinom"):
            return f"C({self._argument()}, {self._argument()})"
        if name == "sqrt":
            return f"√{_grouped(self._argument())}"
        if name == "mathbb":
            return "".join(_DOUBLE_STRUCK.get(char, char) for char in self._argument())
        if name in _ACCENTS:
            return (self._argument() or " ") + _ACCENTS[name]
        if name in ("begin", "end"):
            self._argument()
            return " "
        return name if not name.isalpha() else f"{name} "

    def _argument(self) -> str:
        """Read a group in braces, or the next character."""
        while self._place < len(self._tokens) and self._tokens[self._place].isspace():
            self._place += 1
        if self._place >= len(self._tokens) or self._tokens[self._place] == "}":
            return ""
        token = self._tokens[self._place]
        if token in ("^", "_"):  # nonsense, and a chain of it would nest without end
            self._place += 1
            return token
        if token[0] in "{\\":
            return self._piece() if token == "{" or token[1:] in _NAMES or not token[1:].isalpha() else self._command_alone()
        self._tokens[self._place] = token[1:]
        if not token[1:]:
            self._place += 1
        return token[0]

    def _command_alone(self) -> str:
        """Read a command as an argument without braces, as in `\\frac\\mathbf{a}2`: shallow, with the group of a silent one only."""
        name = self._next()[1:].rstrip("*")
        following = self._tokens[self._place] if self._place < len(self._tokens) else ""
        return self._piece() if name in _SILENT and following == "{" else f"{name} "

    def _next(self) -> str:
        token = self._tokens[self._place] if self._place < len(self._tokens) else ""
        self._place += 1
        return token


def _script(mark: str, text: str) -> str:
    small = text.translate(_RAISED if mark == "^" else _LOWERED)
    if text and all(before != after for before, after in zip(text, small, strict=True)):
        return small
    if mark == "^" and text in ("′", "∘", "°", "*"):
        return {"∘": "°"}.get(text, text)
    return mark + (text if len(text) == 1 or text.isdigit() else f"({text})")


def _grouped(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 1 or all(char.isalpha() or char in "0123456789." for char in text) else f"({text})"

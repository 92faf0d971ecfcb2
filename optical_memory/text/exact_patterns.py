"""The patterns of strings that must not be misread, and one scan of a text for all of them.

Content is hostile: every pattern starts only where a run of its characters starts, takes it possessively or bounded, and requires nothing
after it, so that the time is linear in the length of the text.

To try each pattern at each character takes most of its time where none can begin. So the text is scanned once for the places where one can:
plain words, which are most of a text, are passed over. At each place all patterns are tried in one go, as lookaheads side by side.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from .confusables import doubt

__all__ = ["LONGEST", "spans_in"]

LONGEST = 200  # characters; a longer string costs more tokens than it is worth, and recall returns it
_ENDS = ".,;:!?'\"*_~ )]}"  # of a sentence, or of what is in brackets
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    r"|Dec(?:ember)?)\b\.?"
)
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[AaPp]\.?[Mm]\b\.?|Z|\s?[+-]\d{2}:?\d{2}\b)?"
_COMMA = r"\d{1,3}(?:\.\d{3}){1,10},\d{1,2}(?!\d)|\d{1,12}+,\d{1,2}(?!\d)"  # 1.234,56 and 12,50: the decimal comma
_NUMBER = rf"(?:{_COMMA}|\d{{1,30}}+(?:[,_']\d{{3}}){{0,10}}+(?:\.\d{{1,30}}+)?+)"
_CURRENCY = r"(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|dollars?|euros?|cents|yen|yuan|元|块|円|원|€|£|¥|\$)"
_UNIT = (
    r"(?:%|‰|°[CF]?|[kKMGTP]i?[bB]\b|[kKMGTP]?bps\b|[mµun]s\b|s\b|[kmcµn]?m[²³]?\b|[kmµ]?g\b|m?[lL]\b|[kMG]?Hz\b|[km]?[VWA]h?\b|kWh\b|mph\b|km/h\b|px\b|pt\b|(?<=\d)x\b"
    r"|(?:tokens?|bytes?|seconds?|minutes?|hours?|days?|weeks?|months?|years?|miles?|feet|pounds?|people|times|rows?|lines?)\b|[人个天年月次页米]|公里|小时|分钟)"
)
# White space beyond ASCII, which \s leaves out below, control and format characters: an address ends before them.
_UNSEEN = r"\s\x00-\x1f\x7f-\xa0\xad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\U000e0000-\U000e007f"
_ADDRESS = rf"[^{_UNSEEN}<>\"'`|\\^{{}}，。；）」』]{{1,2000}}+"
_FILE_TYPES = (
    "py js ts tsx jsx json jsonl toml yaml yml xml html css md rst txt csv tsv log cfg ini conf sh bash sql db sqlite lock c "
    "h cc cpp hpp rs go java kt rb php pdf doc docx xls xlsx ppt pptx zip gz tar tgz bz2 whl jar exe dll so png jpg jpeg gif "
    "webp svg mp3 mp4 wav env pem key crt ipynb po mo "
)

_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|s)")
LEAST_DOUBT = 3.0  # bits, for a short string with digits: two confusable characters at least
_FILE = re.compile(rf"\.(?:{'|'.join(_FILE_TYPES.split())})(?::\d+)?", re.IGNORECASE)
_W = r"\w\u00c0-\u024f\u0370-\u052f"  # \w is ASCII below, as Chinese sets no space before a path; these letters stand in names too

_PLAIN = rf"[A-Za-z]?[a-z]++(?![{_W}])"  # a word in no doubt, like most; looked for first, since patterns are fast and Python is not


def _is_code(string: str) -> bool:
    """Whether a string has letters and digits; not `3rd`, `top-10`, `20-year-old`."""
    mixed = any(map(str.isalpha, string)) and any(map(str.isdigit, string))
    return mixed and len(string) >= 4 and not _ORDINAL.fullmatch(string) and not re.fullmatch(r"[a-zA-Z]+-\d{1,2}|\d{1,2}-[a-z-]+", string)


def _is_name(string: str) -> bool:
    """Whether a string is a constant, a snake-case name, an environment variable, or a name with digits and mixed case."""
    inner = string.strip("_$")
    return "_" in inner or string[0] == "$" or (any(map(str.isdigit, inner)) and not inner.islower() and len(inner) > 3)


def _is_blob(string: str) -> bool:
    """Whether a string is like base64: digits and letters of both cases; a path has more slashes."""
    return all(any(map(kind, string)) for kind in (str.isdigit, str.isupper, str.islower)) and string.count("/") < 4


def _is_relative_path(string: str) -> bool:
    return string.count("/") >= 3 or _FILE.search(string) is not None or any(char.isdigit() or char == "_" for char in string)


def _is_dotted(string: str) -> bool:
    """Whether a string is a file's name, or a dotted name with an underscore or a digit in it."""
    named = not string[0].isdigit() and any(char.isdigit() or char == "_" for char in string)
    return named or _FILE.fullmatch(string[string.rfind(".") :]) is not None


def _is_telling_number(string: str) -> bool:
    """Whether a number has three digits or more, or a decimal point: smaller integers are too common."""
    return sum(map(str.isdigit, string)) >= 3 or "." in string


def _is_doubtful(string: str) -> bool:
    """Whether a string is confusable: `AI`, `lIl`, `O0`, and `pаypal` with a Cyrillic а."""
    least = LEAST_DOUBT if any(map(str.isdigit, string)) else 1.0
    return doubt(string) >= least and not _ORDINAL.fullmatch(string)


def _always(string: str) -> bool:
    return True


class _Kind(NamedTuple):
    """A kind of exact string.

    Attributes:
        begins: what it can begin with: a digit `d`, a letter or underscore `w`, another sign `s`.
        worthy: whether a string that has the pattern must not be misread.
    """

    begins: str
    pattern: str
    worthy: Callable[[str], bool]


_KINDS = (
    _Kind("w", rf"\b(?:https?|ftps?|sftp|wss?|s3|gs|file|git|ssh|postgres(?:ql)?|mysql|rediss?|mongodb|sqlite)://{_ADDRESS}", _always),
    _Kind("w", rf"\bwww\.{_ADDRESS}", _always),
    _Kind("dws", rf"(?<![{_W}.+%-])[{_W}.+%-]{{1,64}}+@[\w-]{{1,63}}+(?:\.[\w-]{{1,63}}+){{1,8}}+", _always),
    _Kind("dw", r"(?<![\w-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", _always),
    _Kind("s", rf"(?<![\w.])[$€£¥₹₩₽]\s?{_NUMBER}(?:\s?(?:million|billion|trillion|bn|[kKMB])\b)?", _always),
    _Kind("ds", rf"(?<![\w.])[-−+±]?{_NUMBER}\s?{_CURRENCY}", _always),
    _Kind("ds", rf"(?<![\w.])[-−+±]?{_NUMBER}(?:[eE][-+]?\d{{1,4}})?\s?{_UNIT}", _always),
    _Kind("d", r"(?<![\w.])\d{1,6}\s?[x×]\s?\d{1,6}(?:\s?[x×]\s?\d{1,6})?", _always),
    _Kind("ds", r"(?<![\w.])[-−+±]?\d{1,30}+(?:[,_']\d{3}){0,10}+(?:\.\d{1,30}+){0,6}+(?:[eE][-+]?\d{1,4}\b)?", _is_telling_number),
    _Kind("dw", r"(?<![\w.])v?\d{1,6}(?:\.\d{1,9}){1,5}(?:[-+.]?(?:alpha|beta|dev|post|rc|a|b)[.\d]{0,9}|:\d{1,5})?", _always),
    _Kind("d", r"(?<![\w./-])\d{1,4}(?P<parted>[./-])\d{1,2}(?P=parted)\d{1,4}", _always),
    _Kind("w", rf"\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?", _always),
    _Kind("d", rf"(?<!\w)\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? \d{{4}}\b)?", _always),
    _Kind("d", rf"(?<![\w:.]){_CLOCK}(?:-{_CLOCK})?", _always),
    _Kind("d", r"(?<!\w)\d{1,2}\s?[ap]\.?m\b", _always),
    _Kind("s", r"(?<![\w+])\+\d{1,3}(?:[ .()-]{1,2}\d{1,9}){2,6}|(?<!\w)\+\d{8,15}", _always),
    _Kind("ds", r"(?<![\w-])(?:\(\d{2,5}\) ?|\d{3}[ .-])\d{3,4}[ .-]\d{3,5}", _always),
    _Kind("d", r"(?<![\w-])0\d{1,4}[ -]\d{5,9}", _always),
    _Kind("d", r"(?<![\w.-])\d{1,12}(?:-\d{1,12}){2,6}", _is_telling_number),
    _Kind("dw", r"(?<![\w:])[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){2,7}", _is_code),
    _Kind("w", r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3}\b)?", _always),
    _Kind("s", rf"(?<![{_W}/.~-])(?:~|\.{{1,2}})?/[{_W}.@+%=:~-]{{1,200}}+(?:/[{_W}.@+%=:~-]{{0,200}}+){{0,40}}+", _always),
    _Kind("w", rf"(?<![\w\\])[A-Za-z]:\\[{_W}.@+%=~\\-]{{1,300}}+", _always),
    _Kind("dws", rf"(?<![{_W}/.@+-])[{_W}.@+-]{{1,100}}+(?:/[{_W}.@+-]{{1,100}}+){{1,40}}+(?::\d{{1,6}})?", _is_relative_path),
    _Kind("dws", rf"(?<![{_W}.-])[{_W}-]{{1,100}}+(?:\.[{_W}-]{{1,40}}+){{1,5}}+", _is_dotted),
    _Kind("s", rf"(?<![\w-])--[A-Za-z][\w-]{{1,60}}+(?:=[^{_UNSEEN}\"'`,;)]{{1,80}}+)?|(?<![\w-])-[A-Za-z](?![\w-])", _always),
    _Kind("dws", r"(?<![\w#-])(?=[A-Za-z#_-]*+\d)#?[A-Za-z0-9]{1,200}+(?:[-_#][A-Za-z0-9]{1,200}+)*+", _is_code),
    _Kind("ws", r"(?<![\w$])(?=\$|[A-Za-z]*+[\d_])\$?[A-Za-z_][A-Za-z0-9_]{2,200}+", _is_name),
    _Kind("dws", r"(?<![\w+/=-])[A-Za-z0-9+/_-]{20,}+={0,2}", _is_blob),
    _Kind("dw", rf"(?<![{_W}])(?!{_PLAIN})[{_W}]{{2,40}}+(?![{_W}])", _is_doubtful),
)
# These also begin inside a word, after letters; so they are looked for by themselves. The first sign lets `re` pass over others fast.
_INSIDE_WORDS = (
    (re.compile(rf"\d(?<!\d\d)\d{{3}}-\d{{2}}-\d{{2}}(?:[T ]{_CLOCK})?", re.ASCII), "-"),
    (re.compile(r"\d(?<!\d\d)\d{1,3}年(?:\d{1,2}月)?(?:\d{1,2}[日号])?|\d(?<!\d\d)\d?月\d{1,2}[日号]", re.ASCII), "年月"),
)


_AtOnce = tuple[re.Pattern[str], tuple[tuple[int, int], ...]]


def _at_once(begins: str) -> _AtOnce:
    """Return all patterns of what begins so as one, and for each of them the number of its group and its place in `_KINDS`."""
    kinds = [(place, kind) for place, kind in enumerate(_KINDS) if begins in kind.begins]
    whole = re.compile("".join(rf"(?:(?=(?P<k{place}>{kind.pattern}))|)" for place, kind in kinds), re.ASCII)
    return whole, tuple((whole.groupindex[f"k{place}"], place) for place, _ in kinds)


_FOREIGN = r"\u00c0-\u024f\u0370-\u052f"
_SIGNS = r"$€£¥₹₩₽+\-−±~/.@%#"
_TELLING = "www|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# No string begins at a word of small letters with white space, a quote or the like after it, except at a month or www; nor at a sign that
# follows a word or that nothing follows.
_DULL = (
    rf"(?!{_TELLING})[A-Za-z][a-z]*+(?=[.:,;!?]?(?:[\s\"'`(){{}}\[\]<>|,;!?*]|\Z))"
    rf"|[{_SIGNS}(](?<=\w.)|[+\-−±~/.@%#](?=\s|\Z)|\((?!\d)"
)
_PLACES = rf"(?:[^\w{_FOREIGN}{_SIGNS}(]++|{_DULL})*+(?:(?P<d>\d\w*+)|(?P<w>[A-Za-z_]\w*+|[{_FOREIGN}]++)|(?P<s>[{_SIGNS}(])|\Z)"


@cache
def _scan() -> tuple[re.Pattern[str], dict[str, _AtOnce]]:
    """Return the pattern of places, and all patterns by what they begin with.

    Compiled when they are first needed: it takes as long as a fifth of importing the library.
    """
    return re.compile(_PLACES, re.ASCII), {begins: _at_once(begins) for begins in "dws"}


def spans_in(text: str) -> set[tuple[int, int]]:
    """Find the strings of any kind: where they begin and end. They may overlap. Those of more than `LONGEST` characters are left out."""
    found: set[tuple[int, int]] = set()
    ends = [0] * len(_KINDS)  # strings of one kind do not overlap
    places, by_beginning = _scan()
    for place in places.finditer(text):
        if not (begins := place.lastgroup):
            break
        at, (patterns, groups) = place.start(begins), by_beginning[begins]
        tried = patterns.match(text, at)
        if not tried or not tried.lastindex:  # of no kind
            continue
        regs = tried.regs
        for group, kind in groups:
            end = regs[group][1]
            if end >= 0 and ends[kind] <= at:
                ends[kind] = end
                if span := _exact(text, at, end, _KINDS[kind].worthy):
                    found.add(span)
    for pattern, needs in _INSIDE_WORDS:
        if any(sign in text for sign in needs):
            found.update(span for match in pattern.finditer(text) if (span := _exact(text, match.start(), match.end(), _always)))
    return found


def _exact(text: str, start: int, end: int, worthy: Callable[[str], bool]) -> tuple[int, int] | None:
    """Return the span of what was found without the sentence's punctuation; None if it is not worthy, or a word goes on after it."""
    string = _trimmed(text[start:end])
    end = start + len(string)
    if not (1 < len(string) <= LONGEST and worthy(string)):
        return None
    is_cut = string[-1].isascii() and string[-1].isalnum() and _continues(text[end : end + 1])
    return None if is_cut else (start, end)


def _trimmed(string: str) -> str:
    """Strip the sentence's punctuation; a closing bracket stays if the string opens it."""
    while string and string[-1] in _ENDS:
        if string[-1] in ")]}" and string.count(string[-1]) <= string.count("([{"[")]}".index(string[-1])]):
            break
        string = string[:-1]
    return string


def _continues(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")

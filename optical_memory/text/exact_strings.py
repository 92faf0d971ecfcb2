"""The sidecar: a page's exact strings as text beside it.

A reader of an image corrects prose and guesses ids. So what cannot be guessed is sent as text: ids, hashes, amounts, dates, addresses,
paths, versions, flags, constants, and other strings with confusable characters (`confusables`).

Content is hostile: every pattern starts only where a run of its characters starts, takes it possessively or bounded, and requires nothing
after it, so that the time is linear in the length of the text.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from .confusables import doubt
from .labels import label_text

__all__ = ["exact_strings", "sidecar_of"]

LONGEST = 200  # characters; a longer string costs more tokens than it is worth, and recall returns it
ENOUGH_BITS = 60.0  # impossible to guess; more bits add no value
LEAST_BITS = 7.0  # easier to guess than this is not worth the tokens
WORD_BITS, YEAR_BITS = 3.0, 4.0
SEPARATOR_TOKENS = 1  # between two strings of a sidecar

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

_SHORT_WORDS = (
    "jan feb mar apr may jun jul aug sep oct nov dec am pm st nd rd th of the and for not www com org net io py js ts json html css xml "
    "md txt yml ms kg km cm mm kb mb gb tb usd eur gbp id ids get set url api src lib bin usr etc tmp var opt dev env doc docs est utc"
)
_COMMON_SHORT = frozenset(_SHORT_WORDS.split())
_LOWER, _UPPER = r"[A-Z]?[a-z]++(?![^\W\d_A-Za-z])", r"[A-Z]+(?![^\W\d_A-Z])"  # the humps of a name in camel case
_RUNS = re.compile(rf"\d+|{_LOWER}|{_UPPER}|[^\W\d_]+?(?=[A-Z\W\d_]|$)|[\W_]")
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


_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = tuple(
    (re.compile(pattern, re.ASCII), worthy)
    for pattern, worthy in (
        (rf"\b(?:https?|ftps?|sftp|wss?|s3|gs|file|git|ssh|postgres(?:ql)?|mysql|rediss?|mongodb|sqlite)://{_ADDRESS}", _always),
        (rf"\bwww\.{_ADDRESS}", _always),
        (rf"(?<![{_W}.+%-])[{_W}.+%-]{{1,64}}+@[\w-]{{1,63}}+(?:\.[\w-]{{1,63}}+){{1,8}}+", _always),
        (r"(?<![\w-])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}", _always),
        (rf"(?<![\w.])[$€£¥₹₩₽]\s?{_NUMBER}(?:\s?(?:million|billion|trillion|bn|[kKMB])\b)?", _always),
        (rf"(?<![\w.])[-−+±]?{_NUMBER}\s?{_CURRENCY}", _always),
        (rf"(?<![\w.])[-−+±]?{_NUMBER}(?:[eE][-+]?\d{{1,4}})?\s?{_UNIT}", _always),
        (r"(?<![\w.])\d{1,6}\s?[x×]\s?\d{1,6}(?:\s?[x×]\s?\d{1,6})?", _always),
        (r"(?<![\w.])[-−+±]?\d{1,30}+(?:[,_']\d{3}){0,10}+(?:\.\d{1,30}+){0,6}+(?:[eE][-+]?\d{1,4}\b)?", _is_telling_number),
        (r"(?<![\w.])v?\d{1,6}(?:\.\d{1,9}){1,5}(?:[-+.]?(?:alpha|beta|dev|post|rc|a|b)[.\d]{0,9}|:\d{1,5})?", _always),
        (rf"(?<!\d)\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]{_CLOCK})?", _always),
        (r"(?<![\w./-])\d{1,4}([./-])\d{1,2}\1\d{1,4}", _always),
        (rf"\b{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?", _always),
        (rf"(?<!\w)\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? \d{{4}}\b)?", _always),
        (r"(?<!\d)\d{2,4}年(?:\d{1,2}月)?(?:\d{1,2}[日号])?|(?<!\d)\d{1,2}月\d{1,2}[日号]", _always),
        (rf"(?<![\w:.]){_CLOCK}(?:-{_CLOCK})?", _always),
        (r"(?<!\w)\d{1,2}\s?[ap]\.?m\b", _always),
        (r"(?<![\w+])\+\d{1,3}(?:[ .()-]{1,2}\d{1,9}){2,6}|(?<!\w)\+\d{8,15}", _always),
        (r"(?<![\w-])(?:\(\d{2,5}\) ?|\d{3}[ .-])\d{3,4}[ .-]\d{3,5}", _always),
        (r"(?<![\w-])0\d{1,4}[ -]\d{5,9}", _always),
        (r"(?<![\w.-])\d{1,12}(?:-\d{1,12}){2,6}", _is_telling_number),
        (r"(?<![\w:])[0-9a-fA-F]{1,4}(?:::?[0-9a-fA-F]{1,4}){2,7}", _is_code),
        (r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3}\b)?", _always),
        (rf"(?<![{_W}/.~-])(?:~|\.{{1,2}})?/[{_W}.@+%=:~-]{{1,200}}+(?:/[{_W}.@+%=:~-]{{0,200}}+){{0,40}}+", _always),
        (rf"(?<![\w\\])[A-Za-z]:\\[{_W}.@+%=~\\-]{{1,300}}+", _always),
        (rf"(?<![{_W}/.@+-])[{_W}.@+-]{{1,100}}+(?:/[{_W}.@+-]{{1,100}}+){{1,40}}+(?::\d{{1,6}})?", _is_relative_path),
        (rf"(?<![{_W}.-])[{_W}-]{{1,100}}+(?:\.[{_W}-]{{1,40}}+){{1,5}}+", _is_dotted),
        (rf"(?<![\w-])--[A-Za-z][\w-]{{1,60}}+(?:=[^{_UNSEEN}\"'`,;)]{{1,80}}+)?|(?<![\w-])-[A-Za-z](?![\w-])", _always),
        (r"(?<![\w#-])(?=[A-Za-z#_-]*+\d)#?[A-Za-z0-9]{1,200}+(?:[-_#][A-Za-z0-9]{1,200}+)*+", _is_code),
        (r"(?<![\w$])(?=\$|[A-Za-z]*+[\d_])\$?[A-Za-z_][A-Za-z0-9_]{2,200}+", _is_name),
        (r"(?<![\w+/=-])[A-Za-z0-9+/_-]{20,}+={0,2}", _is_blob),
        (rf"(?<![{_W}])(?!{_PLAIN})[{_W}]{{2,40}}+(?![{_W}])", _is_doubtful),
    )
)


def exact_strings(text: str) -> list[str]:
    """Return the strings in `text` that must not be misread, in order of appearance, each once; of overlapping ones the longer.

    Strings of more than 200 characters are left out.
    """
    return list(dict.fromkeys(string for _, string in _found(text)))


def sidecar_of(
    texts: Iterable[str], *, max_tokens: int, count: Callable[[str], int], seen: Mapping[str, int] | None = None
) -> tuple[str, ...]:
    """Return the exact strings of a page, rarest and hardest to guess first, as many as `max_tokens` allow.

    Args:
        texts: the texts of the page's turns, in order.
        max_tokens: most tokens of all strings, including one per separator.
        count: counts tokens.
        seen: how often each string occurs on other pages of the session; common ones come later.

    A string inside a kept one is dropped. Of equals the earlier comes first. Deterministic.
    """
    times = Counter(string for text in texts for _, string in _found(text))  # a dict: in order of appearance
    worth = {string: _worth(string, number + (seen or {}).get(string, 0)) for string, number in times.items()}
    ranked = sorted((string for string in worth if worth[string] >= LEAST_BITS), key=lambda string: -worth[string])
    kept: dict[str, int] = {}
    left = max_tokens
    for string in ranked:
        if left <= SEPARATOR_TOKENS:
            break
        if any(string in other for other in kept):
            continue
        inside = [other for other in kept if other in string]
        cost = count(string) + SEPARATOR_TOKENS - sum(kept[other] for other in inside)
        if cost <= left:
            left -= cost
            kept = {other: tokens for other, tokens in kept.items() if other not in inside}
            kept[string] = cost + sum(kept.get(other, 0) for other in inside)
    return tuple(dict.fromkeys(map(label_text, kept)))  # an amount may have a line feed before its unit


def _found(text: str) -> list[tuple[int, str]]:
    """Find strings and their offsets, without overlaps: longer ones win."""
    found = {span for pattern, worthy in _PATTERNS for span in _spans(pattern, worthy, text)}
    candidates = sorted(found, key=lambda span: (span[0] - span[1], span[0]))
    taken: list[tuple[int, int]] = []
    for start, end in candidates:
        place = bisect_left(taken, (start, end))
        if (place == 0 or taken[place - 1][1] <= start) and (place == len(taken) or taken[place][0] >= end):
            taken.insert(place, (start, end))
    return [(start, text[start:end]) for start, end in taken]


def _spans(pattern: re.Pattern[str], worthy: Callable[[str], bool], text: str) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        string = _trimmed(match[0])
        follows = text[match.start() + len(string) : match.start() + len(string) + 1]
        if 1 < len(string) <= LONGEST and worthy(string) and not (string[-1].isascii() and string[-1].isalnum() and _continues(follows)):
            yield match.start(), match.start() + len(string)


def _trimmed(string: str) -> str:
    """Strip the sentence's punctuation; a closing bracket stays if the string opens it."""
    string = string.rstrip(".,;:!?'\"*_~ ")
    while string and string[-1] in ")]}" and string.count(string[-1]) > string.count("([{"[")]}".index(string[-1])]):
        string = string[:-1].rstrip(".,;:!?'\"*_~ ")
    return string


def _continues(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


def _worth(string: str, times: int) -> float:
    """Estimate the value of a string in bits: those to guess it, and its doubt (`confusables`), less what its repetitions tell."""
    bits = sum(map(_run_bits, _RUNS.findall(string)))
    return min(bits + doubt(string), ENOUGH_BITS) - 2 * math.log2(times)


def _run_bits(run: str) -> float:
    """Estimate the bits of a run of digits, of letters, or of one symbol: log2(10) per digit, 4 per letter of a code, 3 for a word."""
    if run.isdigit():
        telling = len(run.rstrip("0"))
        return YEAR_BITS if re.fullmatch(r"(?:19|20)\d\d", run) else math.log2(10) * telling + 0.5 * (len(run) - telling)
    if not run.isalpha():
        return 0.5
    spelled = run.islower() if len(run) == 3 else len(run) > 3 and (run.isupper() or run[1:].islower())
    wordlike = spelled and any(char in "aeiouyAEIOUY" for char in run)
    return WORD_BITS if wordlike or run.lower() in _COMMON_SHORT or not run.isascii() else 4.0 * len(run)

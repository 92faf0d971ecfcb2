"""Full-text search: the terms of a text, the same for every store. `ranking` says which turns come first.

Log and query are tokenized by the same rules:

- words are casefolded, accents removed, compatibility forms (full-width letters, ligatures) normalised;
- identifiers, paths, codes and numbers are kept whole and in parts: `QX-77419` gives `qx-77419`, `qx` and `77419`; `getUserName` gives
  `getusername`, `get`, `user` and `name`;
- scripts without spaces between words (Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer) give every character and every pair of
  neighbours, so that one, two or many characters of a query find them;
- the colours that programs print for terminals are no part of a word: `ESC[1mfailed` gives `failed`.

Words are indexed as they are: endings and frequent words are a matter of the query (`ranking`). Emoji and punctuation are not searched.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

__all__ = ["MAX_QUERY_TERMS", "MAX_TERM", "TERM_PUNCTUATION", "asks", "query_terms", "rarity", "terms"]

MAX_TERM = 64  # characters; queries have no longer words, and the rest of a blob should not fill the index
MAX_QUERY_TERMS = 64  # a whole page pasted as a query is answered from its first terms
QUESTION = 4  # characters
TERM_PUNCTUATION = "_-./:@+#"  # the only ASCII characters besides letters and digits that a term may hold

# Scripts written without spaces, letters and marks only. Korean has spaces, but attaches particles to its words: pairs find the stem.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u1000-\u103f\u1050-\u109f\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
    "\u1100-\u11ff\uac00-\ud7a3\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31f0-\u31ff"  # Hangul, kana, Bopomofo
    "\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"  # Han
)
# `\w` leaves out combining vowels, which are half of an Indic word. Whole blocks are taken, without the danda.
_MARKS = "\u0900-\u0963\u0966-\u0dff\u0f18-\u0fbc\u0710-\u074f\u07a6-\u07f5\u1700-\u177f\u1a00-\u1cff\ua800-\uabff"
_LETTER = rf"[\w{_MARKS}]"
# Accents, Hebrew points, Arabic vowel signs and stretching, invisible joiners and the soft hyphen: never typed in a query.
_DROPPED = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u200c-\u200f\u00ad\u2060\ufeff]+")
_RUN = re.compile(f"([{_UNSPACED}]+)")
_WORD = re.compile(rf"{_LETTER}+(?:(?:[-./:@+]|://){_LETTER}+)*(?:\+\+|#(?!\w))?")
_ASCII_WORD = re.compile(r"\w+(?:(?:[-./:@+]|://)\w+)*(?:\+\+|#(?!\w))?", re.ASCII)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d|[A-Za-z](?!\w)))")  # not in `863,920p`, an editor's range of lines
_COLOUR = re.compile(r"\x1b\[[0-9;]*[mK]")  # K: `grep` ends each colour with it
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def terms(text: str) -> list[str]:
    """Return the terms of a text, with repetitions. Lower case; letters, digits and `TERM_PUNCTUATION` only."""
    found: list[str] = []
    for piece in _pieces(text):
        found += piece
        if isinstance(piece, str):
            found += _pairs(piece)
    return found


def query_terms(query: str) -> list[list[str]]:
    """Return lists of query terms, each term once: a strict one, then a looser one to use if the first matches nothing.

    The first list has pairs of characters of unspaced scripts, the second single ones. Empty if the query has no terms.
    """
    strict: dict[str, None] = {}
    loose: dict[str, None] = {}
    for piece in _pieces(query):
        strict |= dict.fromkeys((_pairs(piece) or piece) if isinstance(piece, str) else piece)
        loose |= dict.fromkeys(piece)
    lists = [list(strict)[:MAX_QUERY_TERMS], list(loose)[:MAX_QUERY_TERMS]]
    return [wanted for wanted in lists[: 1 if lists[0] == lists[1] else 2] if wanted]


def rarity(matches: int, turns: int) -> float:
    """Return the rarity of a term in `matches` of `turns` turns: BM25's inverse document frequency in its always positive form."""
    return math.log(1 + (max(turns - matches, 0) + 0.5) / (matches + 0.5))


def asks(query: str) -> bool:
    """Whether a query is more than one word: words with spaces between them, or `QUESTION` characters of a script without."""
    return len(query.split()) > 1 or any(len(piece) >= QUESTION for piece in _pieces(query) if isinstance(piece, str))


def _pieces(text: str) -> Iterator[str | list[str]]:
    """Yield runs of unspaced script as strings, and the terms between them as lists."""
    if "\x1b[" in text:
        text = _COLOUR.sub("", text)
    if text.isascii():
        yield _word_terms(text, _ASCII_WORD)
        return
    for position, part in enumerate(_RUN.split(_fold(text))):
        yield part if position % 2 else _word_terms(part, _WORD)


def _pairs(run: str) -> list[str]:
    return [left + right for left, right in pairwise(run)]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", _DROPPED.sub("", unicodedata.normalize("NFKD", text)))


def _word_terms(text: str, words: re.Pattern[str]) -> list[str]:
    found: list[str] = []
    for token in words.findall(_THOUSANDS.sub("", text)):
        folded = token.casefold()
        if token.isalpha() and token[1:] == folded[1:] and len(folded) <= MAX_TERM:
            found.append(folded)
        else:
            found += _parts(token)
    return found


def _parts(token: str) -> list[str]:
    """Split a token: whole, at its outer separators, at its inner ones, and at changes of case and of letters to digits; each part once."""
    found = [token]
    for piece in re.split(r"[/:.@+#]+", token):
        found.append(piece)
        for word in re.split(r"[-_]+", piece):
            found.append(word)
            if word.isascii() and not (word.isalpha() and word.islower()):
                # Single characters here are fragments of hashes; those between separators were kept above.
                found += [part for part in _CAMEL.findall(word) if len(part) > 1]
    return list(dict.fromkeys(part.casefold()[:MAX_TERM] for part in found if part.strip("_")))

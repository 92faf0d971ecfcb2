"""The model's tokenizer, read from its `tokenizer.json` by the tokenizers library and nothing else.

transformers' AutoTokenizer is not used: several of its 5.x versions read this file as another kind of tokenizer and dropped every space
silently (transformers issues 45488, 46489). A tokenizer loaded here must reproduce sample texts, or it is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingExtra, WeightsMismatch, WeightsNotFound

if TYPE_CHECKING:
    import tokenizers

__all__ = ["IMAGE", "StreamDecoder", "Tokenizer", "cut_inside"]

IMAGE = "<image>"
BEGINNINGS = ("<｜begin▁of▁sentence｜>", "<s>")
ENDS = ("<｜end▁of▁sentence｜>", "</s>")
LONGEST_CHARACTER = 4  # tokens: UTF-8 takes four bytes at most
SAMPLES = (
    "two  spaces and a\n\n\tnew line",
    "déjà vu, 中文字符 日本語 العربية 🙂",
    "def f(x): return {'a': x[0] + 1}  # QX-77419",
    " leading",
)


def cut_inside(text: str, names: Sequence[str]) -> list[str]:
    """Split a text so that no piece contains one of `names`, so that no added token is matched. Joined, the pieces are the text."""
    pattern = _pattern(tuple(names))
    if pattern is None or not (found := list(pattern.finditer(text))):
        return [text]
    cuts = [0, *(match.start() + 1 for match in found), len(text)]
    pieces = [text[begin:end] for begin, end in pairwise(cuts) if begin < end]
    # A piece may still contain a token that the longest match had hidden.
    return [part for piece in pieces for part in (cut_inside(piece, names) if len(piece) > 1 else [piece])]


@lru_cache(maxsize=8)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted((name for name in names if len(name) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


class Tokenizer:
    """Text to ids and back.

    Content is hostile: `encode` never returns the id of an added token. `encode_prompt` does, for the model's own prompts.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        added = inner.get_added_tokens_decoder()
        self._added = [token.content for token in added.values() if token.content]
        self.bos_id = self._named(BEGINNINGS)
        self.eos_id = self._named(ENDS)
        self.image_id = self._named((IMAGE,))
        self._check()

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read `tokenizer.json`. Raises `WeightsNotFound` without one, `WeightsMismatch` for one that loses text, `MissingExtra`."""
        try:
            import tokenizers
        except ImportError as exc:
            raise MissingExtra("the DeepSeek-OCR reader", "deepseek") from exc
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise WeightsNotFound(f"no tokenizer.json in {str(folder)!r}. Fetch a model with: optical-memory models pull deepseek-ocr")
        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except WeightsMismatch:
            raise
        except Exception as exc:  # the library raises bare Exception for a file that it cannot read
            raise WeightsMismatch(f"{str(path)!r} is no tokenizer that can be read: {exc}") from exc

    def __len__(self) -> int:
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; the spelling of an added token is encoded as plain characters."""
        ids: list[int] = []
        for piece in cut_inside(text, self._added):
            ids += self._inner.encode(piece, add_special_tokens=False).ids
        return ids

    def encode_prompt(self, text: str) -> list[int]:
        """Return the ids of one of the model's own prompts, with added tokens (`<|grounding|>`). Not for content."""
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, with added tokens spelled out."""
        return str(self._inner.decode(list(ids), skip_special_tokens=False))

    def id_of(self, name: str) -> int | None:
        """Return the id of an added token by its spelling; None if this model lacks it."""
        found = self._inner.token_to_id(name)
        return None if found is None else int(found)

    def _named(self, names: Sequence[str]) -> int:
        for name in names:
            if (found := self.id_of(name)) is not None:
                return found
        raise WeightsMismatch(f"the tokenizer has no token {' or '.join(map(repr, names))}; it is not DeepSeek-OCR's or Unlimited-OCR's")

    def _check(self) -> None:
        for sample in SAMPLES:
            if (back := self.decode(self.encode(sample))) != sample:
                raise WeightsMismatch(f"the tokenizer turns {sample!r} into {back!r}; its tokenizer.json is damaged or of another kind")


class StreamDecoder:
    """Converts a stream of ids to pieces of text: whole characters only; joined, the pieces are the text of all ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._pending: list[int] = []

    def push(self, token: int) -> str:
        """Return the text that can be emitted now; empty while a character is incomplete."""
        self._pending.append(token)
        text = self._tokenizer.decode(self._pending)
        if not text.endswith("\ufffd"):
            self._pending.clear()
            return text
        if len(self._pending) > 2 * LONGEST_CHARACTER:  # longer than any character: emit the earlier, invalid bytes
            before, last = self._pending[:-LONGEST_CHARACTER], self._pending[-LONGEST_CHARACTER:]
            said = self._tokenizer.decode(before)
            if said + self._tokenizer.decode(last) == text:
                self._pending = last
                return said
        return ""

    def flush(self) -> str:
        """Return the rest; incomplete characters become U+FFFD."""
        text = self._tokenizer.decode(self._pending) if self._pending else ""
        self._pending.clear()
        return text

"""Write optical_memory/o200k_base.filter: which byte strings are tokens of o200k_base, as a Bloom filter.

    python tools/make_token_filter.py VOCABULARY

VOCABULARY is the `o200k_base.tiktoken` file, plain or gzipped: tiktoken (MIT licence) caches it, and the `bpe-openai` package ships it.
The filter holds no text; it can only be asked whether a string is (almost certainly) a token.
"""

from __future__ import annotations

import base64
import gzip
import sys
from pathlib import Path

from optical_memory.text import token_count as tokens


def token_filter(vocabulary: bytes) -> bytes:
    """The filter's bytes, from lines of `base64 rank`."""
    table = bytearray(tokens.FILTER_BITS // 8)
    for line in vocabulary.splitlines():
        token = base64.b64decode(line.split()[0])
        if 2 <= len(token) <= tokens.LONGEST_TOKEN * 2:
            for bit in tokens.bloom_bits(token):
                table[bit >> 3] |= 1 << (bit & 7)
    return bytes(table)


def main() -> None:
    source = Path(sys.argv[1]).read_bytes()
    vocabulary = gzip.decompress(source) if source[:2] == b"\x1f\x8b" else source
    Path(tokens.__file__).with_name("o200k_base.filter").write_bytes(token_filter(vocabulary))


if __name__ == "__main__":
    main()

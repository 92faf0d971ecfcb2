"""A cache beside what it should hold."""

from __future__ import annotations

import torch

from optical_memory.deepseek_ocr.configuration import DecoderConfig
from optical_memory.deepseek_ocr.kv_cache import KVCache

DECODER = DecoderConfig(hidden_size=4, num_attention_heads=2, num_key_value_heads=2, num_hidden_layers=2)


class Mirror:
    """A cache, and what it should hold."""

    def __init__(self, cache: KVCache, tokens: list[float]) -> None:
        self.cache, self.tokens = cache, tokens

    def say(self, tokens: list[float]) -> None:
        new = torch.tensor(tokens)[None, None, :, None].expand(1, 2, len(tokens), 2)
        self.tokens = self.tokens + tokens
        for layer in range(2):
            keys, values = self.cache.update(layer, new + layer, -new)
            assert keys[0, 1, :, 0].tolist() == [token + layer for token in self.tokens]
            assert values[0, 0, :, 1].tolist() == [-token for token in self.tokens]
        self.cache.advance(len(tokens))

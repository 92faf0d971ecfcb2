"""The whole model under the published checkpoint's key names: vision tokens in, next-token scores out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .attention import Rotary, attention_mask
from .configuration import DeepseekOcrConfig
from .decoder import DecoderLayer
from .deepencoder import DeepEncoder, page_rows
from .kv_cache import KVCache
from .processing import PagePixels

__all__ = ["DeepseekOcrForConditionalGeneration"]


class _Model(nn.Module):
    """The checkpoint's `model.`: DeepEncoder's three parts, two learned rows, and the decoder."""

    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__()
        encoder, decoder = DeepEncoder(config), config.decoder
        self.sam_model, self.vision_model, self.projector = encoder.sam_model, encoder.vision_model, encoder.projector
        self.image_newline = nn.Parameter(torch.zeros(decoder.hidden_size))
        self.view_seperator = nn.Parameter(torch.zeros(decoder.hidden_size))  # the checkpoint's spelling
        self.embed_tokens = nn.Embedding(decoder.vocab_size, decoder.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(decoder, layer) for layer in range(decoder.num_hidden_layers))
        self.norm = nn.RMSNorm(decoder.hidden_size, eps=decoder.rms_norm_eps)
        self.rotary = Rotary(decoder)
        self.__dict__["encoder"] = encoder  # not a child: its parameters are the three parts above


class DeepseekOcrForConditionalGeneration(nn.Module):
    """DeepSeek-OCR, or Unlimited-OCR, which is the same network. Inference only: no method keeps gradients."""

    def __init__(self, config: DeepseekOcrConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Model(config)
        self.lm_head = nn.Linear(config.decoder.hidden_size, config.decoder.vocab_size, bias=False)

    @property
    def deep_encoder(self) -> DeepEncoder:
        """The encoder; its parameters are this model's."""
        encoder: DeepEncoder = self.model.__dict__["encoder"]
        return encoder

    @property
    def device(self) -> torch.device:
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.lm_head.weight.dtype

    @torch.inference_mode()
    def encode_pages(self, pages: Sequence[PagePixels], *, batch: int = 4) -> list[Tensor]:
        """The rows of each page in the decoder's input, newlines and separator included: (n, hidden)."""
        return page_rows(pages, self.deep_encoder, self.model.image_newline, self.model.view_seperator, batch=batch)

    def encode_page(self, pixels: PagePixels) -> Tensor:
        """The rows of one page: (n, hidden)."""
        return self.encode_pages([pixels])[0]

    @torch.inference_mode()
    def embed(self, token_ids: Tensor) -> Tensor:
        """Rows of text tokens: (T,) to (T, hidden)."""
        rows: Tensor = self.model.embed_tokens(token_ids.to(self.device))
        return rows

    def new_cache(self, *, capacity: int = 256) -> KVCache:
        """An empty cache for this model's decoder."""
        return KVCache(self.config.decoder, self.dtype, self.device, capacity=capacity)

    @torch.inference_mode()
    def forward(self, inputs_embeds: Tensor, *, cache: KVCache | None = None, logits_to_keep: int = 0, prompt_length: int = 0) -> Tensor:
        """Return the scores of the token after each position.

        Args:
            inputs_embeds: (B, T, hidden); B is 1 with a cache.
            cache: the positions before. It grows by T.
            logits_to_keep: number of positions at the end to score; 0 for all.
            prompt_length: positions at the beginning that are always inside a sliding window; 0 for all of a single call. Ignored
                without a window.

        Returns (B, T or logits_to_keep, vocabulary). Raises `ValueError` beyond the model's positions, and for a window after a cache
        without `prompt_length`.
        """
        past, new = cache.length if cache else 0, inputs_embeds.shape[1]
        if past + new > self.config.max_position_embeddings:
            raise ValueError(f"position {past + new} is beyond the model's {self.config.max_position_embeddings}")
        window, device = self.config.sliding_window, inputs_embeds.device
        if window is not None and past and not prompt_length:
            raise ValueError(f"after {past} positions a sliding window needs to know how many of them were the prompt; pass prompt_length")
        mask = attention_mask(new, past, window=window, prompt=prompt_length or new, device=device)
        angles = self.model.rotary(torch.arange(past, past + new, device=device), inputs_embeds.dtype)
        x = inputs_embeds
        for layer in self.model.layers:
            x = layer(x, angles, mask, cache)
        if cache is not None:
            cache.advance(new)
        scores: Tensor = self.lm_head(self.model.norm(x[:, -logits_to_keep:]))
        return scores

"""A tokenizer without a vocabulary, for untrained encoders only: each word is a hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import torch
from torch import Tensor

_WORD = re.compile(r"\w+|[^\w\s]")
_PADDING, _FIRST, _LAST = 0, 101, 102
"""BERT's own numbers of [PAD], [CLS] and [SEP]."""
_RESERVED = 1000


class HashedWords:
    """Words and signs of a lower-cased text to numbers that are the same on every machine and in every run.

    It lets an encoder with random weights run where no vocabulary can be had. Different words may share a number
    (one in 29,522), and nothing of a real vocabulary is kept, so it is of no use to trained weights.

    Args:
        vocabulary_size: numbers that the encoder knows.
        max_tokens: longer texts are cut, with the two special tokens counted.
    """

    def __init__(self, vocabulary_size: int, max_tokens: int) -> None:
        self._buckets = vocabulary_size - _RESERVED
        self._max_tokens = max_tokens

    def __call__(self, texts: Sequence[str], length: int = 0) -> dict[str, Tensor]:
        """B texts to ``input_ids`` and ``attention_mask``, each (B, L) int64, where L is ``length`` at least."""
        rows = [self._numbers(text) for text in texts]
        length = max(length, *map(len, rows))
        ids = torch.tensor([row + [_PADDING] * (length - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": mask}

    def _numbers(self, text: str) -> list[int]:
        words = _WORD.findall(text.lower())[: self._max_tokens - 2]
        return [_FIRST, *map(self._number, words), _LAST]

    def _number(self, word: str) -> int:
        digest = hashlib.sha256(word.encode()).digest()
        return _RESERVED + int.from_bytes(digest[:8], "big") % self._buckets

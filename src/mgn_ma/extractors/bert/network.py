"""A BERT-like encoder of transformers and its tokenizer, loaded from local files only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from mgn_ma.extractors.bert.words import HashedWords
from mgn_ma.extractors.pretrained import WeightsError, WeightsNeed
from mgn_ma.extractors.weights import read_state_dict, verified

Tokenize = Callable[[Sequence[str], int], dict[str, Tensor]]
"""B texts and a least length to ``input_ids`` and ``attention_mask``, each (B, L) int64."""

_HEADS = re.compile(r"^(cls|pooler|[a-z]+\.pooler|lm_head|vocab_\w+|classifier|qa_outputs)\.|position_ids$")
"""What checkpoints hold beside the encoder: heads of the training task, of which none is used here."""


def load_network(need: WeightsNeed) -> nn.Module:
    """The encoder with its weights; every tensor of it must be in the checkpoint, and there nothing but known heads.

    Raises:
        WeightsError: if files are absent or don't fit.
    """
    if need.pretrained.random is not None:
        # From the library's own initialisation: that of a transformer keeps the signal alive by itself.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(need.pretrained.random)
            network: nn.Module = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False)
        return network.eval()
    weights = verified(need)
    if weights.suffix == ".bin":
        # Only for its refusal of pickled code, in our words.
        read_state_dict(weights)
    network, report = _from_directory(weights.parent)
    complaints = [
        f"{what} {', '.join(keys[:5])}"
        for what in ("missing", "unexpected")
        if (keys := sorted(key for key in report[f"{what}_keys"] if not _HEADS.search(key)))
    ]
    if complaints:
        raise WeightsError(f"{weights} does not fit {type(network).__name__}: {'; '.join(complaints)}")
    return network.eval()


def _from_directory(directory: Path) -> tuple[nn.Module, dict[str, Any]]:
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        network, report = AutoModel.from_pretrained(
            directory,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{directory} can't be loaded as an encoder: {error}") from error
    return network, report


def load_tokenizer(need: WeightsNeed, max_tokens: int) -> Tokenize:
    """The tokenizer that belongs to the encoder, or, for random weights, one that needs no vocabulary.

    Raises:
        WeightsError: if its files are absent or damaged.
    """
    if need.pretrained.random is not None:
        return HashedWords(transformers.BertConfig().vocab_size, max_tokens)
    directory = verified(need).parent
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{directory} has no tokenizer that can be loaded: {error}") from error
    if tokenizer.pad_token is None:
        raise WeightsError(f"the tokenizer in {directory} has no padding token: that is no BERT-like encoder")
    limit = min(max_tokens, tokenizer.model_max_length)

    def tokenize(texts: Sequence[str], length: int) -> dict[str, Tensor]:
        encoded = tokenizer(list(texts), truncation=True, max_length=limit)
        longest = max(length, *map(len, encoded["input_ids"]))
        # max_length is of the padding here: the texts were cut already.
        padded = tokenizer.pad(encoded, padding="max_length", max_length=longest, return_tensors="pt")
        return {name: padded[name] for name in ("input_ids", "attention_mask")}

    return tokenize


def width_of(network: nn.Module) -> int:
    """Length of the encoder's vectors."""
    return int(network.config.hidden_size)  # type: ignore[union-attr, arg-type]


def pool(hidden: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """(B, L, D) of the last layer and (B, L) attention mask to (B, D) float32: the first token, or the mean."""
    if pooling == "cls":
        return hidden[:, 0].float()
    weights = mask.unsqueeze(2).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1)

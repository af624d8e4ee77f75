"""Settings of the BERT extractor, and where the paper's weights are published."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt

from mgn_ma.extractors.pretrained import NetworkConfig, Pretrained, PublicWeights

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = PublicWeights(
    title="BERT base, uncased, by Google, on the Hugging Face hub",
    licence="Apache-2.0",
    megabytes=440,
    files=("model.safetensors|pytorch_model.bin", "config.json", "tokenizer.json|vocab.txt|vocab.json|spiece.model"),
    optional_files=("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt"),
    hub="google-bert/bert-base-uncased",
)


class BertConfig(NetworkConfig):
    """Settings of :class:`~mgn_ma.extractors.bert.extractor.BertExtractor`.

    Attributes:
        pretrained: a directory or hub repository of any BERT-like encoder that transformers knows without code of the
            repository's own; ``random`` is an untrained BERT base whose tokenizer needs no vocabulary.
        source: what is read: ``captions`` (a row for each merged cue of speech) or ``title`` (one row in all).
        pooling: ``cls``: last layer at the first token; ``mean``: over all tokens, as sentence encoders do.
        max_tokens: longer texts are cut, special tokens included.
    """

    PUBLIC: ClassVar = {"pretrained": WEIGHTS}
    VERSION: ClassVar[int] = 2

    name: Literal["bert"] = "bert"
    batch_size: PositiveInt = 16
    pretrained: Pretrained = Pretrained(hub="google-bert/bert-base-uncased")
    source: Literal["captions", "title"]  # type: ignore[misc]
    pooling: Literal["cls", "mean"] = "cls"
    max_tokens: int = Field(default=512, ge=3)

    def load(self) -> nn.Module:
        """The encoder on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.bert.network import load_network

        return load_network(self.weights_needed()[0])

"""Settings of the extractors by encoders of transformers, and where the paper's BERT is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator

from mgn_ma.extractors.base import Source
from mgn_ma.extractors.pretrained import NetworkConfig, Pretrained, PublicWeights

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["picture", "sound", "text", "clip"]
Pooling = Literal["mean", "cls", "last", "pooled"]
"""One vector of many: the mean over all tokens, the first token, the last one, or what the model itself gives for the
whole (its projection for models of two kinds of input, its pooler for others)."""

_WEIGHTS = ("model.safetensors|pytorch_model.bin", "config.json")
_TOKENIZER = "tokenizer.json|vocab.txt|vocab.json|spiece.model"
_OPTIONAL_OF_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")

BERT = PublicWeights(
    title="BERT base, uncased, by Google, on the Hugging Face hub",
    licence="Apache-2.0",
    megabytes=440,
    files=(*_WEIGHTS, _TOKENIZER),
    optional_files=_OPTIONAL_OF_TOKENIZER,
    hub="google-bert/bert-base-uncased",
)


def _public(*files: str, optional: tuple[str, ...] = ()) -> PublicWeights:
    return PublicWeights(
        title="an encoder of transformers with its processor",
        licence="see its page",
        megabytes=None,
        files=(*_WEIGHTS, *files),
        optional_files=optional,
        note="`pretrained: hub:<repository>` can be fetched",
    )


class EncoderConfig(NetworkConfig):
    """What the settings of all encoders have in common.

    Attributes:
        KIND: of the input.
        pooling: how the vector is made of the last layer.
    """

    KIND: ClassVar[Kind]

    batch_size: PositiveInt = 16
    pooling: Pooling = "mean"

    def load(self) -> nn.Module:
        """The encoder on the CPU with its weights; see :meth:`NetworkConfig.load`."""
        from mgn_ma.extractors.hf.network import load_encoder

        return load_encoder(self.weights_needed()[0], self.KIND, self.pooling)


class TextConfig(EncoderConfig):
    """What the settings of the encoders of texts have in common.

    Attributes:
        prompt: what is put before each text.
        source: what is read: ``captions`` (a row for each merged cue of speech) or ``title`` (one row in all).
        max_tokens: longer texts are cut, prompt and special tokens included.
    """

    KIND: ClassVar[Kind] = "text"
    prompt: ClassVar[str]

    source: Literal["captions", "title"]  # type: ignore[misc]
    max_tokens: int = Field(default=512, ge=3)


class BertConfig(TextConfig):
    """Any BERT-like encoder; the paper's is BERT base at the first token.

    Attributes:
        pretrained: a directory or hub repository; ``random`` is an untrained BERT base whose tokenizer needs no
            vocabulary.
    """

    PUBLIC: ClassVar = {"pretrained": BERT}
    VERSION: ClassVar[int] = 2
    prompt: ClassVar[str] = ""

    name: Literal["bert"] = "bert"
    pretrained: Pretrained = Pretrained(hub="google-bert/bert-base-uncased")
    pooling: Literal["cls", "mean"] = "cls"


class HFConfig(EncoderConfig):
    """What the settings of encoders of any architecture have in common.

    Attributes:
        pretrained: a directory or hub repository that transformers loads without code of its own.
    """

    @field_validator("pretrained")
    @classmethod
    def _has_an_architecture(cls, pretrained: Pretrained) -> Pretrained:
        if pretrained.random is not None:
            raise ValueError("give a path or a hub repository: a seed alone says nothing of the architecture")
        return pretrained


class HFTextConfig(HFConfig, TextConfig):
    """Any encoder of texts; multilingual ones often want a prompt, ``query:`` with a space after it for E5."""

    PUBLIC: ClassVar = {
        "pretrained": _public(_TOKENIZER, optional=(*_OPTIONAL_OF_TOKENIZER, "sentencepiece.bpe.model"))
    }

    name: Literal["hf_text"] = "hf_text"
    prompt: str = ""  # type: ignore[misc]


class HFImageConfig(HFConfig):
    """Any encoder of images, on the frame shown at each timestamp of the 6 Hz grid."""

    source: ClassVar[Source] = "video"
    KIND: ClassVar[Kind] = "picture"
    PUBLIC: ClassVar = {"pretrained": _public("preprocessor_config.json|processor_config.json")}

    name: Literal["hf_image"] = "hf_image"


class HFAudioConfig(HFConfig):
    """Any encoder of sound, on windows that may overlap.

    Attributes:
        window_us: of sound for one vector, centred on the middle of its row; silence beyond the ends.
        hop_us: row i holds for ``i * hop_us <= t < (i + 1) * hop_us``.
    """

    source: ClassVar[Source] = "audio"
    KIND: ClassVar[Kind] = "sound"
    PUBLIC: ClassVar = {"pretrained": _public("preprocessor_config.json|processor_config.json")}

    name: Literal["hf_audio"] = "hf_audio"
    window_us: int = Field(default=960_000, ge=10_000)
    hop_us: int = Field(default=166_667, ge=10_000)


class HFVideoConfig(HFConfig):
    """Any encoder of clips; how many frames a clip has is the encoder's.

    Attributes:
        step_us: between two frames of a clip, which are those of one grid.
        hop_us: row i holds for ``i * hop_us <= t < (i + 1) * hop_us``; its clip is centred on the frame of the grid
            nearest to its middle, and the first and last frames of the video are repeated beyond the ends.
    """

    source: ClassVar[Source] = "video"
    KIND: ClassVar[Kind] = "clip"
    PUBLIC: ClassVar = {
        "pretrained": _public("video_preprocessor_config.json|preprocessor_config.json|processor_config.json")
    }

    name: Literal["hf_video"] = "hf_video"
    batch_size: PositiveInt = 2
    step_us: int = Field(default=133_333, ge=1_000)
    hop_us: int = Field(default=500_000, ge=10_000)

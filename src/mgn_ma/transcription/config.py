"""Settings of transcription, and where Whisper is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from mgn_ma.extractors.pretrained import FrozenNetwork, Pretrained, PublicWeights

if TYPE_CHECKING:
    from torch import nn

WHISPER = PublicWeights(
    title="Whisper small, by OpenAI, on the Hugging Face hub",
    licence="Apache-2.0",
    megabytes=970,
    files=(
        "model.safetensors|pytorch_model.bin",
        "config.json",
        "generation_config.json",
        "preprocessor_config.json|processor_config.json",
        "tokenizer.json|vocab.json",
    ),
    optional_files=(
        *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt", "normalizer.json"),
    ),
    hub="openai/whisper-small",
)


class TranscriptionConfig(FrozenNetwork):
    """How speech is recognised; the parameter ``transcription``.

    Attributes:
        pretrained: a directory or hub repository of Whisper, in any size; ``None``: nothing can be transcribed.
        language: what is spoken, by its code; the file is named after it. Whisper writes whatever it hears in this
            language.
        no_speech_threshold: a window of 30 s is left out if Whisper says with more than this probability that nothing
            is said in it, and finds its words unlikely.
        all_videos: transcribe also what has captions in the language under another name, such as ``<id>.en-orig.vtt``.
    """

    PUBLIC: ClassVar = {"pretrained": WHISPER}
    NOT_IN_FINGERPRINT: ClassVar[frozenset[str]] = frozenset({"device", "all_videos"})
    VERSION: ClassVar[int] = 1

    name: Literal["whisper"] = "whisper"
    pretrained: Pretrained | None = None  # type: ignore[assignment]
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$")
    no_speech_threshold: float = Field(default=0.6, ge=0, le=1)
    all_videos: bool = False

    @field_validator("pretrained")
    @classmethod
    def _is_trained(cls, pretrained: Pretrained | None) -> Pretrained | None:
        if pretrained is not None and pretrained.random is not None:
            raise ValueError("give a path or a hub repository: an untrained Whisper hears nothing")
        return pretrained

    def load(self) -> nn.Module:
        """Whisper on the CPU with its weights.

        Raises:
            WeightsError: a file is absent, is no Whisper, or doesn't know the language.
        """
        from mgn_ma.transcription.whisper import load_whisper

        return load_whisper(self)[0]

"""What zero-shot compares moments with: encoders, prompts and neutral prompts, from YAML (``prompts.yml``)."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.eev.targets import Targets
from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.hf.config import HFConfig, HFTextConfig
from mgn_ma.extractors.registry import parse_config
from mgn_ma.modalities import BY_NAME

_PROMPT_TOKENS = 64
"""What the texts of CLIP, SigLIP and CLAP may have; prompts are far shorter."""

Texts = tuple[str, ...]


class PromptsError(MGNMAError):
    """Prompts that can't be used; the message names the file and the entry."""


class PromptedEncoder(Configuration):
    """An encoder of moments and of texts into one space.

    Attributes:
        extractor: ``hf_image``, ``hf_audio`` or ``hf_video``.
        settings: of that extractor; its pooling is the projection into the shared space.
        tolerance_us: how far a frame may lie from a row of the track that still serves it.
        about: what it is, its licence and size, for whoever is asked to fetch it.
    """

    extractor: str
    settings: dict[str, Any]
    tolerance_us: int = Field(default=0, ge=0)
    about: str = ""

    @model_validator(mode="after")
    def _is_an_encoder(self) -> Self:
        if not isinstance(parse_config(self.extractor, self.settings), HFConfig):
            raise ValueError(f"{self.extractor} is no encoder of transformers, which alone has texts in one space")
        return self

    @property
    def of_moments(self) -> HFConfig:
        """The extractor of tracks."""
        config = parse_config(self.extractor, {**self.settings, "pooling": "pooled"})
        assert isinstance(config, HFConfig)  # noqa: S101 - see above
        return config

    @property
    def of_texts(self) -> HFTextConfig:
        """The same model's other half."""
        moments = self.of_moments
        return HFTextConfig(
            source="captions",
            pretrained=moments.pretrained,
            precision=moments.precision,
            device=moments.device,
            pooling="pooled",
            max_tokens=_PROMPT_TOKENS,
        )


class Scaling(Configuration):
    """How similarities become curves.

    Attributes:
        time_constant_s: of the exponential average over both sides of a moment.
        least_rms: of a modality's similarities over a video: what moves less is not stretched to full size.
        rms_share: how much of the targets' range their root mean square becomes.
    """

    time_constant_s: float = Field(default=1.0, ge=0)
    least_rms: float = Field(default=0.001, gt=0)
    rms_share: float = Field(default=0.125, gt=0, le=0.5)


class ZeroShotConfig(Configuration):
    """Content of a file of prompts.

    Attributes:
        encoders: by modality.
        neutral: by modality, what any moment is like.
        prompts: by expression, which are the targets in this order, and modality.
        minimum: of the curves' range.
        maximum: of the curves' range.
        scaling: of similarities.
    """

    encoders: dict[str, PromptedEncoder] = Field(min_length=1)
    neutral: dict[str, Texts]
    prompts: dict[str, dict[str, Texts]] = Field(min_length=1)
    minimum: float = 0.0
    maximum: float = 1.0
    scaling: Scaling = Scaling()

    @field_validator("neutral", "prompts")
    @classmethod
    def _has_texts(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name, value in given.items():
            if isinstance(value, Mapping):
                cls._has_texts({f"{name}.{modality}": texts for modality, texts in value.items()})
            if not value or (isinstance(value, tuple) and not all(text.strip() for text in value)):
                raise ValueError(f"{name} has no prompt, or an empty one")
        return given

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        for name in self.encoders:
            if name not in BY_NAME or BY_NAME[name].source != self.encoders[name].of_moments.source:
                raise ValueError(f"encoders.{name}: {self.encoders[name].extractor} serves no modality {name!r}")
            if name not in self.neutral:
                raise ValueError(f"neutral has nothing for {name}, which an encoder reads")
        for expression, prompts in self.prompts.items():
            if unread := [name for name in prompts if name not in self.encoders]:
                raise ValueError(f"prompts.{expression}: no encoder reads {unread[0]}, only {', '.join(self.encoders)}")
        _ = self.targets
        return self

    @property
    def targets(self) -> Targets:
        """What is predicted."""
        return Targets(names=tuple(self.prompts), minimum=self.minimum, maximum=self.maximum)


class ZeroShotSettings(Configuration):
    """The parameter ``zero_shot``.

    Attributes:
        prompts: a file with other prompts or encoders; ``None`` for the package's.
        fetch_weights: agrees that encoders which are absent are fetched from the model hub.
    """

    prompts: str | None = None
    fetch_weights: bool = False


def read_config(file: str | Path | None = None) -> ZeroShotConfig:
    """The prompts of this package, or of a file, whose top-level entries replace those of the package.

    Raises:
        PromptsError: the file can't be read, or has an entry that can't be used.
    """
    own = resources.files(__package__).joinpath("prompts.yml").read_text(encoding="utf-8")
    entries: dict[str, Any] = yaml.safe_load(own)
    if file is None:
        return ZeroShotConfig.model_validate(entries)
    try:
        given = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PromptsError(f"{file}: can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise PromptsError(f"{file}: has no entries: it may have {', '.join(ZeroShotConfig.model_fields)}")
    try:
        return ZeroShotConfig.model_validate(entries | given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise PromptsError(f"{file}: {place}: {said}" if place else f"{file}: {said}") from error

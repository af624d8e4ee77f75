"""Which extractor serves a modality, and how far from a row of its track a frame may be."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.registry import config_class, parse_config


class ModalityConfig(BaseModel):
    """One modality: an extractor by name, with its settings in the table ``extractors``.

    Settings stand apart from names because environments merge key by key: one that only names another extractor must
    not inherit the settings of the first.

    Attributes:
        extractor: name of an extractor.
        source: what a text extractor reads; others read what they read.
        tolerance_us: how far a frame may lie outside of the interval of a row that still serves it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    extractor: str
    source: Literal["captions", "title"] | None = None
    tolerance_us: int = Field(ge=0)


class Modalities(RootModel[dict[str, ModalityConfig]]):
    """All modalities that have tracks, by name; the parameter ``modalities``."""

    model_config = ConfigDict(frozen=True)

    def __getitem__(self, modality: str) -> ModalityConfig:
        return self.root[modality]

    def __contains__(self, modality: object) -> bool:
        return modality in self.root

    @property
    def names(self) -> list[str]:
        """Names in the order of the configuration."""
        return list(self.root)


class Extractors(RootModel[dict[str, dict[str, Any]]]):
    """The settings of every extractor by its name, unknown names and keys refused; the parameter ``extractors``."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _every_entry_is_valid(self) -> Self:
        for name, settings in self.root.items():
            # A text extractor learns from the modality what it reads.
            chosen = {"source": "captions"} if "source" in config_class(name).model_fields else {}
            parse_config(name, settings | chosen)
        return self

    def config(self, modality: ModalityConfig) -> ExtractorConfig:
        """The full configuration of a modality's extractor.

        Raises:
            ValueError: an unknown extractor, or one that can't read the modality's source.
        """
        settings = dict(self.root.get(modality.extractor, {}))
        if modality.source is not None:
            settings["source"] = modality.source
        return parse_config(modality.extractor, settings)

    def configs(self, modalities: Modalities) -> dict[str, ExtractorConfig]:
        """The full configuration of every modality's extractor, by modality."""
        return {name: self.config(modality) for name, modality in modalities.root.items()}

"""Which extractor serves a modality, with which settings, and how far from a row of its track a frame may be."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import ConfigDict, Field, RootModel, field_validator, model_validator

from mgn_ma.configuration import Configuration
from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.extractors.registry import config_class, parse_config
from mgn_ma.modalities import BY_NAME, EXTRACTED


class ModalitySettings(Configuration):
    """One entry of the parameter ``modalities``.

    Attributes:
        extractor: name of an extractor; ``None`` for a modality that is learned.
        settings: of extractors by name, of which the one that is named is used. They stand apart because environments
            merge key by key: one that only names another extractor must not inherit the settings of the first.
        tolerance_us: how far a frame may lie outside of the interval of a row that still serves it.
    """

    extractor: str | None = None
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    tolerance_us: int = Field(default=0, ge=0)


class Modalities(RootModel[dict[str, ModalitySettings]]):
    """The modalities that a run uses, by name; the parameter ``modalities``.

    One of the table that is left out, or ``null``, is absent: it has no tracks, and everything does without it.
    """

    model_config = ConfigDict(frozen=True)

    @field_validator("root", mode="before")
    @classmethod
    def _drop_absent(cls, root: Any) -> Any:
        return {name: entry for name, entry in root.items() if entry is not None} if isinstance(root, Mapping) else root

    @model_validator(mode="after")
    def _every_entry_is_valid(self) -> Self:
        for name, entry in self.root.items():
            if name not in BY_NAME:
                near = get_close_matches(name, BY_NAME, n=1)
                raise ValueError(
                    f"there is no modality {name!r}"
                    + (f"; is {near[0]!r} meant?" if near else f"; there are {', '.join(BY_NAME)}")
                )
            if (entry.extractor is None) != (name not in EXTRACTED):
                has = "is learned and takes no extractor" if entry.extractor else "needs an extractor"
                raise ValueError(f"the modality {name!r} {has}")
            for extractor, settings in entry.settings.items():
                _parse(name, extractor, settings)
            if entry.extractor is not None:
                _require_source(name, self.config(name))
        return self

    def __contains__(self, modality: object) -> bool:
        return modality in self.root

    def config(self, modality: str) -> ExtractorConfig:
        """The full configuration of the extractor that serves a modality.

        Raises:
            KeyError: the modality is absent.
            ValueError: nobody goes by the extractor's name, or its settings are wrong.
        """
        entry = self.root[modality]
        return _parse(modality, str(entry.extractor), entry.settings.get(str(entry.extractor), {}))

    def configs(self) -> dict[str, ExtractorConfig]:
        """The full configuration of every extractor, by modality, in the order of the table."""
        return {name: self.config(name) for name in EXTRACTED if name in self.root}

    def tolerance_us(self, modality: str) -> int:
        """How far from a row a frame may be; 0 for modalities that are not in the parameter, such as an ablation's."""
        return self.root[modality].tolerance_us if modality in self.root else 0


def _parse(modality: str, extractor: str, settings: Mapping[str, Any]) -> ExtractorConfig:
    """Settings of an extractor that serves ``modality``: one that can read several sources gets its modality's."""
    source = {"source": BY_NAME[modality].source} if "source" in config_class(extractor).model_fields else {}
    return parse_config(extractor, {**settings, **source})


def _require_source(modality: str, config: ExtractorConfig) -> None:
    expected, found = BY_NAME[modality].source, config.source
    if found != expected:
        raise ValueError(f"the modality {modality!r} is made from the {expected}, and {config.name} reads the {found}")

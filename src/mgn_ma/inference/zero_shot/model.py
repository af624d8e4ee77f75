"""Similarity to words at rest: which extractors make the moments' vectors, and a direction an expression in each space.

The texts are vectors by now, so whoever predicts needs no encoder of texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mgn_ma.extractors.base import ExtractorConfig
from mgn_ma.files import Folder
from mgn_ma.inference.model import DESCRIPTION, BundleError, ModelDescription, configs_of
from mgn_ma.inference.zero_shot.config import Scaling

if TYPE_CHECKING:
    from mgn_ma.inference.zero_shot.predictor import ZeroShotPredictor

FORMAT: Final = 1
DIRECTIONS = "directions.safetensors"
CAUTION = "not validated: similarity to words, not viewers' faces"


class ZeroShotDescription(ModelDescription):
    """The content of its ``bundle.json``.

    Attributes:
        tolerances_us: by modality, how far a frame may lie from a row that serves it.
        scaling: how similarities become curves.
        neutral: by modality, the prompts that were subtracted; for people.
        prompts: by expression and modality; for people.
    """

    kind: Literal["zero_shot"] = "zero_shot"
    format: Literal[1] = FORMAT
    tolerances_us: dict[str, int]
    scaling: Scaling
    neutral: dict[str, tuple[str, ...]]
    prompts: dict[str, dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class ZeroShot:
    """A model that nobody trained.

    Attributes:
        directions: by modality (C, D) float32, see `mgn_ma.inference.zero_shot.arithmetic.direction`.
    """

    description: ZeroShotDescription
    directions: Mapping[str, npt.NDArray[np.float32]]

    def __post_init__(self) -> None:
        described, n_targets = self.description, len(self.description.targets.names)
        if not set(self.directions) == set(described.extractors) == set(described.tolerances_us):
            raise BundleError(
                f"directions are of {', '.join(self.directions)}, extractors of {', '.join(described.extractors)}"
            )
        for name, of_modality in self.directions.items():
            if of_modality.ndim != 2 or len(of_modality) != n_targets or not np.isfinite(of_modality).all():
                raise BundleError(f"{name}: directions of shape {of_modality.shape} are not {n_targets} finite vectors")

    @property
    def modalities(self) -> tuple[str, ...]:
        """In the order of the extractors."""
        return tuple(self.description.extractors)

    @property
    def widths(self) -> dict[str, int]:
        """Of the shared space of each encoder."""
        return {name: self.directions[name].shape[1] for name in self.modalities}

    @property
    def weights(self) -> tuple[float, ...]:
        """It has no members but itself."""
        return (1.0,)

    @property
    def caution(self) -> str:
        """What a curve of it is not."""
        return CAUTION

    @property
    def method(self) -> str:
        """How its curves come to be."""
        return "similarity to words"

    @property
    def in_words(self) -> str:
        """One sentence on what it is."""
        return f"{self.method.capitalize()}, reading {', '.join(self.modalities)}; {CAUTION}."

    def configs(self) -> dict[str, ExtractorConfig]:
        """The extractors that have to run, by modality; see `configs_of`."""
        return configs_of(self.description.extractors)

    def digest(self) -> str:
        """Hex digest of what it predicts with."""
        found = hashlib.sha256(self.description.model_dump_json(exclude={"format", "scores", "code_version"}).encode())
        for name in self.modalities:
            found.update(np.ascontiguousarray(self.directions[name], dtype="<f4").tobytes())
        return found.hexdigest()

    def predictor(self, device: str = "auto") -> ZeroShotPredictor:
        """The model, ready; it is a few products of vectors, for which no device but the processor pays."""
        from mgn_ma.inference.zero_shot.predictor import ZeroShotPredictor

        return ZeroShotPredictor(self)

    def reacted(
        self, video_id: str, values: npt.NDArray[np.floating[Any]], timestamps_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.floating[Any]]:
        """The curves as they are: nobody has seen viewers react."""
        return values

    def with_code_version(self, code_version: dict[str, str]) -> ZeroShot:
        """The same, made by this code."""
        return replace(self, description=self.description.model_copy(update={"code_version": code_version}))

    def save(self, folder: Folder) -> None:
        """Write it; its description comes last."""
        folder.write(DIRECTIONS, save({name: np.ascontiguousarray(part) for name, part in self.directions.items()}))
        folder.write(DESCRIPTION, self.description.model_dump_json(indent=1).encode())


def load_zero_shot(folder: Folder) -> ZeroShot:
    """Read a model.

    Raises:
        BundleError: there is none, or of a format that this version does not read, or its directions are damaged.
    """
    try:
        description = ZeroShotDescription.model_validate_json(folder.read(DESCRIPTION) or b"")
    except ValueError as error:
        raise BundleError(
            f"{folder.root}/{DESCRIPTION} does not describe a zero-shot model of format {FORMAT}, which this version "
            "reads: make it again"
        ) from error
    try:
        directions = load(folder.read(DIRECTIONS) or b"")
    except (SafetensorError, ValueError, KeyError) as error:
        raise BundleError(f"{folder.root}/{DIRECTIONS} is absent or damaged: make the model again") from error
    return ZeroShot(description, directions)

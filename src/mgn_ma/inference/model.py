"""What everything that predicts new videos has in common: the trained ensemble, and similarity to words.

At rest each is a folder with a ``bundle.json``, whose ``kind`` says what it is; one that says nothing is an ensemble.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.targets import Targets
from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import ExtractorConfig, TrackRows
from mgn_ma.extractors.registry import parse_config
from mgn_ma.files import Folder

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import VideoPrediction

DESCRIPTION = "bundle.json"
ZERO_SHOT = "zero_shot"
"""The ``kind`` of a model that is similarity to words."""


class BundleError(MGNMAError):
    """A model can't be made or read; the message says what does not belong together."""


class ExtractorContract(Configuration):
    """What makes one modality's tracks.

    Attributes:
        settings: the extractor's whole configuration, its name among it.
        fingerprint: of that configuration and its weights, as they were when the model was made.
    """

    settings: dict[str, Any]
    fingerprint: str

    @classmethod
    def of(cls, config: ExtractorConfig) -> ExtractorContract:
        """What has to be known of an extractor elsewhere; the device of this machine is not a part of it.

        Raises:
            WeightsError: its fingerprint depends on weights that are absent.
        """
        settings = config.model_dump(mode="json", exclude=set(config.NOT_IN_FINGERPRINT))
        return cls(settings=settings, fingerprint=config.fingerprint())


class ModelDescription(Configuration):
    """What a model says of itself in its ``bundle.json``.

    Attributes:
        targets: what it predicts.
        extractors: by modality, what its tracks are made by.
        trained_on: what videos and viewers, in words for people; "" where nobody has said.
        scores: what is known of it, for people (validation scores with intervals).
        data_fingerprint: of annotations and videos that it was trained on.
        code_version: of this package, and of the repository where it is known.
    """

    targets: Targets
    extractors: dict[str, ExtractorContract]
    trained_on: str = ""
    scores: dict[str, Any] = Field(default_factory=dict)
    data_fingerprint: str | None = None
    code_version: dict[str, str] = Field(default_factory=dict)


class ModelPredictor(Protocol):
    """A model that is loaded."""

    @property
    def bundle(self) -> Model:
        """What it predicts with."""

    def predict(
        self,
        video_id: str,
        tracks: Mapping[str, TrackRows],
        timestamps_us: npt.NDArray[np.int64],
        *,
        explain: bool = False,
    ) -> VideoPrediction:
        """Predict one video; see `mgn_ma.inference.predictor.Predictor.predict`."""


class Model(Protocol):
    """A model at rest, as prediction, pages, comparison, the registry and serving take it."""

    @property
    def description(self) -> ModelDescription:
        """What it says of itself."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """What it reads, in the order of its contributions."""

    @property
    def widths(self) -> Mapping[str, int]:
        """Lengths of the vectors of the tracks that it reads, by modality."""

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the members that it is a mean of; they sum to 1."""

    @property
    def caution(self) -> str:
        """What everybody who sees its curves has to be told; "" for nothing."""

    @property
    def method(self) -> str:
        """How it comes to its curves, in a word or two."""

    @property
    def in_words(self) -> str:
        """One sentence on what it is."""

    def configs(self) -> dict[str, ExtractorConfig]:
        """The extractors that have to run, by modality."""

    def digest(self) -> str:
        """Hex digest of what it predicts with."""

    def predictor(self, device: str = "auto") -> ModelPredictor:
        """The model, loaded onto a device."""

    def reacted(
        self, video_id: str, values: npt.NDArray[np.floating[Any]], timestamps_us: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.floating[Any]]:
        """Viewers' reaction to a member's curves (F, C)."""

    def with_code_version(self, code_version: dict[str, str]) -> Self:
        """The same, made by this code."""

    def save(self, folder: Folder) -> None:
        """Write it; its description comes last, so that half of one is none."""


def configs_of(extractors: Mapping[str, ExtractorContract]) -> dict[str, ExtractorConfig]:
    """The extractors that have to run, by modality.

    Raises:
        BundleError: this version doesn't know one, or not with these settings.
    """
    configs = {}
    for name, contract in extractors.items():
        try:
            settings = dict(contract.settings)
            configs[name] = parse_config(settings.pop("name"), settings)
        except (ValueError, KeyError) as error:
            raise BundleError(f"{name}: the model's extractor is none of this version: {error}") from error
    return configs


def load_model(folder: Folder) -> Model:
    """Read a model of either kind.

    Raises:
        BundleError: there is none, or one that this version does not read.
        CheckpointError: one of its networks is damaged.
    """
    if _kind(folder.read(DESCRIPTION)) == ZERO_SHOT:
        from mgn_ma.inference.zero_shot.model import load_zero_shot

        return load_zero_shot(folder)
    from mgn_ma.inference.bundle import load_bundle

    return load_bundle(folder)


def _kind(content: bytes | None) -> object:
    """What a description says that it is of; whatever is no description says nothing."""
    try:
        described = json.loads(content or b"{}")
    except ValueError:
        return None
    return described.get("kind") if isinstance(described, dict) else None

"""From the feature tracks of a video to the ensemble's curves and its attention, in memory bounded for any length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, TrackRows
from mgn_ma.extractors.device import resolve_device
from mgn_ma.features.arrow import narrow
from mgn_ma.features.track import TrackError
from mgn_ma.inference.bundle import Bundle
from mgn_ma.modalities import VIDEO
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.gather import AlignedRows
from mgn_ma.training.packed import PackedModality
from mgn_ma.training.predict import Predictions, predict
from mgn_ma.training.video_items import collect_vectors
from mgn_ma.training.video_level import embed

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class TracksMismatchError(MGNMAError):
    """Tracks are not what the model was trained on; the message names both sides."""


@dataclass(frozen=True, slots=True)
class VideoPrediction:
    """What the ensemble says of one video.

    Attributes:
        timestamps_us: (F,) presentation times.
        values: (F, C), eq. 2 in the range and the order of the bundle's targets.
        attention: (F, M), eq. 1's weights averaged over the members, in the order of the bundle's modalities.
    """

    timestamps_us: Times
    values: Floats
    attention: Floats


class Predictor:
    """A loaded ensemble.

    Args:
        bundle: what to predict with.
        device: ``auto``, ``cpu``, ``cuda``, …
        batch_size: frames that go through the networks at once; bounds memory.
    """

    def __init__(self, bundle: Bundle, *, device: str = "auto", batch_size: int = 4096) -> None:
        self.bundle = bundle
        self._device = resolve_device(device)
        self._batch_size = batch_size
        self._members: dict[str, MGNMA] = {
            name: bundle.members[name].build().to(self._device) for name in bundle.description.recipe.members
        }
        self._video_network = bundle.video_network.build_video_level() if bundle.video_network else None

    def predict(self, video_id: str, tracks: Mapping[str, TrackRows], timestamps_us: Times) -> VideoPrediction:
        """Predict one video.

        Args:
            video_id: for messages.
            tracks: by modality; one that the video lacks is left out, and is the zero vector to the members.
            timestamps_us: (F,) ascending presentation times to predict for.

        Raises:
            TracksMismatchError: a track is of another width than the model was trained on, or of values that are not
                finite.
            TrainingError: times that are not on the 6 Hz grid, where a member looks along time.
        """
        stored = {name: _as_stored(video_id, name, rows) for name, rows in tracks.items()}
        vector = self._embedded(video_id, stored)
        if vector is not None:
            stored[VIDEO.name] = vector
        for member in self.bundle.members.values():
            _check_widths(video_id, stored, member.inputs)
        outputs = [self._member(name, stored, timestamps_us) for name in self._members]
        modalities = self.bundle.modalities
        attention = np.zeros((len(timestamps_us), len(modalities)), dtype=np.float32)
        for network, (_, weights) in zip(self._members.values(), outputs, strict=True):
            columns = [modalities.index(name) for name in network.config.modalities]
            attention[:, columns] += weights / len(outputs)
        description = self.bundle.description
        of_members = [of_member for of_member, _ in outputs]
        values = description.recipe.curves(video_id, of_members, timestamps_us, description.targets)
        return VideoPrediction(np.asarray(timestamps_us), values, attention)

    def _embedded(self, video_id: str, tracks: Mapping[str, TrackRows]) -> TrackRows | None:
        """The video-level vector as a track of one row; None for a video that has nothing to make one from."""
        if self._video_network is None or self.bundle.video_network is None:
            return None
        inputs = self.bundle.video_network.inputs
        if not inputs.keys() & tracks.keys():
            return None
        _check_widths(video_id, tracks, inputs)
        settings = self.bundle.description.video_level.model_copy(update={"device": str(self._device)})
        widths = {name: modality.width for name, modality in inputs.items()}
        items = collect_vectors(
            [video_id],
            lambda name, _: tracks[name].vectors if name in tracks else None,
            widths,
            settings.pooled,
            settings.items,
        )
        (vector,) = embed(self._video_network, items, np.array([0]), settings)
        rows = TrackRows(np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US]), vector[None])
        return _as_stored(video_id, VIDEO.name, rows)

    def _member(self, name: str, tracks: Mapping[str, TrackRows], timestamps_us: Times) -> Predictions:
        checkpoint = self.bundle.members[name]
        rows = AlignedRows.from_tracks(tracks, checkpoint.inputs, timestamps_us)
        return predict(
            self._members[name],
            lambda cuts: (rows.gather(cut).to(self._device) for cut in cuts),
            timestamps_us,
            np.array([0, len(timestamps_us)]),
            self.bundle.description.targets,
            precision=checkpoint.precision,
            batch_frames=self._batch_size,
        )


def _as_stored(video_id: str, modality: str, rows: TrackRows) -> TrackRows:
    """Vectors with the precision that training read them with."""
    try:
        return TrackRows(rows.timestamps_us, rows.ends_us, narrow(rows.vectors, "float16"))
    except TrackError as error:
        raise TracksMismatchError(f"video {video_id}: its {modality} track can't be used: {error}") from error


def _check_widths(video_id: str, tracks: Mapping[str, TrackRows], inputs: Mapping[str, PackedModality]) -> None:
    for modality, contract in inputs.items():
        rows = tracks.get(modality)
        if rows is not None and rows.vectors.shape[1] != contract.width:
            raise TracksMismatchError(
                f"video {video_id}: the {modality} track has vectors of {rows.vectors.shape[1]}, the model was trained "
                f"on {contract.width}"
            )

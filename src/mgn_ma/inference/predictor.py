"""From the feature tracks of a video to the ensemble's curves and its attention, in memory bounded for any length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import TrackRows
from mgn_ma.extractors.device import resolve_device
from mgn_ma.features.arrow import narrow
from mgn_ma.features.track import TrackError
from mgn_ma.inference.bundle import Bundle
from mgn_ma.inference.shapley import Game, standard_error
from mgn_ma.modalities import VIDEO
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.gather import AlignedRows
from mgn_ma.training.predict import CoalitionPredictions, Predictions, predict, predict_coalitions
from mgn_ma.training.video_items import collect_vectors
from mgn_ma.training.video_level import embed

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

_Output = TypeVar("_Output", Predictions, CoalitionPredictions)


class TracksMismatchError(MGNMAError):
    """Tracks are not what the model was trained on; the message names both sides."""


@dataclass(frozen=True, slots=True)
class VideoPrediction:
    """What the ensemble says of one video.

    Attributes:
        timestamps_us: (F,) presentation times.
        values: (F, C), eq. 2 in the range and the order of the bundle's targets.
        members: (K, F, C), what each member says by itself, before viewers' reaction, in the order of the recipe.
        attention: (F, M), eq. 1's weights averaged over the members, in the order of the bundle's modalities.
        contributions: (F, M, C), how much each modality raises or lowers a curve here, compared with the whole video;
            they sum over the modalities to the curve less its mean over the video. Empty, (F, 0, C), unless asked for.
        standard_error: the highest of any contribution; 0 where they are exact.
    """

    timestamps_us: Times
    values: Floats
    members: Floats
    attention: Floats
    contributions: Floats
    standard_error: float = 0.0


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

    def predict(
        self, video_id: str, tracks: Mapping[str, TrackRows], timestamps_us: Times, *, explain: bool = False
    ) -> VideoPrediction:
        """Predict one video.

        Args:
            video_id: for messages.
            tracks: by modality; one that the video lacks is left out, and is the zero vector to the members.
            timestamps_us: (F,) ascending presentation times to predict for.
            explain: find the contributions too. Values may differ from those without by rounding.

        Raises:
            TracksMismatchError: a track is of another width than the model was trained on, or of values that are not
                finite.
            TrainingError: times that are not on the 6 Hz grid, where a member looks along time.
        """
        stored = {name: as_stored(video_id, name, rows) for name, rows in tracks.items()}
        vector = self._embedded(video_id, stored)
        if vector is not None:
            stored[VIDEO.name] = vector
        for member in self.bundle.members.values():
            check_widths(video_id, stored, _widths(member))
        if explain:
            return self._explained(video_id, stored, timestamps_us)
        outputs = [self._member(name, stored, timestamps_us, predict) for name in self._members]
        values = self._combined(video_id, outputs, timestamps_us)
        nothing = np.empty((len(timestamps_us), 0, values.shape[1]), dtype=np.float32)
        return VideoPrediction(np.asarray(timestamps_us), values, _values(outputs), self._attention(outputs), nothing)

    def _explained(self, video_id: str, tracks: Mapping[str, TrackRows], timestamps_us: Times) -> VideoPrediction:
        """Shapley values of the game whose coalitions are worth the curve above its mean that they give.

        Its players are the modalities that the video has. Without any there is no reason to leave the mean.
        """
        modalities, recipe = self.bundle.modalities, self.bundle.description.recipe
        players = [name for name in modalities if name in tracks] or list(modalities)
        game = Game.of(len(players))
        outputs = []
        for name, network in self._members.items():
            stay = [
                game.coalitions[:, players.index(read)] if read in players else np.ones(len(game.coalitions), np.bool_)
                for read in network.config.modalities
            ]
            run = partial(predict_coalitions, coalitions=np.stack(stay, axis=1), weights=game.weights)
            outputs.append(self._member(name, tracks, timestamps_us, run))
        gains = recipe.gains(video_id, [output.values for output in outputs], self.bundle.description.targets)
        combined = sum(gain * output.weighted for gain, output in zip(gains, outputs, strict=True))  # (R, P, F, C)
        reacted = np.stack(
            [[recipe.reacted(video_id, curves, timestamps_us) for curves in estimate] for estimate in combined]
        )
        above_mean = reacted - reacted.mean(axis=2, keepdims=True)
        values = self._combined(video_id, outputs, timestamps_us)
        contributions = np.zeros((len(timestamps_us), len(modalities), values.shape[1]), dtype=np.float32)
        columns = [modalities.index(name) for name in players]
        contributions[:, columns] = above_mean.mean(axis=0).swapaxes(0, 1)
        error = float(standard_error(above_mean).max(initial=0.0))
        return VideoPrediction(
            np.asarray(timestamps_us), values, _values(outputs), self._attention(outputs), contributions, error
        )

    def _combined(self, video_id: str, outputs: Sequence[_Output], timestamps_us: Times) -> Floats:
        """The ensemble's curves (F, C)."""
        description = self.bundle.description
        of_members = [output.values for output in outputs]
        return description.recipe.curves(video_id, of_members, timestamps_us, description.targets)

    def _attention(self, outputs: Sequence[_Output]) -> Floats:
        """(F, M), the mean over the members."""
        modalities = self.bundle.modalities
        attention = np.zeros((len(outputs[0].attention), len(modalities)), dtype=np.float32)
        for network, output in zip(self._members.values(), outputs, strict=True):
            columns = [modalities.index(name) for name in network.config.modalities]
            attention[:, columns] += output.attention / len(outputs)
        return attention

    def _embedded(self, video_id: str, tracks: Mapping[str, TrackRows]) -> TrackRows | None:
        """The video-level vector as a track of one row; None for a video that has nothing to make one from."""
        if self._video_network is None or self.bundle.video_network is None:
            return None
        inputs = self.bundle.video_network.inputs
        if not inputs.keys() & tracks.keys():
            return None
        check_widths(video_id, tracks, _widths(self.bundle.video_network))
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
        return as_stored(video_id, VIDEO.name, TrackRows.from_vector(vector))

    def _member(
        self, name: str, tracks: Mapping[str, TrackRows], timestamps_us: Times, run: Callable[..., _Output]
    ) -> _Output:
        checkpoint = self.bundle.members[name]
        rows = AlignedRows.from_tracks(tracks, checkpoint.inputs, timestamps_us)
        return run(
            self._members[name],
            lambda cuts: (rows.gather(cut).to(self._device) for cut in cuts),
            timestamps_us,
            np.array([0, len(timestamps_us)]),
            self.bundle.description.targets,
            precision=checkpoint.precision,
            batch_frames=self._batch_size,
        )


def _values(outputs: Sequence[_Output]) -> Floats:
    return np.stack([output.values for output in outputs])


def as_stored(video_id: str, modality: str, rows: TrackRows) -> TrackRows:
    """Vectors with the precision that they have on disk, and that training read them with.

    Raises:
        TracksMismatchError: they are not finite.
    """
    try:
        return TrackRows(rows.timestamps_us, rows.ends_us, narrow(rows.vectors, "float16"))
    except TrackError as error:
        raise TracksMismatchError(f"video {video_id}: its {modality} track can't be used: {error}") from error


def check_widths(video_id: str, tracks: Mapping[str, TrackRows], widths: Mapping[str, int]) -> None:
    """Refuse vectors of another length than ``widths`` has, by modality.

    Raises:
        TracksMismatchError: the message names the first.
    """
    for modality, width in widths.items():
        rows = tracks.get(modality)
        if rows is not None and rows.vectors.shape[1] != width:
            raise TracksMismatchError(
                f"video {video_id}: the {modality} track has vectors of {rows.vectors.shape[1]}, the model was trained "
                f"on {width}"
            )


def _widths(network: Checkpoint) -> dict[str, int]:
    return {name: read.width for name, read in network.inputs.items()}

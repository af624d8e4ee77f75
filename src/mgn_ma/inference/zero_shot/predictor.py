"""From the feature tracks of a video to curves of similarity, and exactly how much of them each modality makes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import TrackRows
from mgn_ma.features.alignment import locate
from mgn_ma.inference.predictor import Times, VideoPrediction, as_stored, check_widths
from mgn_ma.inference.zero_shot.arithmetic import contributions, followed, scaled, similarities
from mgn_ma.inference.zero_shot.model import ZeroShot


class ZeroShotPredictor:
    """Predicts as the trained ensemble's `mgn_ma.inference.predictor.Predictor` does.

    Attributes:
        bundle: what to predict with.
    """

    def __init__(self, bundle: ZeroShot) -> None:
        self.bundle = bundle

    def predict(
        self, video_id: str, tracks: Mapping[str, TrackRows], timestamps_us: Times, *, explain: bool = False
    ) -> VideoPrediction:
        """Predict one video.

        The contributions are what is summed, so they are exact. The attention is what each modality weighs in the sum:
        the same for all that the video has.

        Args:
            video_id: for messages.
            tracks: by modality; one that the video lacks is left out, and the others are all there is.
            timestamps_us: (F,) ascending presentation times to predict for.
            explain: tell the contributions too.

        Raises:
            TracksMismatchError: a track is of another width than the encoder's, or of values that are not finite.
        """
        names, targets = self.bundle.modalities, self.bundle.description.targets
        check_widths(video_id, tracks, self.bundle.widths)
        present = [name for name in names if name in tracks]
        shape = (len(timestamps_us), len(targets.names))
        parts = np.zeros((len(present), *shape))
        for number, name in enumerate(present):
            parts[number] = self._deviations(name, as_stored(video_id, name, tracks[name]), timestamps_us)
        added = np.zeros((len(names), *shape))
        columns = [names.index(name) for name in present]
        added[columns] = contributions(parts, targets, self.bundle.description.scaling.rms_share)
        middle = (targets.minimum + targets.maximum) / 2
        values = targets.clip((middle + added.sum(axis=0)).astype(np.float32))
        attention = np.zeros((shape[0], len(names)), dtype=np.float32)
        attention[:, columns] = 1 / max(len(present), 1)
        told = added.swapaxes(0, 1).astype(np.float32)
        return VideoPrediction(
            np.asarray(timestamps_us), values, values[None], attention, told if explain else told[:, :0]
        )

    def _deviations(self, modality: str, rows: TrackRows, timestamps_us: Times) -> npt.NDArray[np.float64]:
        """(F, C) of one modality, in units of its own root mean square."""
        described = self.bundle.description
        similar = similarities(rows.vectors, self.bundle.directions[modality])
        serving = locate(rows.timestamps_us, rows.ends_us, timestamps_us, described.tolerances_us[modality])
        deviations = followed(similar, serving, timestamps_us, described.scaling.time_constant_s)
        return scaled(deviations, described.scaling.least_rms)

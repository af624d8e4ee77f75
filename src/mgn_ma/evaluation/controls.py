"""A control that sees nothing of a video: it predicts from the time since its start alone.

What correlates within a video may be a mere habit of viewers (they warm up, they tire). A model that has learned from
what is seen and heard must score higher than the best curve over time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.correlation import frames_to_offsets
from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.errors import EvaluationError

_Floats = npt.NDArray[np.float64]
_ROUNDS = 5
_LEAST_FRAMES = 1e-6
"""Bins that hold less of a frame, smoothed, are gaps; the curve is interpolated there."""


class TimeOnlyConfig(Configuration):
    """How fine and how smooth the curve over time is."""

    bin_seconds: Annotated[float, Field(gt=0)] = 0.5
    smoothing_seconds: Annotated[float, Field(ge=0)] = 2.0
    """Standard deviation of the Gaussian that the bins are smoothed with, each bin weighing as its frames."""


@dataclass(frozen=True, slots=True)
class TimeOnlyBaseline:
    """An expected label for every time since the start of a video.

    Attributes:
        times_us: (N,) centres of the bins that have labels.
        curve: (N, C) float64.
        targets: C, whose range it stays in.
    """

    times_us: npt.NDArray[np.float64]
    curve: _Floats
    targets: Targets

    @classmethod
    def learn(cls, labels: pd.DataFrame, targets: Targets, config: TimeOnlyConfig) -> TimeOnlyBaseline:
        """Learn from the labels (frame table) of the training videos.

        Every video has its own level and all share the curve (fitted in turns): what counts is the course within a
        video, and late times would otherwise show the level of the few long videos. Frames without a face
        are not labels.

        Raises:
            EvaluationError: no row has labels.
        """
        seen = targets.labelled(labels[name].to_numpy() for name in targets.names)
        if not seen.any():
            raise EvaluationError("the time-only baseline can't be learned: no row has labels")
        _, offsets = frames_to_offsets(labels["video_id"][seen])
        bin_us = config.bin_seconds * 1e6
        bins = (labels["timestamp_us"].to_numpy()[seen] // bin_us).astype(np.int64)
        smoothing = config.smoothing_seconds / config.bin_seconds
        counts = _smoothed(np.bincount(bins).astype(np.float64), smoothing)
        known = counts > _LEAST_FRAMES
        curve = np.empty((int(known.sum()), len(targets.names)))
        for column, name in enumerate(targets.names):
            values = labels[name].to_numpy(np.float64)[seen]
            course = np.zeros(len(counts))
            for _ in range(_ROUNDS):
                levels = _video_means(values - course[bins], offsets)
                sums = np.bincount(bins, weights=values - levels, minlength=len(counts)).astype(np.float64)
                course = np.divide(_smoothed(sums, smoothing), counts, out=np.zeros(len(counts)), where=known)
            curve[:, column] = course[known] + (values - course[bins]).mean()
        return cls(bin_us * (np.flatnonzero(known).astype(np.float64) + 0.5), curve, targets)

    def predict(self, timestamps_us: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(F, C) for timestamps (F,); linear between the bins, constant beyond the last one."""
        columns = [np.interp(timestamps_us, self.times_us, course) for course in self.curve.T]
        return self.targets.clip(np.stack(columns, axis=1)).astype(np.float32)


def _smoothed(values: _Floats, bins: float) -> _Floats:
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(values, bins, mode="constant")) if bins > 0 else values


def _video_means(values: _Floats, offsets: npt.NDArray[np.int64]) -> _Floats:
    """(F,) every frame's video's mean."""
    lengths = np.diff(offsets)
    return np.repeat(np.add.reduceat(values, offsets[:-1]) / lengths, lengths)

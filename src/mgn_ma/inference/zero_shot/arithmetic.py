"""From vectors of moments and of prompts to curves, which are sums over the modalities, so that their parts are exact.

Cosines of pictures or sounds with words lie in a narrow band whose place says more of the encoder than of the moment.
So what is like anything at all is subtracted (neutral prompts), then each video's own mean, and a modality counts in
units of how far it moves within the video.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.reaction import average

_Floats = npt.NDArray[np.float64]
_Vectors = npt.NDArray[np.floating[Any]]


def unit(vectors: _Vectors) -> _Floats:
    """Vectors (N, D) of length 1; one of zeros stays."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units: _Floats = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return units


def direction(prompts: _Vectors, neutral: _Vectors) -> _Floats:
    """(D,) whose product with a unit vector is its mean cosine with ``prompts`` (P, D) less that with ``neutral``."""
    return np.asarray(unit(prompts).mean(axis=0) - unit(neutral).mean(axis=0))


def similarities(vectors: _Vectors, directions: _Vectors) -> _Floats:
    """(N, C) of the vectors (N, D) of moments with the directions (C, D)."""
    return unit(vectors) @ directions.astype(np.float64).T


def followed(
    similar: _Floats, rows: npt.NDArray[np.int64], timestamps_us: npt.NDArray[np.int64], time_constant_s: float
) -> _Floats:
    """A modality's similarities (N, C) along a video's frames: smoothed, less their means over the video (F, C).

    Args:
        rows: (F,) row of each frame; -1 where none serves, and there the mean of the others stands in.
        timestamps_us: (F,) ascending.
        time_constant_s: of the exponential average over both sides; 0 averages nothing.
    """
    served = rows >= 0
    if not served.any():
        return np.zeros((len(rows), similar.shape[1]))
    curves = np.where(served[:, None], similar[rows], similar[rows[served]].mean(axis=0))
    smooth = average(curves, timestamps_us, np.full(similar.shape[1], time_constant_s), centred=True)
    return np.asarray(smooth - smooth.mean(axis=0))


def scaled(deviations: _Floats, least_rms: float) -> _Floats:
    """Deviations (F, C) in units of their root mean square over all frames and expressions, ``least_rms`` at least."""
    rms = float(np.sqrt(np.mean(deviations**2))) if deviations.size else 0.0
    return deviations / max(rms, least_rms)


def contributions(parts: _Floats, targets: Targets, rms_share: float) -> _Floats:
    """What each of M modalities adds to the middle of the targets' range, (M, F, C), from scaled deviations alike.

    The sum is their mean, a root mean square of 1 being ``rms_share`` of the range; where a curve would leave the
    range, all of the video's are made smaller, for clipping would bend them.
    """
    means = parts / max(len(parts), 1)
    highest = float(np.abs(means.sum(axis=0)).max(initial=0.0))
    gain = rms_share * targets.span
    return means * (min(gain, targets.span / 2 / highest) if highest > 0 else gain)

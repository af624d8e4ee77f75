"""Moments: where an expression's curve rises clearly over its own level in the video.

EEV's labels, and so a model's curves, differ in level from expression to expression and from video to video; what a
viewer notices is the rise. A moment is therefore measured against the video itself: its level is the median of the
curve, and a rise counts by how many robust standard deviations it stands over that level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.targets import Targets

MAD_TO_SIGMA = 1.4826
"""Ratio of a normal distribution's standard deviation to its median absolute deviation."""


class MomentsConfig(Configuration):
    """When a rise is a moment."""

    smoothing_us: int = Field(default=1_000_000, ge=0)
    """Width of the moving average that a curve is smoothed with before peaks are looked for, in microseconds."""
    min_height_sigmas: float = Field(default=1.5, ge=0)
    """Least height of a peak over the level, and least prominence, in robust standard deviations of the curve."""
    min_height: float = Field(default=0.001, ge=0)
    """Least height of a peak over the level, as a share of the targets' range: a flat curve has no moments, however
    still it is."""
    min_distance_us: int = Field(default=3_000_000, ge=0)
    """Least distance between two peaks of an expression, in microseconds; the higher one stays."""
    per_expression: int = Field(default=3, ge=1)
    """At most so many moments an expression, the highest first."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One rise of one expression.

    Attributes:
        start_us: where the curve crosses half the peak's prominence going up.
        end_us: where it crosses it going down.
        value: the smoothed curve at the peak, in the targets' range.
        level: median of the curve over the video.
        height: value less level.
        height_sigmas: height in robust standard deviations of the curve.
    """

    expression: str
    start_us: int
    peak_us: int
    end_us: int
    value: float
    level: float
    height: float
    height_sigmas: float


def _smoothed(curve: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Centred moving average over ``width`` frames (made odd), shorter at the ends, in one pass."""
    half = width // 2
    if half == 0:
        return curve
    sums = np.concatenate(([0.0], np.cumsum(curve)))
    index = np.arange(len(curve))
    first, last = np.maximum(index - half, 0), np.minimum(index + half + 1, len(curve))
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _spread(curve: npt.NDArray[np.float64], level: float) -> float:
    """Robust standard deviation; the plain one where more than half of the curve is constant."""
    robust = MAD_TO_SIGMA * float(np.median(np.abs(curve - level)))
    return robust if robust > 0 else float(curve.std())


def find_moments(
    timestamps_us: npt.NDArray[np.int64],
    curves: npt.NDArray[np.floating],
    targets: Targets,
    config: MomentsConfig,
) -> list[Moment]:
    """Moments of one video in the order of their peaks.

    Args:
        timestamps_us: (F,) ascending presentation times, evenly spaced.
        curves: (F, C), one column an expression.
        targets: C.

    Raises:
        ValueError: if the shapes do not belong together.
    """
    if curves.shape != (len(timestamps_us), len(targets.names)):
        raise ValueError(
            f"curves of shape {curves.shape} for {len(timestamps_us)} frames of {len(targets.names)} expressions"
        )
    if len(timestamps_us) < 3:
        return []
    step_us = float(np.median(np.diff(timestamps_us)))
    found = [
        moment
        for curve, expression in zip(curves.T.astype(np.float64), targets.names, strict=True)
        for moment in _moments_of(timestamps_us, curve, expression, step_us, config, config.min_height * targets.span)
    ]
    return sorted(found, key=lambda moment: (moment.peak_us, moment.expression))


def _moments_of(
    timestamps_us: npt.NDArray[np.int64],
    curve: npt.NDArray[np.float64],
    expression: str,
    step_us: float,
    config: MomentsConfig,
    min_height: float,
) -> list[Moment]:
    from scipy.signal import find_peaks, peak_widths

    smooth = _smoothed(curve, round(config.smoothing_us / step_us))
    level = float(np.median(smooth))
    sigma = _spread(smooth, level)
    least = max(min_height, config.min_height_sigmas * sigma)
    # The level closes the curve at both ends, so that a rise that the video's start or end cuts is a peak too.
    closed = np.concatenate(([min(level, smooth.min())], smooth, [min(level, smooth.min())]))
    peaks, _ = find_peaks(
        closed, height=level + least, prominence=least, distance=max(1, round(config.min_distance_us / step_us))
    )
    if not len(peaks):
        return []
    _, _, left, right = peak_widths(closed, peaks, rel_height=0.5)
    order = np.argsort(-closed[peaks], kind="stable")[: config.per_expression]
    frames = np.arange(len(timestamps_us), dtype=np.float64)
    return [
        Moment(
            expression=expression,
            start_us=int(np.interp(left[k] - 1, frames, timestamps_us)),
            peak_us=int(timestamps_us[peaks[k] - 1]),
            end_us=int(np.interp(right[k] - 1, frames, timestamps_us)) + 1,
            value=float(closed[peaks[k]]),
            level=level,
            height=float(closed[peaks[k]] - level),
            height_sigmas=float((closed[peaks[k]] - level) / sigma),
        )
        for k in order
    ]

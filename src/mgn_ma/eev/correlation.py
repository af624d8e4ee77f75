"""The challenge's score: Pearson correlation per expression within each video, then averaged (section 3.1, eq. 4).

Videos are ragged and are given as one (F, C) matrix with offsets, so that nothing is padded. Each frame is read once:
the raw moments of a video's C series are taken together in float64, and the few series whose variance is small beside
their mean, where raw moments lose digits, are done again about their mean. Constant series are told apart exactly and
not by a tolerance, and nothing is added to a denominator: labels may be as small as 1e-6.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.errors import FrameTableError

ConstantPolicy = Literal["left_out", "zeros"]
"""What a series with a constant truth counts: nothing at all, or a correlation of 0."""

_FRACTION_OF_VARIANCE = 1e-4
"""Below this share of variance in the second moment, raw moments would cost more than about 1e-12 of accuracy."""

_FOLD = 16
"""Frames that are added up side by side."""

_VALUES_WORTH_A_THREAD = 1 << 20
"""A million values take milliseconds; starting a thread for fewer costs more than it saves."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CorrelationTable:
    """Correlation of every expression (C) within every video (V), and which of them have no definition.

    Attributes:
        r: (V, C) float64; NaN where the pair is left out of every average.
        constant_truth: (V, C) bool, the truth never changes within the video (one frame is such a case).
        constant_prediction: (V, C) bool, the prediction never changes within the video.
        n_frames: (V,) int64.
    """

    r: _Floats
    constant_truth: npt.NDArray[np.bool_]
    constant_prediction: npt.NDArray[np.bool_]
    n_frames: npt.NDArray[np.int64]

    def undefined(self) -> dict[str, int]:
        """Counts of (video, expression) pairs that eq. 4 does not define, by cause, and of videos of one frame."""
        return {
            "pairs": self.r.size,
            "constant_truth": int(self.constant_truth.sum()),
            "constant_prediction": int((self.constant_prediction & ~self.constant_truth).sum()),
            "single_frame_videos": int((self.n_frames == 1).sum()),
            "videos_left_out": int(np.isnan(self.r).all(axis=1).sum()),
        }


def video_correlations(
    predictions: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.floating[Any]],
    offsets: npt.NDArray[np.integer[Any]],
    *,
    constant: ConstantPolicy = "left_out",
) -> CorrelationTable:
    """Correlate predictions with labels within every video (eq. 4), all expressions at once.

    Where the truth is constant the pair is left out (NaN), or counts 0 under ``constant="zeros"``. Where the prediction
    is constant and the truth is not, it counts 0. Rows of all-zero labels are rows like any other.

    Args:
        predictions: (F, C), any float type; computed in float64.
        labels: (F, C).
        offsets: (V + 1,) first row of every video, then F.

    Raises:
        ValueError: shapes or offsets don't belong together, or a value is not finite.
    """
    _check(predictions, labels, offsets)
    bounds: list[int] = offsets.tolist()
    n_frames = np.diff(offsets).astype(np.int64)
    moments = _raw_moments(predictions, labels, bounds)
    r, well_conditioned = _from_moments(moments, n_frames[:, None])
    constant_prediction = np.zeros_like(well_conditioned)
    constant_truth = np.zeros_like(well_conditioned)
    for video in np.flatnonzero(~well_conditioned.all(axis=1)).tolist():
        again = np.flatnonzero(~well_conditioned[video])
        rows = slice(bounds[video], bounds[video + 1])
        x, x_constant = _centred(predictions[rows, again], "prediction", video)
        y, y_constant = _centred(labels[rows, again], "label", video)
        constant_prediction[video, again] = x_constant
        constant_truth[video, again] = y_constant
        r[video, again] = np.vecdot(x, y)
    np.clip(r, -1.0, 1.0, out=r)
    r[constant_prediction] = 0.0
    r[constant_truth] = np.nan if constant == "left_out" else 0.0
    return CorrelationTable(r, constant_truth, constant_prediction, n_frames)


def mean_of_defined(values: _Floats, axis: int) -> _Floats:
    """Mean along ``axis`` over what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=axis) / defined.sum(axis=axis))


def video_scores(table: CorrelationTable) -> _Floats:
    """(V,) mean over the expressions of each video; NaN for a video whose every pair is left out."""
    return mean_of_defined(table.r, axis=1)


def expression_scores(table: CorrelationTable) -> _Floats:
    """(C,) mean over videos of each expression; NaN for an expression that no video defines."""
    return mean_of_defined(table.r, axis=0)


def challenge_score(table: CorrelationTable) -> float:
    """Mean over the expressions within a video, then over videos (section 3.1); NaN if nothing is defined."""
    return float(mean_of_defined(video_scores(table), axis=0))


def frames_to_offsets(
    video_ids: Sequence[str] | pd.Series | npt.NDArray[Any],
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The videos of a frame table in their order, and (V + 1,) where the block of each starts, then the row count.

    Raises:
        FrameTableError: the rows of a video are not one contiguous block.
    """
    codes, ids = pd.factorize(pd.Series(video_ids), use_na_sentinel=False)
    changes = np.flatnonzero(np.diff(codes)) + 1
    # Codes count up in order of appearance, so that a video that comes again is a step back.
    again = changes[codes[changes] < codes[changes - 1]]
    if len(again):
        row = int(again[0])
        raise FrameTableError(f"the rows of video {ids[codes[row]]!r} are not one block: it comes again at row {row}")
    starts = np.r_[0, changes, len(codes)] if len(codes) else np.zeros(1)
    return [str(video_id) for video_id in ids], starts.astype(np.int64)


def _check(
    predictions: npt.NDArray[np.floating[Any]],
    labels: npt.NDArray[np.floating[Any]],
    offsets: npt.NDArray[np.integer[Any]],
) -> None:
    if predictions.ndim != 2 or predictions.shape != labels.shape:
        raise ValueError(
            f"predictions {predictions.shape} and labels {labels.shape} must both be (frames, expressions)"
        )
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(labels) or np.any(np.diff(offsets) <= 0):
        raise ValueError(f"offsets must rise from 0 to the {len(labels)} frames, a video having at least one")


def _raw_moments(
    predictions: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.floating[Any]], bounds: list[int]
) -> _Floats:
    """(5, V, C) sums of x, y, xy, xx and yy, in the way that is fast for the layout of the tables."""
    by_frame = predictions.flags.c_contiguous and labels.flags.c_contiguous
    add_up = _moments_by_frame if by_frame else _moments_by_series
    n_series = predictions.shape[1]
    longest = max((stop - start for start, stop in pairwise(bounds)), default=0)
    moments = np.empty((5, len(bounds) - 1, n_series))

    def add_up_videos(first: int, last: int) -> None:
        workspace = np.empty((2, (longest + _FOLD) * n_series))
        for video in range(first, last):
            start, stop = bounds[video : video + 2]
            add_up(predictions[start:stop], labels[start:stop], workspace, moments[:, video])

    # NumPy lets go of the interpreter while it adds. A video is one thread's alone: the sums are those of one thread.
    n_threads = min(os.cpu_count() or 1, 1 + predictions.size // _VALUES_WORTH_A_THREAD)
    if n_threads == 1:
        add_up_videos(0, len(bounds) - 1)
        return moments
    cuts = np.searchsorted(bounds, np.linspace(0, bounds[-1], n_threads + 1)).tolist()
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(add_up_videos, cuts[:-1], cuts[1:]))
    return moments


def _moments_by_series(
    predictions: npt.NDArray[Any], labels: npt.NDArray[Any], workspace: _Floats, moments: _Floats
) -> None:
    """For columns of a table: each series is a row (C, n) of its own."""
    x, y = (flat[: predictions.size].reshape(predictions.T.shape) for flat in workspace)
    x[...] = predictions.T
    y[...] = labels.T
    np.add.reduce(x, axis=1, out=moments[0])
    np.add.reduce(y, axis=1, out=moments[1])
    np.vecdot(x, y, out=moments[2])
    np.vecdot(x, x, out=moments[3])
    np.vecdot(y, y, out=moments[4])


def _moments_by_frame(
    predictions: npt.NDArray[Any], labels: npt.NDArray[Any], workspace: _Floats, moments: _Floats
) -> None:
    """For frames that lie one after the other: several to a line, so that what is added at once is long."""
    n_frames, n_series = predictions.shape
    n_lines = -(-n_frames // _FOLD)
    both = workspace[:, : n_lines * _FOLD * n_series].reshape(2, n_lines, _FOLD * n_series)
    frames = both.reshape(2, -1, n_series)
    frames[0, :n_frames], frames[1, :n_frames] = predictions, labels
    frames[:, n_frames:] = 0.0
    sums = np.empty((5, _FOLD * n_series))
    np.add.reduce(both, axis=1, out=sums[:2])
    np.einsum("lf,lf->f", both[0], both[1], out=sums[2])
    np.einsum("klf,klf->kf", both, both, out=sums[3:])
    np.add.reduce(sums.reshape(5, _FOLD, n_series), axis=1, out=moments)


def _from_moments(moments: _Floats, n_frames: npt.NDArray[np.int64]) -> tuple[_Floats, npt.NDArray[np.bool_]]:
    """Eq. 4 from raw moments, and where they are trustworthy (also false for anything not finite)."""
    sum_x, sum_y, sum_xy, sum_xx, sum_yy = moments
    with np.errstate(all="ignore"):
        var_x = sum_xx - sum_x * sum_x / n_frames
        var_y = sum_yy - sum_y * sum_y / n_frames
        r = (sum_xy - sum_x * sum_y / n_frames) / np.sqrt(var_x) / np.sqrt(var_y)
        normal = np.finfo(np.float64).tiny / np.finfo(np.float64).eps
        trusted = (var_x > _FRACTION_OF_VARIANCE * sum_xx) & (var_y > _FRACTION_OF_VARIANCE * sum_yy)
        return r, trusted & (var_x > normal) & (var_y > normal) & np.isfinite(r)


def _centred(series: npt.NDArray[np.floating[Any]], what: str, video: int) -> tuple[_Floats, npt.NDArray[np.bool_]]:
    """Series (n, K) as rows (K, n) of zero mean and unit length, and which of them are constant (those are zeros)."""
    rows = np.ascontiguousarray(series.T, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise ValueError(f"a {what} of video number {video} is not finite")
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    is_constant = low == high
    # About the lowest value and in units of the range, nothing can over- or underflow, however small the series is.
    span = np.where(is_constant, 1.0, high - low)
    rows = (rows - low) / span
    rows -= rows.mean(axis=1, keepdims=True)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.sqrt(np.vecdot(rows, rows))[:, None]
    return rows / np.where(is_constant, 1.0, length), is_constant[:, 0]

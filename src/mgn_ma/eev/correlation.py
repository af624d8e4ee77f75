"""The challenge's score: Pearson correlation per expression within each video, then averaged (section 3.1, eq. 4).

Videos are ragged and are given as one (F, C) matrix with offsets, so that nothing is padded. The C series of a video
are taken together in float64. Constant series are told apart exactly and not by a tolerance, and nothing
is added to a denominator: labels may be as small as 1e-6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.errors import FrameTableError

ConstantPolicy = Literal["left_out", "zeros"]
"""What a series with a constant truth counts: nothing at all, or a correlation of 0."""

_LARGE = 1e70
"""The squares of two such numbers, and of their inverses, have products that are numbers; larger ones are scaled."""

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
    if predictions.ndim != 2 or predictions.shape != labels.shape:
        raise ValueError(
            f"predictions {predictions.shape} and labels {labels.shape} must both be (frames, expressions)"
        )
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(labels) or np.any(np.diff(offsets) <= 0):
        raise ValueError(f"offsets must rise from 0 to the {len(labels)} frames, a video having at least one")
    n_frames = np.diff(offsets).astype(np.int64)
    shape = len(n_frames), predictions.shape[1]
    spans, moments = np.empty((2, *shape)), np.empty((5, *shape))
    # From the first value of a series, constants are exact zeros, and little cancels in its variance.
    with np.errstate(over="ignore", invalid="ignore"):  # where spans are large: those are done again
        for video, (start, stop) in enumerate(pairwise(offsets.tolist())):
            x, y = _from_first(predictions[start:stop]), _from_first(labels[start:stop])
            spans[:, video], moments[:, video] = (_spans(x), _spans(y)), _moments(x, y)
    for span, what in zip(spans, ("prediction", "label"), strict=True):
        if not np.isfinite(span).all():
            raise ValueError(f"a {what} of video {np.flatnonzero(~np.isfinite(span).all(axis=1))[0]} is not finite")
    scales = np.where(spans > 0, spans, 1.0)
    for odd in np.flatnonzero(((scales > _LARGE) | (scales < 1 / _LARGE)).any(axis=(0, 2))):
        rows = slice(offsets[odd], offsets[odd + 1])
        scale_x, scale_y = scales[:, odd, :, None]
        moments[:, odd] = _moments(_from_first(predictions[rows]) / scale_x, _from_first(labels[rows]) / scale_y)
    sum_x, sum_y, squares_x, squares_y, products = moments
    n = n_frames[:, None]
    constant_prediction, constant_truth = spans == 0
    with np.errstate(invalid="ignore"):  # 0/0 where one is constant
        r = (products - sum_x * sum_y / n) / np.sqrt((squares_x - sum_x**2 / n) * (squares_y - sum_y**2 / n))
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


def challenge_score(table: CorrelationTable) -> float:
    """The challenge's score of a table; NaN if nothing is defined."""
    return score_of(table.r)


def score_of(r: _Floats) -> float:
    """Mean of ``r`` (V, C) over expressions within a video, then over videos (section 3.1); NaN if none is defined."""
    return float(mean_of_defined(mean_of_defined(r, axis=1), axis=0))


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


def _from_first(series: npt.NDArray[np.floating[Any]]) -> _Floats:
    """Series (n, C) as rows (C, n) of differences from their first values."""
    return np.asarray(np.subtract(series.T, series[0, :, None], dtype=np.float64, order="C"))


def _spans(rows: _Floats) -> _Floats:
    """(C,) how far rows (C, n) are from 0 at most; NaN or infinite where a value is."""
    return np.asarray(np.maximum(rows.max(axis=1), -rows.min(axis=1)))


def _moments(x: _Floats, y: _Floats) -> tuple[_Floats, ...]:
    """(C,) sums of two sets of rows (C, n), of their squares and of their products."""
    return x.sum(axis=1), y.sum(axis=1), np.vecdot(x, x), np.vecdot(y, y), np.vecdot(x, y)

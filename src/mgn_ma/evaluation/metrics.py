"""Scores by video, expression and theme, and what correlation does not see: calibration and dispersion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.correlation import ConstantPolicy, mean_of_defined, video_correlations, video_scores
from mgn_ma.eev.frames import expression_matrix, expression_names

_Matrix = npt.NDArray[np.floating[Any]]
_Floats = npt.NDArray[np.float64]

SCORE_COLUMNS = (
    "split",
    "predictor",
    "video_id",
    "theme",
    "n_frames",
    "score",
    "constant_truth",
    "constant_prediction",
)
"""Of a score table, a row for each predictor and video, before its expressions' columns; those hold r.

The two counts are of expressions."""


def score_rows(
    predictions: _Matrix,
    labels: _Matrix,
    video_ids: list[str],
    offsets: npt.NDArray[np.int64],
    expressions: Sequence[str],
    *,
    split: str,
    predictor: str,
    constant: ConstantPolicy = "left_out",
    themes: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Score table of one predictor; ``theme`` is missing where it isn't known.

    Predictions and labels are (F, C), offsets (V + 1,), of V videos and C expressions.
    """
    table = video_correlations(predictions, labels, offsets, constant=constant)
    rows = pd.DataFrame(table.r, columns=list(expressions))
    columns = {
        "split": split,
        "predictor": predictor,
        "video_id": video_ids,
        "theme": pd.Series([(themes or {}).get(video_id) for video_id in video_ids], dtype="str"),
        "n_frames": table.n_frames,
        "score": video_scores(table),
        "constant_truth": table.constant_truth.sum(axis=1),
        "constant_prediction": (table.constant_prediction & ~table.constant_truth).sum(axis=1),
    }
    for position, (name, column) in enumerate(columns.items()):
        rows.insert(position, name, column)
    return rows


def expression_means(rows: pd.DataFrame) -> dict[str, float]:
    """Mean r of each expression over the videos of one predictor's rows."""
    names = expression_names(rows)
    means = mean_of_defined(expression_matrix(rows, names).astype(np.float64), axis=0)
    return dict(zip(names, means.tolist(), strict=True))


def undefined(rows: pd.DataFrame) -> dict[str, int]:
    """What eq. 4 does not define for one predictor: counts of (video, expression) pairs by cause, and of videos."""
    return {
        "pairs": len(rows) * len(expression_names(rows)),
        "constant_truth": int(rows["constant_truth"].sum()),
        "constant_prediction": int(rows["constant_prediction"].sum()),
        "single_frame_videos": int((rows["n_frames"] == 1).sum()),
        "videos_left_out": int(rows["score"].isna().sum()),
    }


def calibration_table(predictions: _Matrix, labels: _Matrix, expressions: Sequence[str], n_bins: int) -> pd.DataFrame:
    """What labels a prediction stands for: predictions (F, C) in bins of about equally many frames.

    Equal predictions share a bin, so an expression may have fewer bins than asked for.

    Returns:
        ``expression``, ``bin``, ``n_frames``, ``mean_prediction``, ``mean_label``.
    """
    tables = []
    for column, expression in enumerate(expressions):
        x, y = predictions[:, column].astype(np.float64), labels[:, column].astype(np.float64)
        edges = np.unique(np.quantile(x, np.arange(1, n_bins) / n_bins))
        bins = np.searchsorted(edges, x, side="right")
        counts = np.bincount(bins)
        filled = np.flatnonzero(counts)
        n_frames = counts[filled]
        tables.append(
            pd.DataFrame(
                {
                    "expression": expression,
                    "bin": np.arange(len(filled)),
                    "n_frames": n_frames,
                    "mean_prediction": np.bincount(bins, weights=x)[filled] / n_frames,
                    "mean_label": np.bincount(bins, weights=y)[filled] / n_frames,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def calibration_errors(table: pd.DataFrame) -> pd.DataFrame:
    """By expression: ``bias`` (mean prediction less mean label) and ``calibration_error`` (mean absolute gap)."""
    gap = table["mean_prediction"] - table["mean_label"]
    share = table["n_frames"] / table.groupby("expression")["n_frames"].transform("sum")
    weighted = pd.DataFrame({"bias": gap * share, "calibration_error": gap.abs() * share})
    return weighted.groupby(table["expression"]).sum().reindex(table["expression"].unique())


def dispersion(
    predictions: _Matrix, labels: _Matrix, expressions: Sequence[str], offsets: npt.NDArray[np.int64]
) -> pd.DataFrame:
    """By expression, how far predictions spread as a share of how far labels do (1: alike; 0: always the same).

    Returns:
        ``within_videos``: ratio of the pooled standard deviations about each video's mean;
        ``between_videos``: ratio of the standard deviations of the videos' means. NaN where labels don't spread.
    """
    (within_x, between_x), (within_y, between_y) = (_spread(values, offsets) for values in (predictions, labels))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {
            "within_videos": np.where(within_y > 0, within_x / within_y, np.nan),
            "between_videos": np.where(between_y > 0, between_x / between_y, np.nan),
        }
    return pd.DataFrame(ratios, index=pd.Index(list(expressions), name="expression"))


def _spread(values: _Matrix, offsets: npt.NDArray[np.int64]) -> tuple[_Floats, _Floats]:
    """Standard deviations (C,) within and between videos."""
    exact = values.astype(np.float64)
    lengths = np.diff(offsets)
    means = np.add.reduceat(exact, offsets[:-1], axis=0) / lengths[:, None]
    exact -= np.repeat(means, lengths, axis=0)
    return np.sqrt(np.mean(exact * exact, axis=0)), means.std(axis=0)

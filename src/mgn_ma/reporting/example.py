"""One video of a validation split for the figures that show a single one: which, and its frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mgn_ma.configuration import Configuration
from mgn_ma.eev.correlation import frames_to_offsets, video_correlations, video_scores
from mgn_ma.eev.frames import expression_matrix, expression_names, locate_frames
from mgn_ma.reporting.errors import FigureError


class ReportingConfig(Configuration):
    """Settings of the figures.

    Attributes:
        video_id: the validation video whose curves and attention are drawn; ``None`` takes the one whose score is the
            median, or the first by ID where no video has a score.
    """

    video_id: str | None = None


@dataclass(frozen=True, slots=True)
class ExampleVideo:
    """The video that a figure shows.

    Attributes:
        correlation: its own score, the mean over its expressions (eq. 4); ``None`` where its labels never change.
        rank: its place among the scored videos, 1 the best; ``None`` without a score.
        of_videos: how many videos have a score.
    """

    video_id: str
    correlation: float | None
    rank: int | None
    of_videos: int


def choose_video(predictions: pd.DataFrame, labels: pd.DataFrame, video_id: str | None = None) -> ExampleVideo:
    """``video_id``, or without one the video whose score is the median: neither the best nor the worst case.

    Where no video has a score, as of labels that never change within one, it is the first by ID.

    Args:
        predictions: frame table.
        labels: frame table of the validation videos; only videos that both tables have can be chosen.

    Raises:
        FigureError: there is no such video.
    """
    rows = locate_frames(labels, predictions)
    labels = labels[rows >= 0]
    if labels.empty:
        raise FigureError("no validation video has predictions")
    ids, offsets = frames_to_offsets(labels["video_id"].to_numpy())
    names = expression_names(predictions)
    matrix = expression_matrix(predictions, names)[rows[rows >= 0]]
    table = video_correlations(matrix, expression_matrix(labels, names), offsets)
    scores = dict(zip(ids, video_scores(table), strict=True))
    ranking = sorted((i for i in scores if np.isfinite(scores[i])), key=lambda i: (-scores[i], i))
    if video_id is None:
        video_id = ranking[(len(ranking) - 1) // 2] if ranking else min(scores)
    if video_id not in scores:
        some = ", ".join(list(scores)[:5])
        raise FigureError(
            f"reporting.video_id: {video_id!r} is no validation video with predictions (some are: {some})"
        )
    if video_id not in ranking:
        return ExampleVideo(str(video_id), None, None, len(ranking))
    return ExampleVideo(str(video_id), float(scores[video_id]), ranking.index(video_id) + 1, len(ranking))


def frames_of(table: pd.DataFrame, video_id: str) -> pd.DataFrame:
    """The rows of one video in the order of time."""
    return table[table["video_id"] == video_id].sort_values("timestamp_us")

"""Nodes that score the members; what the numbers mean is in docs/evaluation.md."""

from typing import Any

import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.controls import TimeOnlyBaseline
from mgn_ma.evaluation.predictions import SplitPredictions
from mgn_ma.evaluation.report import json_values, split_report
from mgn_ma.evaluation.scoring import EvaluationConfig, score_split
from mgn_ma.features.settings import Modalities
from mgn_ma.training.current import require_current, require_predicted_from
from mgn_ma.training.packed import PackedSplit


def score_members(
    member_predictions: pd.DataFrame,
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    truth_validation: pd.DataFrame | None,
    truth_test: pd.DataFrame | None,
    truth_test_labels: pd.DataFrame | None,
    truth_videos: pd.DataFrame | None,
    targets: Targets,
    evaluation: EvaluationConfig,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
    *splits: PackedSplit,
) -> pd.DataFrame:
    """Score table of every predictor on validation, on the hold-out, and on test where the test labels are known.

    Raises:
        TrainingError: the predictions are not of the ``splits`` that are packed, or those not of today's data.
    """
    require_current(splits, data_fingerprint, modalities)
    require_predicted_from(member_predictions, splits)
    baseline = TimeOnlyBaseline.learn(labels_train, targets, evaluation.time_only)
    known = {
        "validation": (labels_validation, truth_validation),
        "holdout": (labels_holdout, truth_validation),
        "test": (truth_test_labels, truth_test),
    }
    tables = [
        score_split(
            SplitPredictions.from_table(member_predictions, split),
            labels,
            split=split,
            baseline=baseline,
            noise_free=noise_free,
            themes=video_themes(truth_videos),
            config=evaluation,
        )
        for split, (labels, noise_free) in known.items()
        if labels is not None and (member_predictions["split"] == split).any()
    ]
    return pd.concat(tables, ignore_index=True)


def report_members(video_scores: pd.DataFrame, evaluation: EvaluationConfig) -> dict[str, Any]:
    """Each split's scores with their bootstrap intervals over videos."""
    report = {
        str(split): split_report(rows, evaluation.bootstrap)
        for split, rows in video_scores.groupby("split", sort=False)
    }
    return json_values(report)


def video_themes(truth_videos: pd.DataFrame | None) -> dict[str, str] | None:
    """Theme of every video, where the data come with their truth."""
    if truth_videos is None:
        return None
    return dict(zip(truth_videos["video_id"], truth_videos["theme"], strict=True))

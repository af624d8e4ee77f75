"""Nodes that score the members; what the numbers mean is in docs/evaluation.md."""

from typing import Any

import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.controls import TimeOnlyBaseline
from mgn_ma.evaluation.errors import EvaluationError
from mgn_ma.evaluation.predictions import SplitPredictions
from mgn_ma.evaluation.report import json_values, split_report
from mgn_ma.evaluation.scoring import EvaluationConfig, score_split
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.settings import Modalities
from mgn_ma.features.store import TrackStore
from mgn_ma.inference.zero_shot.config import ZeroShotSettings, read_config
from mgn_ma.training.current import require_current, require_predicted_from
from mgn_ma.training.packed import PackedSplit


def predict_zero_shot(
    zero_shot: ZeroShotSettings,
    evaluation: EvaluationConfig,
    targets: Targets,
    execution: ExecutionConfig,
    manifest: pd.DataFrame,
    tracks_folder: str,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    truth_test_labels: pd.DataFrame | None,
) -> pd.DataFrame:
    """What the model without training says of the annotated videos that it can be scored on; else no row.

    Its tracks go to a store as they are made, so that they are made once.

    Raises:
        EvaluationError: its prompts are for other targets.
        WeightsError: its encoders are absent, and nobody has agreed to fetch them.
    """
    if not evaluation.zero_shot:
        return pd.DataFrame({"split": []})
    from mgn_ma.inference.labelled import predict_labelled
    from mgn_ma.inference.zero_shot.making import make_configured

    prompted = tuple(read_config(zero_shot.prompts).prompts)
    if prompted != targets.names:
        raise EvaluationError(
            f"evaluation.zero_shot: the prompts are for {', '.join(prompted)}, and the targets are "
            f"{', '.join(targets.names)}: name a file of prompts for these, in this order, by zero_shot.prompts"
        )
    labels = {"validation": labels_validation, "holdout": labels_holdout}
    labels |= {} if truth_test_labels is None else {"test": truth_test_labels}
    known = {split: table for split, table in labels.items() if len(table)}
    return predict_labelled(make_configured(zero_shot), known, manifest, TrackStore(tracks_folder), execution)


def score_members(
    member_predictions: pd.DataFrame,
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    labels_holdout: pd.DataFrame,
    truth_validation: pd.DataFrame | None,
    truth_test: pd.DataFrame | None,
    truth_test_labels: pd.DataFrame | None,
    truth_videos: pd.DataFrame | None,
    zero_shot_predictions: pd.DataFrame,
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
            zero_shot=rows if len(rows := zero_shot_predictions[zero_shot_predictions["split"] == split]) else None,
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

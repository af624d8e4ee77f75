"""Scores every predictor of a split side by side: members, the controls and the oracle."""

from __future__ import annotations

from typing import Annotated

import pandas as pd
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.correlation import ConstantPolicy
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.controls import TimeOnlyBaseline, TimeOnlyConfig
from mgn_ma.evaluation.metrics import score_rows
from mgn_ma.evaluation.predictions import SHUFFLED, PredictionError, SplitPredictions

ORACLE = "oracle"
TIME_ONLY = "time_only"
ZERO_SHOT = "zero_shot"
"""Similarity to words, which has learned from no viewer."""
ENSEMBLE = "ensemble"
"""The one that predicts; with alternatives, each is scored besides as `ensemble_of` its name."""


def ensemble_of(name: str) -> str:
    """The predictor that is one of several ensembles."""
    return f"{ENSEMBLE} {name}"


class EvaluationConfig(Configuration):
    """How predictions are scored."""

    constant: ConstantPolicy = "left_out"
    """What an expression counts in a video where its truth never changes: nothing, or 0."""
    bootstrap: BootstrapConfig = BootstrapConfig()
    time_only: TimeOnlyConfig = TimeOnlyConfig()
    calibration_bins: Annotated[int, Field(ge=2)] = 10
    zero_shot: bool = False
    """Score the model that needs no training (the parameter ``zero_shot``) as one more row."""


def score_split(
    predictions: SplitPredictions,
    labels: pd.DataFrame,
    *,
    split: str,
    baseline: TimeOnlyBaseline,
    noise_free: pd.DataFrame | None = None,
    zero_shot: pd.DataFrame | None = None,
    themes: dict[str, str] | None = None,
    config: EvaluationConfig,
) -> pd.DataFrame:
    """Score table (``metrics.SCORE_COLUMNS``) of the oracle, the time-only baseline, the control and the members.

    Args:
        labels: frame table that has the frames of the predictions.
        baseline: learned on other videos.
        noise_free: frame table of the labels without their noise, the best that any model could say.
        zero_shot: frame table of what the model without training says.
        themes: video ID -> theme.

    Raises:
        PredictionError: the members predict other targets than the baseline.
    """
    if predictions.expressions != baseline.targets.names:
        raise PredictionError(
            f"the members predict {', '.join(predictions.expressions)}, and the targets are "
            f"{', '.join(baseline.targets.names)}: train again"
        )
    predictors = {}
    if noise_free is not None:
        predictors[ORACLE] = predictions.labels(noise_free)
    predictors[TIME_ONLY] = baseline.predict(predictions.frames["timestamp_us"].to_numpy())
    if zero_shot is not None:
        predictors[ZERO_SHOT] = predictions.labels(zero_shot)
    if predictions.control is not None:
        predictors[SHUFFLED] = predictions.control
    truth = predictions.labels(labels)
    tables = [
        score_rows(
            values,
            truth,
            predictions.video_ids,
            predictions.offsets,
            predictions.expressions,
            split=split,
            predictor=name,
            constant=config.constant,
            themes=themes,
        )
        for name, values in (predictors | predictions.members).items()
    ]
    return pd.concat(tables, ignore_index=True)

"""Nodes that report: all scores as one report, and tables as figures; how each is drawn stands in mgn_ma.reporting."""

from dataclasses import asdict
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.report import comparisons, counts, json_values, split_report
from mgn_ma.evaluation.scoring import ENSEMBLE, EvaluationConfig
from mgn_ma.reporting.attention import attention_figure
from mgn_ma.reporting.curves import curves_figure
from mgn_ma.reporting.example import ExampleVideo, ReportingConfig, choose_video
from mgn_ma.reporting.figures_page import figures_page


def report_evaluation(
    video_scores: pd.DataFrame,
    ensemble_scores: pd.DataFrame,
    ensemble_recipe: dict[str, Any],
    ensembling_methods: dict[str, Any],
    ensembling_reactions: dict[str, Any],
    calibration_by_expression: pd.DataFrame,
    evaluation: EvaluationConfig,
) -> dict[str, Any]:
    """All that is known of how well this run predicts."""
    scores = pd.concat([video_scores, ensemble_scores], ignore_index=True)
    of_split = {str(split): rows for split, rows in scores.groupby("split", sort=False)}
    validation = of_split["validation"]
    found = {
        "validation": split_report(validation, evaluation.bootstrap),
        **counts(validation, ENSEMBLE),
        "comparisons": comparisons(validation, evaluation.bootstrap),
        "ensemble": ensemble_recipe["ensemble"],
        "method": ensemble_recipe["method"],
        "members_fingerprint": ensemble_recipe["members_fingerprint"],
        "methods": ensembling_methods,
        "reactions": ensembling_reactions,
        "calibration": calibration_by_expression.set_index("expression").to_dict("index"),
    }
    for split in ("holdout", "test"):
        rows = of_split.get(split)
        found[split] = None if rows is None else split_report(rows, evaluation.bootstrap) | counts(rows, ENSEMBLE)
    return json_values(found)


def choose_example_video(predictions: pd.DataFrame, labels: pd.DataFrame, reporting: ReportingConfig) -> dict[str, Any]:
    """The validation video that the figures of a single video show."""
    return asdict(choose_video(predictions, labels, reporting.video_id))


def draw_curves(
    predictions: pd.DataFrame, labels: pd.DataFrame, example_video: dict[str, Any], targets: Targets
) -> go.Figure:
    """The predicted and true curves of the example video."""
    return curves_figure(predictions, labels, ExampleVideo(**example_video), targets)


def draw_attention(attention: pd.DataFrame, example_video: dict[str, Any]) -> go.Figure:
    """Modal attention over the example video."""
    return attention_figure(attention, example_video["video_id"])


def draw_page(
    expression_correlation: go.Figure,
    curves: go.Figure,
    attention: go.Figure,
    learning_curves: go.Figure,
    video_level_curves: go.Figure,
) -> str:
    """All figures on one page, for a browser without Kedro-Viz and without a network."""
    figures = {
        "expression_correlation": expression_correlation,
        "curves": curves,
        "attention": attention,
        "learning_curves": learning_curves,
        "video_level_curves": video_level_curves,
    }
    return figures_page(figures, "MGN-MA: figures of one run")

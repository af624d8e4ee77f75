"""Nodes that turn tables into figures; how each is drawn stands in mgn_ma.reporting."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mgn_ma.eev.targets import Targets
from mgn_ma.reporting.attention import attention_figure
from mgn_ma.reporting.config import ReportingConfig
from mgn_ma.reporting.curves import curves_figure
from mgn_ma.reporting.example import ExampleVideo, choose_video
from mgn_ma.reporting.figures_page import figures_page


def choose_example_video(
    predictions: pd.DataFrame, labels: pd.DataFrame, reporting: ReportingConfig
) -> dict[str, str | float | int | None]:
    """The validation video that the figures of a single video show."""
    return choose_video(predictions, labels, reporting.video_id).to_report()


def draw_curves(
    predictions: pd.DataFrame, labels: pd.DataFrame, example_video: dict[str, Any], targets: Targets
) -> go.Figure:
    """The predicted and true curves of the example video."""
    return curves_figure(predictions, labels, ExampleVideo.from_report(example_video), targets)


def draw_attention(attention: pd.DataFrame, example_video: dict[str, Any]) -> go.Figure:
    """Modal attention over the example video."""
    return attention_figure(attention, example_video["video_id"])


def draw_page(
    expression_correlation: go.Figure, curves: go.Figure, attention: go.Figure, learning_curves: go.Figure
) -> str:
    """All figures on one page, for a browser without Kedro-Viz and without a network."""
    figures = {
        "expression_correlation": expression_correlation,
        "curves": curves,
        "attention": attention,
        "learning_curves": learning_curves,
    }
    return figures_page(figures, "MGN-MA: figures of one run")

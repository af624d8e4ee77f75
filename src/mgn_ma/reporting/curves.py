"""What viewers felt and what was predicted, for one video: the paper's figure 1 as small panels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mgn_ma.eev.correlation import video_correlations
from mgn_ma.eev.frames import expression_matrix, locate_frames
from mgn_ma.eev.targets import Targets
from mgn_ma.reporting.errors import FigureError
from mgn_ma.reporting.example import ExampleVideo, frames_of
from mgn_ma.reporting.style import FAINT, PREDICTED, TEMPLATE, titled

COLUMNS = 3


def curves_figure(predictions: pd.DataFrame, labels: pd.DataFrame, video: ExampleVideo, targets: Targets) -> go.Figure:
    """A panel an expression: labels as a grey area, predictions as a blue line, their correlation in its title.

    Panels share the time and have a height of their own each, since correlation asks for shape, not for size.

    Predictions and labels are frame tables.

    Raises:
        FigureError: the two tables share no frame of the video.
    """
    truth = frames_of(labels, video.video_id)
    rows = locate_frames(truth, predictions)
    truth, predicted = truth[rows >= 0], predictions.iloc[rows[rows >= 0]]
    if truth.empty:
        raise FigureError(f"video {video.video_id!r} has no frame with both a label and a prediction")
    ours, theirs = (expression_matrix(some, targets.names) for some in (predicted, truth))
    table = video_correlations(ours, theirs, np.array([0, len(truth)]))
    titles = [_panel_title(name, r) for name, r in zip(targets.names, table.r[0], strict=True)]
    n_rows = -(-len(targets.names) // COLUMNS)
    figure = make_subplots(
        rows=n_rows,
        cols=COLUMNS,
        shared_xaxes="all",
        subplot_titles=titles,
        vertical_spacing=0.07,
        horizontal_spacing=0.06,
    )
    time = truth["timestamp_us"].to_numpy() / 1e6
    for index, name in enumerate(targets.names):
        at = {"row": index // COLUMNS + 1, "col": index % COLUMNS + 1}
        _add_curves(figure, time, truth[name], predicted[name], first=index == 0, at=at)
    score = "no score: its labels never change"
    if video.correlation is not None:
        score = f"mean correlation {video.correlation:.2f}, rank {video.rank} of {video.of_videos} validation videos"
    figure.update_layout(
        template=TEMPLATE,
        height=200 + 180 * n_rows,
        title=titled(f"Labels and predictions over video {video.video_id}", score),
        # Panels have titles of their own in the same margin.
        margin={"t": 100},
    )
    figure.update_annotations(font_size=13)
    figure.update_yaxes(rangemode="tozero" if targets.minimum == 0 else "normal", nticks=4)
    figure.update_yaxes(title=f"value ({targets.minimum:g}..{targets.maximum:g})", col=1)
    figure.update_xaxes(showticklabels=True)
    figure.update_xaxes(title="time (s)", row=n_rows)
    return figure


def _panel_title(name: str, r: float) -> str:
    return f"{name}  (labels never change)" if np.isnan(r) else f"{name}  r = {r:.2f}"


def _add_curves(
    figure: go.Figure, time: object, truth: pd.Series, predicted: pd.Series, *, first: bool, at: dict[str, int]
) -> None:
    area = {"line": {"color": FAINT, "width": 1}, "fill": "tozeroy", "fillcolor": "rgba(138,146,155,0.3)"}
    line = {"line": {"color": PREDICTED, "width": 2}}
    for name, values, look in (("labels", truth, area), ("ensemble", predicted, line)):
        figure.add_scatter(
            x=time,
            y=values,
            name=name,
            legendgroup=name,
            showlegend=first,
            mode="lines",
            hovertemplate="%{x:.1f} s: %{y:.3f}",
            **look,
            **at,
        )

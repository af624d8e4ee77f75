"""How networks learned: loss on what they were trained on and correlation on validation videos, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mgn_ma.evaluation.predictions import SHUFFLED
from mgn_ma.reporting.errors import FigureError
from mgn_ma.reporting.style import FAINT, TEMPLATE, colour, dash, escaped, titled

LOSS = "train_loss"
SCORE = "validation_correlation"
COLUMNS = ("member", "epoch", LOSS, SCORE)


def learning_curves_figure(curves: pd.DataFrame) -> go.Figure:
    """How the members learned.

    The control that learned from shuffled labels is a dotted grey line, without a star: it is not chosen by its score.

    Args:
        curves: one row a member and epoch, with ``member``, ``epoch``, ``train_loss``, ``validation_correlation``.

    Raises:
        FigureError: a column is missing, or there is no row.
    """
    if curves.empty:
        raise FigureError("no learning curves can be drawn: no row")
    return _figure(curves, "Learning curves", "members", "validation correlation (eq. 4)")


def video_level_curves_figure(curves: pd.DataFrame) -> go.Figure:
    """How the video-level networks learned; an empty figure where none was trained.

    Args:
        curves: as of `learning_curves_figure`; here the correlation is over videos.

    Raises:
        FigureError: a column is missing.
    """
    title = "Learning curves of the video-level networks"
    return _figure(curves, title, "networks", "correlation over validation videos")


def _figure(curves: pd.DataFrame, title: str, what: str, score: str) -> go.Figure:
    """One line a network in two panels over one axis of epochs; a star marks a network's best epoch on validation."""
    missing = [column for column in COLUMNS if column not in curves]
    if missing:
        raise FigureError(f"no learning curves can be drawn: columns {missing} are missing")
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.45, 0.55])
    by_member = dict(list(curves.groupby("member", sort=False)))
    control = by_member.pop(SHUFFLED, None)
    for index, (member, rows) in enumerate(by_member.items()):
        line = {"color": colour(index), "dash": dash(index), "width": 2}
        _add_member(figure, escaped(member), rows.sort_values("epoch"), line)
        _add_star(figure, escaped(member), rows, colour(index))
    if control is not None:
        line = {"color": FAINT, "dash": "dot", "width": 2}
        _add_member(figure, "shuffled (control)", control.sort_values("epoch"), line)
    # The star's meaning stands in the legend once.
    figure.add_scatter(
        x=[None], y=[None], mode="markers", name="best epoch", marker={"symbol": "star", "size": 12, "color": FAINT}
    )
    figure.update_layout(
        template=TEMPLATE,
        height=620,
        title=titled(title, f"{len(by_member)} {what}; star: best epoch on the validation videos"),
    )
    figure.update_yaxes(title="training loss (eq. 3)", row=1, col=1)
    figure.update_yaxes(title=score, row=2, col=1)
    figure.update_xaxes(title="epoch", row=2, col=1)
    return figure


def _add_member(figure: go.Figure, name: str, rows: pd.DataFrame, line: dict[str, Any]) -> None:
    hover = "%{fullData.name}, epoch %{x}: %{y:.4f}<extra></extra>"
    for row, column in ((1, LOSS), (2, SCORE)):
        figure.add_scatter(
            x=rows["epoch"],
            y=rows[column],
            mode="lines" if len(rows) > 1 else "markers",
            name=name,
            legendgroup=name,
            showlegend=row == 1,
            line=line,
            hovertemplate=hover,
            row=row,
            col=1,
        )


def _add_star(figure: go.Figure, name: str, rows: pd.DataFrame, fill: str) -> None:
    if rows[SCORE].isna().all():
        return
    best = rows.iloc[int(np.nanargmax(rows[SCORE].to_numpy(dtype=float)))]
    figure.add_scatter(
        x=[best["epoch"]],
        y=[best[SCORE]],
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=False,
        marker={"symbol": "star", "size": 14, "color": fill, "line": {"color": FAINT, "width": 1}},
        hovertemplate="%{fullData.name}, best: %{y:.4f} at epoch %{x}<extra></extra>",
        row=2,
        col=1,
    )

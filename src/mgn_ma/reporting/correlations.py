"""How well each expression is predicted: members, their ensemble with its interval, and what could be reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from mgn_ma.reporting.style import ACCENT, FAINT, PREDICTED, TEMPLATE, interval_bars, titled


def expression_correlation_figure(evaluation: Mapping[str, Any]) -> go.Figure:
    """A row an expression, the best on top, with a marker each for members, ensemble and oracle.

    Args:
        evaluation: the report's ``validation`` part has ``ensemble`` (the mean over videos and expressions) and
            ``expressions``: by expression ``ensemble``, ``interval`` (low, high), ``members``, ``oracle`` and
            ``time_only``, each of which may be missing or null.
    """
    validation = evaluation["validation"]
    rows: Mapping[str, Mapping[str, Any]] = validation["expressions"]
    order = sorted(rows, key=lambda name: (rows[name].get("ensemble") is not None, rows[name].get("ensemble") or 0.0))
    figure = go.Figure()
    members = [(score, name) for name in order for score in rows[name].get("members") or [] if score is not None]
    if members:
        _add_points(figure, "members", members, {"symbol": "line-ns-open", "size": 11, "color": FAINT})
    for key, title, marker in (
        ("time_only", "time only", {"symbol": "x", "size": 8, "color": ACCENT}),
        ("oracle", "oracle", {"symbol": "diamond-open", "size": 11, "color": FAINT}),
    ):
        points = [(rows[name][key], name) for name in order if rows[name].get(key) is not None]
        if points:
            _add_points(figure, title, points, marker)
    _add_ensemble(figure, rows, order)
    figure.add_vline(x=0, line={"color": FAINT, "width": 1})
    score = validation.get("ensemble")
    figure.update_layout(
        template=TEMPLATE,
        height=640,
        title=titled(
            "Correlation per expression",
            "validation videos; bars: 95 % of bootstraps over videos"
            + (f"; ensemble {score:.3f} over all expressions" if score is not None else ""),
        ),
    )
    figure.update_xaxes(title="mean correlation within a video (eq. 4)")
    figure.update_yaxes(title="", type="category", categoryorder="array", categoryarray=order, automargin=True)
    return figure


def _add_points(figure: go.Figure, name: str, points: list[tuple[float, str]], marker: dict[str, Any]) -> None:
    figure.add_scatter(
        x=[score for score, _ in points],
        y=[expression for _, expression in points],
        name=name,
        mode="markers",
        marker=marker,
        hovertemplate="%{y}, %{fullData.name}: %{x:.3f}<extra></extra>",
    )


def _add_ensemble(figure: go.Figure, rows: Mapping[str, Mapping[str, Any]], order: list[str]) -> None:
    shown = [name for name in order if rows[name].get("ensemble") is not None]
    scores = [rows[name]["ensemble"] for name in shown]
    intervals = [rows[name].get("interval") or (math.nan, math.nan) for name in shown]
    figure.add_scatter(
        x=scores,
        y=shown,
        name="ensemble, 95 %",
        mode="markers",
        marker={"symbol": "circle", "size": 11, "color": PREDICTED},
        error_x=interval_bars([low for low, _ in intervals], scores, [high for _, high in intervals], PREDICTED),
        hovertemplate="%{y}, ensemble: %{x:.3f}<extra></extra>",
    )

"""The ablation's tables for readers: as a figure with the paper's column beside ours, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mgn_ma.reporting.errors import FigureError
from mgn_ma.reporting.style import ACCENT, FAINT, PREDICTED, TEMPLATE, colour, escaped, interval_bars, titled

_ROW_PIXELS = 30
_TABLE_PIXELS = 70
_SPLITS = (
    ("validation", PREDICTED, "circle"),
    ("holdout", colour(3), "square"),
    ("test", ACCENT, "diamond"),
)


def ablation_figure(tables: pd.DataFrame) -> go.Figure:
    """A panel a table, a line a row: our means over seeds with their intervals, and, beside it, the paper's numbers.

    The two have an axis each: the paper's are scores on EEV, ours are of whatever data was trained on.

    Args:
        tables: all tables one below the other (`mgn_ma.evaluation.ablation.tables.TABLE_COLUMNS`).

    Raises:
        FigureError: there is no row.
    """
    if tables.empty:
        raise FigureError("no ablation can be drawn: its tables have no row")
    groups = {str(name): rows for name, rows in tables.groupby("table", sort=False)}
    has_paper = [bool(rows["paper_eev_test"].notna().any()) for rows in groups.values()]
    heights = [len(rows) * _ROW_PIXELS + _TABLE_PIXELS for rows in groups.values()]
    figure = make_subplots(
        rows=len(groups),
        cols=2,
        column_widths=[0.62, 0.38],
        row_heights=heights,
        horizontal_spacing=0.04,
        vertical_spacing=_TABLE_PIXELS / sum(heights) if len(groups) > 1 else 0.0,
        specs=[[{}, {} if has else None] for has in has_paper],
        subplot_titles=[title for name, has in zip(groups, has_paper, strict=True) for title in _titles(name, has)],
    )
    for line, rows in enumerate(groups.values(), start=1):
        _add_ours(figure, rows, line)
        if has_paper[line - 1]:
            _add_paper(figure, rows, line)
    seeds = int(tables["seeds"].max())
    figure.update_layout(
        template=TEMPLATE,
        height=sum(heights) + 150,
        title=titled("Ablation", f"mean over {seeds} seeds; bars: 95 % interval over seeds (Student's t)"),
        margin={"t": 110},
        legend={"orientation": "h", "y": -60 / sum(heights), "yanchor": "top"},
    )
    figure.update_annotations(font_size=13)
    figure.update_xaxes(title="mean correlation within a video (eq. 4)", row=len(groups), col=1)
    return figure


def _titles(table: str, has_paper: bool) -> Iterator[str]:
    yield escaped(table.replace("_", " "))
    if has_paper:
        yield "the paper, on EEV's test set"


def _labels(rows: pd.DataFrame) -> list[str]:
    return [escaped(row) for row in rows["row"]]


def _add_ours(figure: go.Figure, rows: pd.DataFrame, line: int) -> None:
    labels = _labels(rows)
    for split, fill, symbol in _SPLITS:
        means = rows[split]
        if means.notna().any():
            figure.add_scatter(
                x=means,
                y=labels,
                name=split,
                legendgroup=split,
                showlegend=line == 1,
                mode="markers",
                marker={"symbol": symbol, "size": 10, "color": fill},
                error_x=interval_bars(rows[f"{split}_low"], means, rows[f"{split}_high"], fill),
                hovertemplate="%{y}, %{fullData.name}: %{x:.4f}<extra></extra>",
                row=line,
                col=1,
            )
    order = {"categoryorder": "array", "categoryarray": labels[::-1], "automargin": True}
    figure.update_yaxes(type="category", range=[-0.7, len(labels) - 0.3], **order, row=line, col=1)


def _add_paper(figure: go.Figure, rows: pd.DataFrame, line: int) -> None:
    labels = _labels(rows)
    figure.add_scatter(
        x=rows["paper_eev_test"],
        y=labels,
        name="paper, EEV test",
        showlegend=line == 1,
        legendgroup="paper",
        mode="markers",
        marker={"symbol": "square-open", "size": 10, "color": FAINT},
        hovertemplate="%{y}, paper: %{x:.5f}<extra></extra>",
        row=line,
        col=2,
    )
    order = {"categoryorder": "array", "categoryarray": labels[::-1], "showticklabels": False}
    figure.update_yaxes(type="category", range=[-0.7, len(labels) - 0.3], **order, row=line, col=2)


def ablation_markdown(tables: pd.DataFrame) -> str:
    """All tables as Markdown: scores with their intervals over seeds, steps with theirs over videos."""
    parts = [_markdown_table(str(name), rows) for name, rows in tables.groupby("table", sort=False)]
    return "\n".join(parts)


def _markdown_table(name: str, rows: pd.DataFrame) -> str:
    splits = [split for split, _, _ in _SPLITS if rows[split].notna().any()]
    names = dict(zip(rows["variant"], rows["row"], strict=True))
    head = ["", "paper (EEV test)", *splits, "over", "paper's step", *(f"step, {split}" for split in splits)]
    lines = [head, ["---"] * len(head)]
    for _, row in rows.iterrows():
        over = "" if pd.isna(row["over"]) else names.get(row["over"], row["over"])
        lines.append(
            [
                row["row"],
                _number(row["paper_eev_test"], ".5f"),
                *(_with_interval(row, split, ".3f") for split in splits),
                over,
                _number(row["paper_step"], "+.5f"),
                *(_with_interval(row, f"{split}_step", "+.3f") for split in splits),
            ]
        )
    body = "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
    return f"### {_cell(name.replace('_', ' '))}\n\n{body}\n"


def _with_interval(row: pd.Series, column: str, form: str) -> str:
    mean, low, high = (row[f"{column}{suffix}"] for suffix in ("", "_low", "_high"))
    shown = _number(mean, form)
    return shown if math.isnan(low) or math.isnan(high) else f"{shown} ({low:{form}} to {high:{form}})"


def _number(value: float | None, form: str) -> str:
    return "" if value is None or pd.isna(value) else f"{value:{form}}"


def _cell(text: object) -> str:
    """Text that neither ends its cell nor its line."""
    return " ".join(str(text).replace("|", "\\|").split())

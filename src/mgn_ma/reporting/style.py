"""The look that all figures share: colours that colour-blind readers tell apart, one template, text kept as text."""

from __future__ import annotations

import html
import unicodedata

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Okabe and Ito's colours without black, ordered so that neighbours differ in lightness too."""
INK = "#1b1f24"
FAINT = "#858c94"
"""A grey that can be seen on white and on Kedro-Viz's dark page."""
GRID = "rgba(128,136,144,0.25)"
PREDICTED = PALETTE[0]
ACCENT = PALETTE[5]
_LONGEST_TEXT = 120

_AXIS = {
    "gridcolor": GRID,
    "linecolor": FAINT,
    "zerolinecolor": FAINT,
    "ticks": "outside",
    "tickcolor": GRID,
    "title": {"font": {"size": 13}, "standoff": 8},
}
TEMPLATE = go.layout.Template(
    layout={
        "colorway": list(PALETTE),
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        # Without a y the title stands in the middle of whatever top margin a page gives it; Kedro-Viz gives its own,
        # and for the same reason the legend stands beside the panels and not between them and the title.
        "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 17}},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "margin": {"l": 70, "r": 30, "t": 80, "b": 60},
        "hoverlabel": {"align": "left"},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


def colour(index: int) -> str:
    """The ``index``-th colour, starting again after the last."""
    return PALETTE[index % len(PALETTE)]


def dash(index: int) -> str:
    """A line's dash for the ``index``-th of many: it changes when the colours start again."""
    return ("solid", "dash", "dot", "dashdot")[index // len(PALETTE) % 4]


def escaped(text: object) -> str:
    """``text`` to stand in a figure as it is: plotly reads a subset of HTML in titles, names and labels.

    Control and direction-changing characters go, and what is longer than 120 characters is cut.
    """
    shown = "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else " " for c in str(text))
    return html.escape(shown if len(shown) <= _LONGEST_TEXT else shown[: _LONGEST_TEXT - 1] + "…", quote=False)


def interval_bars(low: npt.ArrayLike, middle: npt.ArrayLike, high: npt.ArrayLike, colour: str) -> dict[str, object]:
    """Bars over N intervals, for a trace's ``error_x``; where one is NaN or ``None``, the point stands alone."""
    low, middle, high = (np.asarray(values, dtype=np.float64) for values in (low, middle, high))
    above, below = np.nan_to_num(high - middle), np.nan_to_num(middle - low)
    lengths = {"array": above.tolist(), "arrayminus": below.tolist()}
    return {"type": "data", "symmetric": False, **lengths, "color": colour, "thickness": 1.5, "width": 4}


def titled(title: str, subtitle: str) -> str:
    """A title with a smaller line under it; both are escaped."""
    return f"{escaped(title)}<br><sup>{escaped(subtitle)}</sup>"

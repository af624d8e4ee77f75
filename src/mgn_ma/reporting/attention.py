"""Which modality the model listened to, when: the weights of eq. 1 over one video."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from mgn_ma.evaluation.predictions import SHUFFLED
from mgn_ma.reporting.errors import FigureError
from mgn_ma.reporting.example import frames_of
from mgn_ma.reporting.style import TEMPLATE, colour, escaped, titled

NOT_WEIGHTS = ("member", "split", "video_id", "timestamp_us")


def attention_figure(attention: pd.DataFrame, video_id: str) -> go.Figure:
    """A stacked area of the modalities' shares over time, the mean over members; absent modalities are named only.

    Args:
        attention: ``member``, ``video_id``, ``timestamp_us`` and one column a modality: shares that sum to 1 over the
            modalities that are present; NaN where a member does not read one.

    Raises:
        FigureError: the table has no frame of the video.
    """
    rows = frames_of(attention[attention["member"] != SHUFFLED], video_id)
    if rows.empty:
        raise FigureError(f"video {video_id!r} has no attention weights")
    names = [column for column in attention.columns if column not in NOT_WEIGHTS]
    # A member that does not read a modality gives it no share; without that the means would not sum to 1.
    shares = rows[names].fillna(0).groupby(rows["timestamp_us"]).mean()
    heard = shares.max() > 0
    figure = go.Figure()
    for index, name in enumerate(names):
        if heard[name]:
            figure.add_scatter(
                x=shares.index.to_numpy() / 1e6,
                y=100 * shares[name],
                name=escaped(name),
                mode="lines",
                line={"width": 0.5, "color": colour(index)},
                stackgroup="modalities",
                hovertemplate="%{fullData.name}: %{y:.0f} %<extra></extra>",
            )
    absent = [name for name in names if not heard[name]]
    members = f"weights of eq. 1, mean of {rows['member'].nunique()} members"
    figure.update_layout(
        template=TEMPLATE,
        height=460,
        hovermode="x unified",
        title=titled(
            f"Modal attention over video {video_id}",
            members + (f"; this video has no {', no '.join(absent)}" if absent else ""),
        ),
        legend={"traceorder": "reversed"},
    )
    figure.update_xaxes(title="time (s)")
    figure.update_yaxes(title="share of attention (%)", range=[0, 100])
    return figure

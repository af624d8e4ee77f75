"""Predictions as other tools want them: a row a second, and moments as chapters."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import groupby, zip_longest

import pandas as pd

from mgn_ma.inference.moments import Moment
from mgn_ma.media.subtitles import webvtt_time


def per_second(curves: pd.DataFrame) -> pd.DataFrame:
    """The mean of each curve over each whole second of its video: ``video_id``, ``second`` and a column an expression.

    Args:
        curves: frame table.
    """
    seconds = (curves["timestamp_us"] // 1_000_000).rename("second")
    means = curves.drop(columns="timestamp_us").groupby(["video_id", seconds], sort=False).mean()
    return means.reset_index()


def chapters(moments: Sequence[Moment]) -> str:
    """WebVTT chapters: one from where moments begin to where the first of them ends, or the next chapter begins."""
    starting = groupby(sorted(moments, key=_begins_ms), key=_begins_ms)
    found = [(begins_ms, list(of_start)) for begins_ms, of_start in starting]
    lines = ["WEBVTT", ""]
    for (begins_ms, of_start), following in zip_longest(found, found[1:]):
        ends_ms = max(min(moment.end_us for moment in of_start) // 1000, begins_ms + 1)
        ends_ms = ends_ms if following is None else min(ends_ms, following[0])
        names = html.escape(", ".join(dict.fromkeys(moment.expression for moment in of_start)), quote=False)
        lines += [f"{webvtt_time(begins_ms * 1000)} --> {webvtt_time(ends_ms * 1000)}", names, ""]
    return "\n".join(lines)


def _begins_ms(moment: Moment) -> int:
    return moment.start_us // 1000

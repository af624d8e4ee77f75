"""Predictions as other tools want them: a row a second, and moments as chapters and as an editor's markers."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from importlib.util import find_spec
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


_SLOWEST_HZ = 23.976
"""The lowest rate that has a timecode."""


def markers(moments: Sequence[Moment], name: str, address: str, duration_us: int, fps: float) -> dict[str, str]:
    """Moments as markers on a time line that holds the video, as OpenTimelineIO's own format and as CMX 3600's.

    Times are in frames of the rate with a timecode that is nearest to the video's: 25 for a phone's 24.9. A moment goes
    from the frame that its start is in to the one that its end is in, and has its peak in the comment.

    Args:
        moments: in order.
        name: what the time line and its clip are called.
        address: of the video, for the program that opens the time line.
        duration_us: of the video in microseconds.
        fps: frames a second of the video; 0.0 where unknown.

    Returns:
        The content of the file by its suffix; nothing where the extra ``editing`` is not installed.
    """
    if not all(map(find_spec, ("opentimelineio", "otio_cmx3600_adapter"))):
        return {}
    import opentimelineio as otio
    from opentimelineio.opentime import RationalTime, TimeRange

    rate = RationalTime.nearest_smpte_timecode_rate(max(fps or 25.0, _SLOWEST_HZ))

    def frames(time_us: int) -> RationalTime:
        return RationalTime(math.floor(time_us * rate / 1e6), rate)

    whole = TimeRange(frames(0), RationalTime(math.ceil(duration_us * rate / 1e6), rate))
    clip = otio.schema.Clip(name, otio.schema.ExternalReference(address, whole), whole)
    for moment in moments:
        start = frames(moment.start_us)
        clip.markers.append(
            otio.schema.Marker(
                name=moment.expression,
                marked_range=TimeRange(start, frames(moment.end_us) - start + RationalTime(1, rate)),
                comment=f"+{moment.height:.3g} at {webvtt_time(moment.peak_us)}",
            )
        )
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video, children=[clip])
    timeline = otio.schema.Timeline(name, global_start_time=frames(0))
    timeline.tracks.append(track)
    return {
        ".otio": otio.adapters.write_to_string(timeline, "otio_json"),
        ".edl": otio.adapters.write_to_string(timeline, "cmx_3600"),
    }


def _begins_ms(moment: Moment) -> int:
    return moment.start_us // 1000

"""Exports, read back by others' readers."""

from itertools import pairwise

import numpy as np
import opentimelineio as otio
import pandas as pd
import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.grid import grid_time
from mgn_ma.inference.moments import Moment
from mgn_ma.reporting.exports import chapters, markers, per_second


def moment(expression, start_us, end_us):
    return Moment(expression, start_us, (start_us + end_us) // 2, end_us, 0.5, 0.1, 0.4, 3.0)


def test_a_second_is_the_mean_of_its_frames():
    curves = pd.DataFrame(
        {
            "video_id": ["b"] * 9 + ["a"] * 6,
            "timestamp_us": [*grid_time(np.arange(9)), *grid_time(np.arange(6))],
            "awe": [*range(9), *[1.0] * 6],
        }
    )
    seconds = per_second(curves)
    assert seconds.to_dict("list") == {"video_id": ["b", "b", "a"], "second": [0, 1, 0], "awe": [2.5, 7.0, 1.0]}
    assert list(per_second(curves.head(0))) == ["video_id", "second", "awe"]


def test_chapters_by_hand():
    text = chapters(
        [moment("awe", 1_000_000, 9_000_000), moment("a<b", 4_000_500, 6_000_000), moment("pain", 0, 500_000)]
    )
    assert text == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\npain\n\n00:00:01.000 --> 00:00:04.000\nawe\n\n"
        "00:00:04.000 --> 00:00:06.000\na&lt;b\n"
    )


@given(st.lists(st.tuples(st.sampled_from(["awe", "pain"]), st.integers(0, 9_999_999), st.integers(1, 9_999_999))))
def test_chapters_follow_one_another_and_name_every_moment(drawn):
    moments = [moment(name, start, start + length) for name, start, length in drawn]
    read = pysubs2.SSAFile.from_string(chapters(moments), format_="vtt")
    assert all(one.start < one.end for one in read)
    assert all(one.end <= other.start for one, other in pairwise(read))
    for each in moments:
        assert any(cue.start == each.start_us // 1000 and each.expression in cue.text for cue in read)


def test_a_marker_tells_its_height_and_peak():
    files = markers([moment("awe", 60_000_000, 63_000_000)], "film", "file:///film.mp4", 70_000_000, 25.0)
    (clip,) = otio.adapters.read_from_string(files[".otio"], "otio_json").find_clips()
    assert clip.markers[0].comment == "+0.4 at 00:01:01.500"


RATES = [24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0]


@given(
    st.lists(st.tuples(st.sampled_from(["awe", "a<b>"]), st.integers(0, 9_999_999_999), st.integers(1, 9_999_999))),
    st.sampled_from(RATES),
)
def test_markers_read_back_are_the_moments_to_the_frame(drawn, fps):
    moments = [moment(name, start, start + length) for name, start, length in drawn]
    files = markers(moments, "film", "file:///film.mp4", 10_009_999_999, fps)
    timeline = otio.adapters.read_from_string(files[".otio"], "otio_json")
    (clip,) = timeline.find_clips()
    assert clip.media_reference.target_url == "file:///film.mp4"
    assert clip.duration().to_seconds() == pytest.approx(10_009.999999, abs=1 / fps)
    assert [marker.name for marker in clip.markers] == [name for name, _, _ in drawn]
    for marker, (_, start_us, length_us) in zip(clip.markers, drawn, strict=True):
        first, after = marker.marked_range.start_time, marker.marked_range.end_time_exclusive()
        assert first.rate == after.rate == pytest.approx(fps)
        assert first.value <= start_us * fps / 1e6 + 1e-6 and start_us * fps / 1e6 < first.value + 1 + 1e-6
        assert after.value - 1 <= (start_us + length_us) * fps / 1e6 + 1e-6
        assert (start_us + length_us) * fps / 1e6 < after.value + 1e-6


@pytest.mark.parametrize(
    ("fps", "timecodes"),
    [
        (25.0, ["00:00:59:24", "00:01:00:00", "00:10:00:00"]),
        (24.9, ["00:00:59:24", "00:01:00:00", "00:10:00:00"]),
        (0.0, ["00:00:59:24", "00:01:00:00", "00:10:00:00"]),
        # A minute has 1798 frames, of which two names are dropped after it; after ten minutes the clock is met again.
        (30000 / 1001, ["00:00:59;27", "00:00:59;28", "00:10:00;00"]),
        # There is no drop frame at this rate: its timecode runs behind the clock by 0.1 %.
        (24000 / 1001, ["00:00:59:21", "00:00:59:22", "00:09:59:09"]),
    ],
)
def test_an_edit_decision_list_counts_frames_as_its_rate_does(fps, timecodes):
    moments = [moment("awe", time_us, time_us + 2_000_000) for time_us in (59_970_000, 60_000_000, 600_000_000)]
    edl = markers(moments, "film", "file:///film.mp4", 700_000_000, fps)[".edl"]
    found = [line.split()[2] for line in edl.splitlines() if line.startswith("* LOC:")]
    assert found == timecodes
    rate = otio.opentime.RationalTime.nearest_smpte_timecode_rate(fps or 25.0)
    (clip,) = otio.adapters.read_from_string(edl, "cmx_3600", rate=rate).find_clips()
    assert clip.duration().to_seconds() == pytest.approx(700, abs=2 / rate)
    if ";" not in edl:  # the adapter writes locators in drop frame, and does not read them
        assert [marker.name for marker in clip.markers] == ["AWE"] * 3
        assert [marker.marked_range.start_time.to_timecode(rate) for marker in clip.markers] == timecodes

"""Exports, read back by others' readers."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pysubs2
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.grid import grid_time
from mgn_ma.inference.moments import Moment
from mgn_ma.reporting.exports import chapters, per_second


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

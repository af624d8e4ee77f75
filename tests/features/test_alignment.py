from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US
from mgn_ma.features.alignment import locate


def slow_locate(starts: list[int], ends: list[int], t: int, tolerance: int) -> int:
    """The definition, row by row."""
    best, best_distance = -1, tolerance + 1
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        distance = start - t if t < start else max(0, t - (end - 1))
        holds_later = distance == 0 == best_distance
        ended_later = distance == best_distance and t >= end > (ends[best] if best >= 0 else end)
        if distance < best_distance or holds_later or ended_later:
            best, best_distance = row, distance
        elif distance == best_distance and t >= end and best >= 0 and ends[best] == end:
            best = row  # ended together: the latest-starting one
    return best


@st.composite
def tracks(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    starts = sorted(draw(st.lists(st.integers(-30, 60), max_size=24)))
    return starts, [start + draw(st.integers(1, 40)) for start in starts]


@settings(max_examples=400, deadline=None)
@given(track=tracks(), query=st.lists(st.integers(-60, 120), max_size=30), tolerance=st.integers(0, 25))
def test_locate_is_its_definition(track: tuple[list[int], list[int]], query: list[int], tolerance: int) -> None:
    starts, ends = track
    found = locate(np.array(starts, np.int64), np.array(ends, np.int64), np.array(query, np.int64), tolerance)
    assert found.dtype == np.int64
    assert found.tolist() == [slow_locate(starts, ends, t, tolerance) for t in query]


@pytest.mark.parametrize(
    ("t", "tolerance", "row"),
    [
        (0, 0, 0),
        (959_999, 0, 0),
        (960_000, 0, 1),
        (1_919_999, 0, 1),
        (1_920_000, 0, -1),  # half-open: the end belongs to nobody
        (1_920_000, 1, 1),
        (2_000_000, 80_001, 1),
        (2_000_000, 80_000, -1),
        (-5, 5, 0),
        (-6, 5, -1),
    ],
)
def test_audio_patches_by_hand(t: int, tolerance: int, row: int) -> None:
    starts = np.array([0, 960_000])
    assert locate(starts, starts + 960_000, np.array([t]), tolerance).tolist() == [row]


def test_the_latest_of_overlapping_cues_serves_and_the_earlier_again_once_it_is_over() -> None:
    starts, ends = np.array([0, 1_000, 2_000]), np.array([10_000, 1_500, 2_500])
    query = np.array([500, 1_200, 1_700, 2_400, 2_500, 9_999, 10_000])
    assert locate(starts, ends, query, 0).tolist() == [0, 1, 0, 2, 0, 0, -1]


def test_one_row_for_the_whole_video_serves_any_time() -> None:
    query = np.array([-(10**12), 0, 10**15])
    whole = np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US])
    assert locate(*whole, query, 0).tolist() == [0, 0, 0]
    assert locate(*whole, query, 5_000_000).tolist() == [0, 0, 0]


def test_no_rows_serve_nothing() -> None:
    empty = np.array([], dtype=np.int64)
    assert locate(empty, empty, np.array([1, 2]), 10).tolist() == [-1, -1]
    assert locate(empty, empty, empty, 10).tolist() == []


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        locate(np.array([0]), np.array([1]), np.array([0]), -1)


def test_twenty_thousand_nested_cues_do_not_take_quadratic_time() -> None:
    n = 20_000
    starts = np.arange(n, dtype=np.int64)
    ends = 4 * n - starts  # each outlives all that start after it
    query = np.arange(0, 4 * n, 2, dtype=np.int64)
    began = time.perf_counter()
    rows = locate(starts, ends, query, 0)
    assert time.perf_counter() - began < 2.0
    expected = np.where(query < 3 * n, n - 1, 4 * n - query - 1)
    np.testing.assert_array_equal(rows, np.where(query < n, query, expected))

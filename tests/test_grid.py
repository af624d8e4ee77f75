"""The 6 Hz grid against exact fractions."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.grid import frames_before, grid_time, grid_timestamps_us


def test_it_is_six_a_second_rounded_down_and_ends_before_the_end() -> None:
    assert grid_timestamps_us(1_000_000).tolist() == [0, 166666, 333333, 500000, 666666, 833333]
    assert grid_timestamps_us(1_000_001).tolist()[-1] == 1_000_000
    assert grid_timestamps_us(166_666).tolist() == [0]
    assert grid_timestamps_us(166_667).tolist() == [0, 166666]
    assert grid_timestamps_us(0).tolist() == grid_timestamps_us(-1).tolist() == []


units = pytest.mark.parametrize("per_second", [1_000, 1_000_000])


@units
@given(st.integers(0, 10**9))
def test_a_time_is_the_exact_one_rounded_down(per_second: int, index: int) -> None:
    assert grid_time(index, per_second) == floor(Fraction(index, 6) * per_second)


@units
@given(st.integers(0, 10**12))
def test_frames_before_an_end_are_those_whose_exact_time_is(per_second: int, end: int) -> None:
    count = frames_before(end, per_second)
    assert count == ceil(Fraction(end, per_second) * 6)
    assert count == 0 or grid_time(count - 1, per_second) < end
    assert grid_time(count, per_second) >= end


@units
@given(st.integers(0, 10**9))
def test_the_number_of_a_frame_is_found_again_from_its_time(per_second: int, index: int) -> None:
    assert frames_before(grid_time(index, per_second), per_second) == index


@given(st.lists(st.integers(0, 10**9)))
def test_arrays_give_what_numbers_give(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    assert grid_time(array).tolist() == [grid_time(value) for value in values]
    assert frames_before(array).tolist() == [frames_before(value) for value in values]

"""Windows of streams against plain slices of all samples, whatever the blocks, hops and lengths."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.extractors.windows import centred_windows, clips, hop_rows, sample_windows


@given(
    n=st.integers(0, 60),
    length=st.integers(1, 20),
    starts=st.lists(st.integers(0, 80), max_size=12).map(sorted),
    cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted),
)
def test_a_window_is_a_slice_wherever_the_blocks_are_cut(
    n: int, length: int, starts: list[int], cuts: list[int]
) -> None:
    samples = np.arange(n, dtype=np.float32)
    found = [window.tolist() for window in sample_windows(np.split(samples, cuts), length, starts)]
    assert found == [samples[start : start + length].tolist() for start in starts if start + length <= n]


@settings(deadline=None)
@given(
    n=st.integers(0, 9000),
    rate=st.sampled_from([8000, 16_000, 22_050, 48_000]),
    window_us=st.integers(10_000, 300_000),
    hop_us=st.integers(10_000, 300_000),
    cuts=st.lists(st.integers(0, 9000), max_size=4).map(sorted),
)
def test_each_row_has_the_samples_around_its_middle(
    n: int, rate: int, window_us: int, hop_us: int, cuts: list[int]
) -> None:
    samples = np.arange(1, n + 1, dtype=np.float32)
    found = list(centred_windows(np.split(samples, cuts), rate, window_us, hop_us))
    per_us = Fraction(rate, 1_000_000)
    assert len(found) == sum(1 for row in range(n + 1) if row * hop_us * per_us < n)
    for row, window in enumerate(found):
        start = floor((row * hop_us + Fraction(hop_us - window_us, 2)) * per_us)
        expected = [samples[k] if 0 <= k < n else 0 for k in range(start, start + floor(window_us * per_us))]
        assert window.tolist() == expected


def test_a_hop_that_is_no_whole_number_of_samples_does_not_drift() -> None:
    """A hop of 166,667 us is 2,666.672 samples: the window of row 6,000, 1,000 s later, is still where its time is."""
    second = np.zeros(16_000, np.float32)
    mark = 16_000_032  # 6,000 x 166,667 us is 1000.002 s

    def sound():
        for k in range(1001):
            block = second.copy()
            if k * 16_000 <= mark < (k + 1) * 16_000:
                block[mark - k * 16_000] = 1
            yield block

    rows = [row for row, window in enumerate(centred_windows(sound(), 16_000, 10_000, 166_667)) if window.any()]
    assert not rows
    mark += 83_333 * 16 // 1000
    rows = [row for row, window in enumerate(centred_windows(sound(), 16_000, 10_000, 166_667)) if window.any()]
    assert rows == [6000]


@given(n=st.integers(0, 40), length=st.integers(1, 12), starts=st.lists(st.integers(0, 50), max_size=12).map(sorted))
def test_a_clip_is_a_slice_of_the_frames(n: int, length: int, starts: list[int]) -> None:
    frames = list(range(n))
    assert list(clips(iter(frames), length, starts)) == [
        frames[start : start + length] for start in starts if start + length <= n
    ]


def test_rows_follow_each_other_from_zero_on() -> None:
    rows = hop_rows(np.zeros((3, 2)), 166_667)
    assert rows.timestamps_us.tolist() == [0, 166_667, 333_334]
    assert rows.ends_us.tolist() == [166_667, 333_334, 500_001]


@pytest.mark.parametrize("hop_us", [166_667, 960_000])
def test_a_window_as_long_as_its_hop_starts_with_its_row(hop_us: int) -> None:
    samples = np.arange(48_000, dtype=np.float32)
    windows = list(centred_windows([samples], 16_000, hop_us, hop_us))
    for row in range(2):
        np.testing.assert_array_equal(windows[row][0], samples[row * hop_us * 16_000 // 1_000_000])

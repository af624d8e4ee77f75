import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mgn_ma.eev.targets import Targets
from mgn_ma.inference.moments import MomentsConfig, find_moments

PLAIN = MomentsConfig(smoothing_us=0)


def grid(n_frames):
    return np.arange(n_frames, dtype=np.int64) * 1_000_000 // 6


def test_a_single_triangle_has_its_peak_and_its_half_height_crossings():
    curve = np.full(61, 0.1)
    curve[24:37] = 0.1 + 0.3 * (1 - np.abs(np.arange(-6, 7)) / 6)
    (moment,) = find_moments(grid(61), curve[:, None], Targets(names=("awe",)), PLAIN)
    assert moment.expression == "awe"
    assert moment.peak_us == 5_000_000
    assert moment.level == pytest.approx(0.1)
    assert moment.height == pytest.approx(0.3)
    # Half height is three frames, that is half a second, from the peak.
    assert moment.start_us == pytest.approx(4_500_000, abs=2)
    assert moment.end_us == pytest.approx(5_500_000, abs=2)


def test_a_rise_cut_by_the_end_of_the_video_is_a_moment():
    curve = np.concatenate((np.full(50, 0.1), np.linspace(0.1, 0.5, 11)))
    (moment,) = find_moments(grid(61), curve[:, None], Targets(names=("awe",)), PLAIN)
    assert moment.peak_us == grid(61)[-1]


def test_a_flat_curve_and_a_nearly_flat_one_have_none():
    rng = np.random.default_rng(0)
    curves = np.stack((np.full(100, 0.3), 0.3 + 1e-5 * rng.standard_normal(100)), axis=1)
    assert find_moments(grid(100), curves, Targets(names=("awe", "doubt")), PLAIN) == []


def test_of_two_close_peaks_the_higher_stays_and_the_number_is_bounded():
    curve = np.zeros(200)
    curve[[30, 40, 100, 130, 160]] = [0.3, 0.4, 0.5, 0.2, 0.6]
    moments = find_moments(grid(200), curve[:, None], Targets(names=("awe",)), PLAIN)
    assert [m.peak_us for m in moments] == [grid(200)[i] for i in (40, 100, 160)]


def test_moments_come_in_the_order_of_time_over_all_expressions():
    curves = np.zeros((100, 2))
    curves[[20, 80], 0] = 0.5
    curves[50, 1] = 0.5
    assert [m.expression for m in find_moments(grid(100), curves, Targets(names=("awe", "pain")), PLAIN)] == [
        "awe",
        "pain",
        "awe",
    ]


def test_curves_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(10, 2\).*11 frames of 2"):
        find_moments(grid(11), np.zeros((10, 2)), Targets(names=("awe", "pain")), PLAIN)


@given(arrays(np.float32, st.tuples(st.integers(0, 80), st.just(2)), elements=st.floats(0, 1, width=32)))
def test_whatever_the_curve_a_moment_lies_in_the_video_and_over_its_level(curves):
    timestamps = grid(len(curves))
    for moment in find_moments(timestamps, curves, Targets(names=("awe", "pain")), MomentsConfig()):
        assert timestamps[0] <= moment.start_us <= moment.peak_us < moment.end_us <= timestamps[-1] + 1
        assert moment.height >= 0.001
        assert moment.height_sigmas >= 1.5 - 1e-9


def test_moments_are_the_same_in_any_range():
    random = np.random.default_rng(2)
    curve = np.abs(np.cumsum(random.normal(size=(400, 1)), axis=0)) * 1e-4
    config = MomentsConfig(min_height=0.0004, min_height_sigmas=0.2, per_expression=50)
    shares = find_moments(grid(400), curve, Targets(names=("awe",)), config)
    wide = find_moments(grid(400), 4 * curve - 1, Targets(names=("awe",), minimum=-1, maximum=3), config)
    assert [moment.peak_us for moment in wide] == [moment.peak_us for moment in shares]
    assert 0 < len(shares) < len(find_moments(grid(400), curve, Targets(names=("awe",), maximum=0.1), config))
    assert wide[0].height == pytest.approx(4 * shares[0].height)
    assert wide[0].value == pytest.approx(4 * shares[0].value - 1)

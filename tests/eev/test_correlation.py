"""Eq. 4 against SciPy, against numbers worked out by hand, and at its edges."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from mgn_ma.eev.correlation import (
    challenge_score,
    frames_to_offsets,
    mean_of_defined,
    video_correlations,
    video_scores,
)
from mgn_ma.eev.errors import FrameTableError


def scipy_loop(predictions, labels, offsets):
    """The obvious version: SciPy's own function, a series at a time; NaN where it is not defined."""
    r = np.full((len(offsets) - 1, predictions.shape[1]), np.nan)
    for video, (start, stop) in enumerate(pairwise(offsets)):
        for series in range(predictions.shape[1]):
            x = predictions[start:stop, series].astype(np.float64)
            y = labels[start:stop, series].astype(np.float64)
            if len(x) > 1 and np.ptp(x) > 0 and np.ptp(y) > 0:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    r[video, series] = pearsonr(x, y).statistic
    return r


@st.composite
def ragged(draw):
    lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=8))
    n_series = draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    offsets = np.r_[0, np.cumsum(lengths)]
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    tables = []
    for _ in range(2):
        scale = 10.0 ** draw(st.integers(-9, 3))
        level = draw(st.sampled_from([0.0, 0.5, 10.0, 1e4]))
        values = scale * (level + rng.random((offsets[-1], n_series)))
        kind = draw(st.sampled_from(["varied", "mostly zero", "some constant"]))
        if kind == "mostly zero":
            values[rng.random(values.shape) < 0.9] = 0
        if kind == "some constant":
            values[:, rng.random(n_series) < 0.5] = scale * level
        # Row by row as a network gives them, or column by column as a table keeps them.
        tables.append(values.astype(dtype, order=draw(st.sampled_from(["C", "F"]))))
    # Two-frame videos have r of exactly +-1, the hardest place for a wrong sign or a missing clip.
    return tables[0], tables[1], offsets


@given(ragged())
@settings(max_examples=300, deadline=None)
def test_equals_scipy_on_ragged_input(data):
    predictions, labels, offsets = data
    table = video_correlations(predictions, labels, offsets)
    expected = scipy_loop(predictions, labels, offsets)
    defined = ~np.isnan(expected)
    np.testing.assert_allclose(table.r[defined], expected[defined], rtol=0, atol=1e-9)
    assert np.array_equal(defined, ~(table.constant_truth | table.constant_prediction))
    assert np.isnan(table.r[table.constant_truth]).all()
    assert (table.r[table.constant_prediction & ~table.constant_truth] == 0).all()


@given(st.integers(0, 10_000), st.sampled_from([1e-200, 1e-75, 1e-12, 1e-6, 1.0, 1e6, 1e200]), st.floats(-3, 3))
@example(seed=0, scale=1e-6, shift=0.0)
@settings(max_examples=50, deadline=None)
def test_scale_and_shift_of_a_prediction_do_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    labels, predictions = rng.random((40, 3)), rng.random((40, 3))
    offsets = np.array([0, 15, 40])
    plain = video_correlations(predictions, labels, offsets).r
    np.testing.assert_allclose(video_correlations(predictions * scale, labels, offsets).r, plain, atol=1e-12)
    np.testing.assert_allclose(video_correlations(-predictions * scale, labels, offsets).r, -plain, atol=1e-12)
    np.testing.assert_allclose(video_correlations(predictions + shift, labels, offsets).r, plain, atol=1e-11)


def test_tiny_labels_keep_their_correlation():
    # Where 1e-6 is added to the denominator, this r of 1 becomes less than 0.001.
    labels = 1e-6 * np.linspace(0, 1, 30)[:, None]
    assert video_correlations(labels * 1e5, labels, np.array([0, 30])).r[0, 0] == pytest.approx(1, abs=1e-12)
    subnormal = 1e-200 * labels
    assert video_correlations(labels, subnormal, np.array([0, 30])).r[0, 0] == pytest.approx(1, abs=1e-12)


def test_small_variation_on_a_large_level_is_exact():
    rng = np.random.default_rng(1)
    wave = rng.random((500, 1))
    predictions, labels = 1 + 1e-7 * wave, 1e-3 * wave + 1e-4 * rng.random((500, 1))
    expected = pearsonr(predictions[:, 0], labels[:, 0]).statistic
    assert video_correlations(predictions, labels, np.array([0, 500])).r[0, 0] == pytest.approx(expected, abs=1e-9)


def test_by_hand():
    # Video one: x = 1 2 3, y = 1 3 2: sxy = 1, sxx = syy = 2, r = 1/2; and y = 3 2 1: r = -1.
    # Video two: x = 0 1, y = 0 5: r = 1; the second truth is constant.
    predictions = np.array([[1, 1], [2, 2], [3, 3], [0, 0], [1, 1]], dtype=np.float32)
    labels = np.array([[1, 3], [3, 2], [2, 1], [0, 4], [5, 4]], dtype=np.float32)
    table = video_correlations(predictions, labels, np.array([0, 3, 5]))
    np.testing.assert_allclose(table.r, [[0.5, -1], [1, np.nan]], atol=1e-12)
    np.testing.assert_allclose(video_scores(table), [-0.25, 1])
    np.testing.assert_allclose(mean_of_defined(table.r, axis=0), [0.75, -1])
    assert challenge_score(table) == pytest.approx(0.375)
    zeros = video_correlations(predictions, labels, np.array([0, 3, 5]), constant="zeros")
    assert challenge_score(zeros) == pytest.approx((-0.25 + 0.5) / 2)


def test_constants_are_told_apart_by_cause():
    labels = np.array([[0.1, 0.2], [0.3, 0.2], [0.5, 0.5]])
    predictions = np.array([[0.7, 0.1], [0.7, 0.2], [0.5, 0.5]])
    table = video_correlations(predictions, labels, np.array([0, 2, 3]))
    assert table.constant_truth.tolist() == [[False, True], [True, True]]
    assert table.constant_prediction.tolist() == [[True, False], [True, True]]
    assert table.n_frames.tolist() == [2, 1]
    # The video of one frame has no part in the mean; the constant prediction counts 0.
    assert challenge_score(table) == 0


def test_a_constant_whose_mean_rounds_is_still_constant():
    # 0.1 has no exact mean over 10,027 float32 rows; a tolerance on the variance would have to guess.
    values = np.full((10_027, 1), 0.1, dtype=np.float32)
    ramp = np.arange(10_027, dtype=np.float32)[:, None]
    table = video_correlations(values, ramp, np.array([0, 10_027]))
    assert table.constant_prediction[0, 0]
    assert table.r[0, 0] == 0
    almost = values.copy()
    almost[5_000] = np.nextafter(np.float32(0.1), np.float32(1))
    assert not video_correlations(almost, ramp, np.array([0, 10_027])).constant_prediction[0, 0]


def test_nothing_defined_is_nan_and_says_so():
    table = video_correlations(np.zeros((2, 3)), np.zeros((2, 3)), np.array([0, 2]))
    assert np.isnan(challenge_score(table))
    assert np.isnan(table.r).all()
    empty = video_correlations(np.zeros((0, 3)), np.zeros((0, 3)), np.array([0]))
    assert empty.r.shape == (0, 3)
    assert np.isnan(challenge_score(empty))


def test_memory_layout_does_not_matter():
    rng = np.random.default_rng(2)
    predictions, labels = rng.random((50, 4), dtype=np.float32), rng.random((50, 4), dtype=np.float32)
    offsets = np.array([0, 20, 50])
    plain = video_correlations(predictions, labels, offsets).r
    for other in (np.asfortranarray(predictions), np.repeat(predictions, 2, axis=1)[:, ::2]):
        np.testing.assert_allclose(video_correlations(other, labels, offsets).r, plain, atol=1e-13)
        np.testing.assert_allclose(video_correlations(labels, other, offsets).r, plain, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused(bad):
    values = np.random.default_rng(0).random((6, 2))
    broken = values.copy()
    broken[4, 1] = bad
    with pytest.raises(ValueError, match="a prediction of video 1 is not finite"):
        video_correlations(broken, values, np.array([0, 3, 6]))
    with pytest.raises(ValueError, match="a label of video 1 is not finite"):
        video_correlations(values, broken, np.array([0, 3, 6]))


@pytest.mark.parametrize("offsets", [[0, 3], [0, 3, 3, 6], [1, 6], [], [0, 7]])
def test_offsets_that_do_not_cover_the_frames_are_refused(offsets):
    values = np.random.default_rng(0).random((6, 2))
    with pytest.raises(ValueError, match="offsets must rise from 0 to the 6 frames"):
        video_correlations(values, values, np.array(offsets))


def test_offsets_of_a_frame_table():
    ids, offsets = frames_to_offsets(["b", "b", "a", "c", "c"])
    assert ids == ["b", "a", "c"]
    assert offsets.tolist() == [0, 2, 3, 5]
    assert frames_to_offsets(pd.Series([], dtype=str))[1].tolist() == [0]


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_offsets_equal_the_obvious_grouping(ids):
    blocks = [id_ for row, id_ in enumerate(ids) if row == 0 or ids[row - 1] != id_]
    if len(set(blocks)) == len(blocks):
        found, offsets = frames_to_offsets(ids)
        assert found == blocks
        assert [ids[start:stop] for start, stop in pairwise(offsets)] == [[id_] * ids.count(id_) for id_ in blocks]
    else:
        with pytest.raises(FrameTableError, match="not one block"):
            frames_to_offsets(ids)

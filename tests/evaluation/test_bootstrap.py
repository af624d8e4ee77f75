"""The bootstrap over videos against SciPy's, against the obvious loop, and against what an interval promises."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mgn_ma.evaluation.bootstrap import BootstrapConfig, compare, interval, intervals, resampled_means

CONFIG = BootstrapConfig(resamples=2000, seed=3)


def test_interval_is_scipys_percentile_interval():
    scores = np.random.default_rng(0).gamma(2.0, size=60)
    found = interval(scores, BootstrapConfig(resamples=20_000))
    expected = scipy.stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.estimate == pytest.approx(scores.mean())
    assert found.low == pytest.approx(expected.low, abs=0.03)
    assert found.high == pytest.approx(expected.high, abs=0.03)
    # A narrower promise is a narrower interval.
    half = interval(scores, BootstrapConfig(resamples=20_000, confidence=0.5))
    assert found.low < half.low < half.estimate < half.high < found.high


def test_resampled_means_equal_the_obvious_loop():
    values = np.random.default_rng(1).normal(size=(7, 3))
    values[[0, 4], 1] = np.nan
    random = np.random.default_rng(CONFIG.seed)
    drawn = random.integers(0, 7, size=(CONFIG.resamples, 7))
    for found, videos in zip(resampled_means(values, CONFIG), drawn, strict=True):
        for column in range(3):
            chosen = [values[video, column] for video in videos if not np.isnan(values[video, column])]
            assert found[column] == pytest.approx(np.mean(chosen)) if chosen else np.isnan(found[column])


def test_drawing_in_portions_draws_every_resample(monkeypatch):
    values = np.random.default_rng(2).normal(size=(50, 2))
    monkeypatch.setattr("mgn_ma.evaluation.bootstrap._DRAWS_AT_ONCE", 50 * 300)
    means = resampled_means(values, CONFIG)
    assert len(np.unique(means[:, 0])) == CONFIG.resamples
    assert means.std(axis=0) == pytest.approx(values.std(axis=0) / np.sqrt(50), rel=0.1)


def test_a_95_percent_interval_covers_the_mean_about_95_times_in_100():
    random = np.random.default_rng(4)
    config = BootstrapConfig(resamples=500)
    found = intervals(random.normal(loc=0.1, size=(100, 400)), config)
    covered = sum(each.low <= 0.1 <= each.high for each in found)
    assert 0.91 * 400 <= covered <= 0.98 * 400


def test_what_is_not_defined_is_left_out():
    scores = np.array([0.2, np.nan, 0.4, np.nan])
    assert interval(scores, CONFIG) == interval(np.array([0.2, 0.4]), CONFIG)
    assert interval(scores, CONFIG).n_videos == 2
    for few in ([], [np.nan], [0.5]):
        found = interval(np.array(few), CONFIG)
        assert np.isnan([found.low, found.high]).all()
        assert found.n_videos == len([score for score in few if not np.isnan(score)])
    of_columns = intervals(np.array([[0.1, np.nan], [0.3, np.nan], [0.2, 0.7]]), CONFIG)
    assert of_columns[0].low < 0.2 < of_columns[0].high
    assert of_columns[1].estimate == 0.7
    assert np.isnan(of_columns[1].low)


def test_pairs_see_a_difference_that_the_spread_over_videos_hides():
    random = np.random.default_rng(5)
    hard_and_easy = random.normal(scale=1.0, size=80)
    ours, theirs = hard_and_easy + 0.05 + random.normal(scale=0.05, size=80), hard_and_easy
    found = compare(ours, theirs, CONFIG)
    assert found.difference == pytest.approx((ours - theirs).mean())
    assert 0 < found.low < 0.05 < found.high
    assert found.p_not_higher < 0.01
    assert compare(theirs, ours, CONFIG).p_not_higher > 0.99
    # Unpaired, the same difference drowns.
    assert interval(ours, CONFIG).low < interval(theirs, CONFIG).high


def test_a_predictor_is_not_higher_than_itself():
    scores = np.random.default_rng(6).normal(size=20)
    found = compare(scores, scores, CONFIG)
    assert (found.difference, found.low, found.high, found.p_not_higher) == (0, 0, 0, 1)


def test_comparison_uses_the_videos_that_both_have():
    found = compare(np.array([1.0, np.nan, 3.0]), np.array([0.0, 5.0, 1.0]), CONFIG)
    assert (found.difference, found.n_videos) == (1.5, 2)
    assert np.isnan(compare(np.array([1.0]), np.array([0.0]), CONFIG).low)


def test_the_seed_decides():
    scores = np.random.default_rng(7).normal(size=20)
    assert interval(scores, CONFIG) == interval(scores, CONFIG)
    assert interval(scores, CONFIG) != interval(scores, BootstrapConfig(resamples=2000, seed=4))

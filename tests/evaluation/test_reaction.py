from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from mgn_ma.eev.correlation import challenge_score, video_correlations
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.reaction import (
    DELAYS_S,
    REACTIONS,
    TIME_CONSTANTS_S,
    LabelledCurves,
    Reaction,
    average,
    learn_reactions,
    shift,
)
from mgn_ma.grid import grid_time

BOOTSTRAP = BootstrapConfig(resamples=200)


def times(n):
    return grid_time(np.arange(n))


def curves(lengths=(70, 90, 60, 80, 75, 100), n_series=3, seed=0):
    """Smooth noise of six videos, of which nobody has labelled anything."""
    random = np.random.default_rng(seed)
    values = np.cumsum(random.normal(size=(sum(lengths), n_series)), axis=0)
    offsets = np.r_[0, np.cumsum(lengths)]
    stamps = np.concatenate([times(n) for n in lengths])
    folds = np.arange(len(lengths)) % 3
    return LabelledCurves(values, lambda fold: values, values, stamps, offsets, folds)


def reacted(found, reaction):
    """What viewers who react like this show: the labels."""
    blocks = [
        reaction.apply(found.whole[start:stop], found.timestamps_us[start:stop])
        for start, stop in pairwise(found.offsets)
    ]
    return replace(found, labels=np.concatenate(blocks))


@pytest.mark.parametrize("constant", [0.25, 2.0])
def test_an_average_is_the_filter_that_scipy_has(constant):
    values = np.random.default_rng(0).normal(size=(50, 2))
    stamps = np.arange(50) * 500_000
    new = -np.expm1(-0.5 / constant)
    expected = np.stack(
        [lfilter([new], [1, new - 1], column, zi=[(1 - new) * column[0]])[0] for column in values.T], axis=1
    )
    found = average(values, stamps, np.full(2, constant), centred=False)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    back = np.stack(
        [lfilter([new], [1, new - 1], column, zi=[(1 - new) * column[0]])[0] for column in expected[::-1].T], axis=1
    )
    found = average(values, stamps, np.full(2, constant), centred=True)
    np.testing.assert_allclose(found, back[::-1], atol=1e-12)


def test_an_average_over_a_gap_has_forgotten_as_much_as_the_time_says():
    stamps = np.array([0, 500_000, 3_000_000])
    values = np.array([[1.0], [0.0], [0.0]])
    found = average(values, stamps, np.array([1.5]), centred=False)[:, 0]
    np.testing.assert_allclose(found, [1, np.exp(-0.5 / 1.5), np.exp(-3 / 1.5)])


@pytest.mark.parametrize("delay", [0.0, 1 / 6, 0.4, 20.0])
def test_a_shift_reads_between_the_rows(delay):
    values = np.random.default_rng(1).normal(size=(30, 2))
    stamps = np.delete(times(33), [5, 6, 20])
    found = shift(values, stamps, delay)
    for column in range(2):
        expected = np.interp(stamps - delay * 1e6, stamps, values[:, column])
        np.testing.assert_allclose(found[:, column], expected, atol=1e-9)


@given(
    st.lists(st.integers(1, 10**7), min_size=0, max_size=20),
    st.sampled_from(DELAYS_S),
    st.sampled_from(TIME_CONSTANTS_S),
    st.booleans(),
)
def test_a_reaction_stays_within_its_curve_and_a_level_stays_itself(steps, delay, constant, centred):
    stamps = np.r_[0, np.cumsum(steps)].astype(np.int64)
    random = np.random.default_rng(len(steps))
    values = np.stack([random.random(len(stamps)), np.full(len(stamps), 0.3)], axis=1)
    found = Reaction(centred=centred, delays_s=(delay,) * 2, time_constants_s=(constant,) * 2).apply(values, stamps)
    assert values[:, 0].min() - 1e-12 <= found[:, 0].min() and found[:, 0].max() <= values[:, 0].max() + 1e-12
    np.testing.assert_allclose(found[:, 1], 0.3, atol=1e-12)


@pytest.mark.parametrize(("method", "centred"), [("causal", False), ("centred", True)])
def test_what_viewers_do_is_found(method, centred):
    truth = Reaction(centred=centred, delays_s=(0.5,) * 3, time_constants_s=(2.0,) * 3)
    found = learn_reactions(REACTIONS, reacted(curves(), truth), BOOTSTRAP)
    assert found[method].reaction == truth
    assert found[method].score == pytest.approx(1) == found[method].in_sample
    assert max(found, key=lambda name: found[name].score) in {method, f"{method}_by_expression"}
    lag = 0.5 if centred else 2.5
    assert found[method].reaction.lags_s == (lag,) * 3
    np.testing.assert_allclose(found[method].lag_bounds_s, lag)


def test_each_expression_gets_its_own():
    truth = Reaction(centred=True, delays_s=(0.0, 1.0, 2.0), time_constants_s=(0.0, 0.5, 4.0))
    found = learn_reactions(["centred", "centred_by_expression"], reacted(curves(), truth), BOOTSTRAP)
    assert found["centred_by_expression"].reaction == truth
    assert found["centred"].score < found["centred_by_expression"].score == pytest.approx(1)


def test_no_video_scores_itself():
    known = reacted(curves(), Reaction(centred=True, delays_s=(1.0,) * 3, time_constants_s=(0.5,) * 3))
    inverted = known.labels.copy()
    first = slice(known.offsets[0], known.offsets[1])
    inverted[first] = np.random.default_rng(3).normal(size=inverted[first].shape)
    before, after = (
        learn_reactions(["centred_by_expression"], labelled, BOOTSTRAP)["centred_by_expression"]
        for labelled in (known, replace(known, labels=inverted))
    )
    assert before.video_reactions[0] == after.video_reactions[0]
    own = video_correlations(
        after.video_reactions[0].apply(known.whole[first], known.timestamps_us[first]),
        inverted[first],
        np.array([0, known.offsets[1]]),
    )
    np.testing.assert_allclose(after.r[0], own.r[0])


def test_a_fold_is_scored_with_the_curves_that_have_not_learned_from_it():
    known = curves()
    noise = np.random.default_rng(4).normal(size=known.whole.shape)
    asked = []

    def without_fold(fold):
        asked.append(fold)
        return noise

    found = learn_reactions(["none"], replace(known, without_fold=without_fold), BOOTSTRAP)["none"]
    assert asked == [0, 1, 2]
    assert found.in_sample == pytest.approx(1)
    assert found.score == pytest.approx(challenge_score(video_correlations(noise, known.labels, known.offsets)))


def test_labels_that_say_nothing_leave_the_curves_as_they_are():
    flat = replace(curves(), labels=np.zeros_like(curves().labels))
    found = learn_reactions(["causal_by_expression"], flat, BOOTSTRAP)["causal_by_expression"]
    assert set(found.reaction.delays_s) == set(found.reaction.time_constants_s) == {0.0}
    assert np.isnan(found.score)


def test_one_video_has_a_reaction_and_no_interval():
    one = curves(lengths=(60,))
    found = learn_reactions(["centred"], replace(one, fold_of_video=np.zeros(1, dtype=np.int64)), BOOTSTRAP)["centred"]
    assert len(found.video_reactions) == 1
    assert np.isnan(found.lag_bounds_s).all()

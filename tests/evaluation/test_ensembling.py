"""Ensembling methods against slow obvious versions, and the promise that no video scores itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.stats import pearsonr, zscore

from mgn_ma.eev.correlation import challenge_score, video_correlations
from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.evaluation.ensembling import METHODS, EnsemblingConfig, combine, deal_folds, learn, learn_all
from mgn_ma.evaluation.mixture_scores import MemberMoments

CONFIG = EnsemblingConfig(greedy_rounds=8)


def moments_of(world, constant="left_out"):
    return MemberMoments.from_predictions(list(world.members.values()), world.labels, world.offsets, constant)


@given(st.integers(0, 1000), st.lists(st.integers(1, 12), min_size=1, max_size=5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_moments_score_any_mixture_as_its_frames_do(seed, lengths, with_constants):
    random = np.random.default_rng(seed)
    offsets = np.r_[0, np.cumsum(lengths)]
    members = [random.random((offsets[-1], 4)) for _ in range(3)]
    labels = random.random((offsets[-1], 4))
    if with_constants:
        members[0][:, 1] = 0.3
        labels[: offsets[1], 2] = 0.1
    weights = random.random(3)
    mixture = sum(weight * member for weight, member in zip(weights, members, strict=True))
    for constant in ("left_out", "zeros"):
        moments = MemberMoments.from_predictions(members, labels, offsets, constant)
        expected = video_correlations(mixture, labels, offsets, constant=constant)
        np.testing.assert_allclose(moments.correlations(weights), expected.r, atol=1e-9)
        np.testing.assert_allclose(moments.score(weights), challenge_score(expected), atol=1e-9)


def test_a_constant_mixture_scores_0_and_each_video_may_have_its_own_weights(world):
    world = world()
    constant = np.full_like(world.labels, 0.1)
    moments = MemberMoments.from_predictions([constant, world.labels], world.labels, world.offsets)
    assert (moments.correlations(np.array([1.0, 0.0])) == 0).all()
    each = np.tile([1.0, 0.0], (8, 1))
    each[3] = [0.5, 0.5]
    r = moments.correlations(each)
    np.testing.assert_allclose(r[3], 1)
    assert np.abs(np.delete(r, 3, axis=0)).max() == 0


def test_standardised_moments_are_those_of_standardised_members(world):
    world = world()
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    mixture = np.zeros_like(world.labels)
    for start, stop in zip(world.offsets, world.offsets[1:], strict=False):
        for weight, member in zip(weights, world.members.values(), strict=True):
            mixture[start:stop] += weight * zscore(member[start:stop].astype(float), axis=0)
    expected = video_correlations(mixture, world.labels, world.offsets).r
    np.testing.assert_allclose(moments_of(world).standardised().correlations(weights), expected, atol=1e-9)


def test_the_mean_is_the_mean(world):
    world = world()
    members = list(world.members.values())
    combined = combine(members, world.offsets, np.full(4, 0.25), EEV, standardised=False)
    np.testing.assert_allclose(combined, np.mean(members, axis=0), atol=1e-6)
    learned = learn("mean", moments_of(world), CONFIG)
    assert learned.score == learned.in_sample == moments_of(world).score(np.ones(4))


@pytest.mark.parametrize("method", METHODS)
def test_combined_predictions_score_what_was_reported(world, method):
    world = world(seed=1)
    learned = learn(method, moments_of(world), CONFIG)
    combined = combine(
        list(world.members.values()), world.offsets, learned.video_weights, EEV, standardised=learned.standardised
    )
    found = challenge_score(video_correlations(combined, world.labels, world.offsets))
    assert found == pytest.approx(learned.score, abs=1e-5)
    assert combined.dtype == np.float32
    assert combined.min() >= 0
    assert combined.max() <= 1
    np.testing.assert_allclose(learned.weights.sum(), 1)
    np.testing.assert_allclose(learned.video_weights.sum(axis=1), 1)
    assert (learned.weights >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_no_video_scores_itself(world, method):
    """A video's labels, replaced by nonsense, must not change the weights that it is scored with."""
    config = EnsemblingConfig(greedy_rounds=60)
    before = learn(method, moments_of(world(seed=2)), config)
    for video in (0, 5):
        changed = world(seed=2)
        rows = slice(changed.offsets[video], changed.offsets[video + 1])
        changed.labels[rows] = changed.members["member_3"][rows]
        after = learn(method, moments_of(changed), config)
        np.testing.assert_array_equal(after.video_weights[video], before.video_weights[video])
        if method in {"greedy", "stacking"}:
            assert not np.allclose(after.video_weights, before.video_weights)
            assert not np.allclose(after.weights, before.weights)


def test_greedy_selection_equals_the_obvious_one(world):
    world = world(seed=3)
    members = list(world.members.values())

    def score(bag):
        mixture = np.mean([members[index].astype(float) for index in bag], axis=0)
        r = [
            pearsonr(mixture[start:stop, c], world.labels[start:stop, c]).statistic
            for start, stop in zip(world.offsets, world.offsets[1:], strict=False)
            for c in range(15)
        ]
        return np.mean(r)

    config = EnsemblingConfig(greedy_rounds=5)
    bag, best = [], (-np.inf, [])
    for _ in range(config.greedy_rounds):
        bag = max(([*bag, index] for index in range(4)), key=score)
        best = max(best, (score(bag), bag), key=lambda scored: scored[0])
    learned = learn("greedy", moments_of(world), config)
    np.testing.assert_allclose(learned.weights, np.bincount(best[1], minlength=4) / len(best[1]))
    assert learned.in_sample == pytest.approx(best[0])


def test_stacking_is_non_negative_least_squares_over_all_frames(world):
    world = world(seed=4)
    rows, targets = [], []
    for start, stop in zip(world.offsets, world.offsets[1:], strict=False):
        for c in range(15):
            unit = [zscore(member[start:stop, c].astype(float)) for member in world.members.values()]
            # Every series weighs the same, however many frames it has.
            rows.append(np.stack(unit, axis=1) / np.sqrt(stop - start))
            targets.append(zscore(world.labels[start:stop, c]) / np.sqrt(stop - start))
    expected, _ = nnls(np.concatenate(rows), np.concatenate(targets))
    learned = learn("stacking", moments_of(world), CONFIG)
    np.testing.assert_allclose(learned.weights, expected / expected.sum(), atol=1e-4)


def test_stacking_gives_a_harmful_member_nothing_and_twins_the_same(world):
    world = world(seed=5, noises=(0.5, 0.5))
    world.members["member_1"] = world.members["member_0"]
    world.members["opposite"] = 1 - world.members["member_0"]
    weights = learn("stacking", moments_of(world), CONFIG).weights
    np.testing.assert_allclose(weights, [0.5, 0.5, 0], atol=1e-6)


def test_learned_methods_beat_the_mean_where_members_differ(world):
    learned = learn_all(moments_of(world(seed=6, noises=(0.3, 3.0, 3.0, 3.0))), EnsemblingConfig())
    assert learned["greedy"].score > learned["mean"].score + 0.02
    assert learned["stacking"].score > learned["mean"].score + 0.02
    # What has seen the labels can't be outdone by much by what has not.
    assert learned["greedy"].in_sample >= learned["mean"].in_sample


def test_standardising_undoes_a_scale_that_drowns_a_member(world):
    # Two equally good members, one of them a hundredth as wide: the mean of probabilities hears only the other.
    world = world(seed=7, noises=(1.0, 1.0))
    world.members["member_0"] = world.members["member_0"] / 100
    learned = learn_all(moments_of(world), CONFIG)
    assert learned["standardised_mean"].score > learned["mean"].score + 0.05


def test_members_that_say_nothing_count_the_same(world):
    world = world()
    world.members = {name: np.full_like(values, 0.2) for name, values in world.members.items()}
    for method in METHODS:
        learned = learn(method, moments_of(world), CONFIG)
        assert learned.score == 0
        assert np.isfinite(learned.weights).all()
    combined = combine(list(world.members.values()), world.offsets, np.full(4, 0.25), EEV, standardised=True)
    np.testing.assert_allclose(combined, 0.2, atol=1e-6)


@pytest.mark.parametrize("n_videos", [1, 2])
def test_one_or_two_videos_are_enough_not_to_fail(world, n_videos):
    world = world(lengths=(30,) * n_videos)
    for method, learned in learn_all(moments_of(world), CONFIG).items():
        assert learned.video_weights.shape == (n_videos, 4), method
        if n_videos == 1:  # Nothing to learn from without the video itself.
            np.testing.assert_allclose(learned.video_weights, 0.25)


def test_folds_are_even_and_every_video_is_in_one():
    folds = deal_folds(17, EnsemblingConfig(folds=5, seed=1))
    assert sorted(np.bincount(folds)) == [3, 3, 3, 4, 4]
    assert not np.array_equal(folds, deal_folds(17, EnsemblingConfig(folds=5, seed=2)))
    assert sorted(deal_folds(3, EnsemblingConfig(folds=5))) == [0, 1, 2]


def test_standardised_mixtures_keep_the_members_level_and_never_leave_0_to_1():
    random = np.random.default_rng(8)
    offsets = np.array([0, 50])
    near_zero = 0.002 * random.random((50, 15)) ** 8
    near_one = 1 - 0.002 * random.random((50, 15)) ** 8
    for members in ([near_zero, near_zero[:, ::-1]], [near_one, near_one[:, ::-1]], [near_zero, near_one]):
        combined = combine(members, offsets, np.array([0.5, 0.5]), EEV, standardised=True)
        assert combined.min() >= 0
        assert combined.max() <= 1
        np.testing.assert_allclose(combined.mean(axis=0), np.mean(members, axis=0).mean(axis=0), atol=1e-6)
        scores = np.mean([zscore(member, axis=0) for member in members], axis=0)
        assert video_correlations(combined, scores, offsets).r.min() > 1 - 1e-6


@pytest.mark.parametrize("standardised", [False, True])
def test_members_of_another_range_make_the_same_ensemble_in_it(standardised):
    random = np.random.default_rng(4)
    offsets, weights = np.array([0, 30, 70]), np.array([0.25, 0.75])
    shares = [random.random((70, 15)) ** 6, 1 - random.random((70, 15)) ** 6]
    affect = Targets(minimum=-1.0, maximum=3.0)
    of_shares = combine(shares, offsets, weights, EEV, standardised=standardised)
    of_values = combine([4 * member - 1 for member in shares], offsets, weights, affect, standardised=standardised)
    np.testing.assert_allclose(of_values, 4 * of_shares - 1, atol=1e-5)
    assert of_values.min() >= -1 and of_values.max() <= 3

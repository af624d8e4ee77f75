"""Vectors made by hand, so that every similarity and every share of a curve is known."""

import numpy as np
import pytest

from mgn_ma.eev.targets import Targets
from mgn_ma.grid import grid_time
from mgn_ma.inference.zero_shot.arithmetic import contributions, direction, followed, scaled, similarities, unit

TARGETS = Targets(names=("left", "right"), minimum=-1.0, maximum=3.0)


def test_a_direction_gives_the_mean_cosine_with_the_prompts_less_that_with_the_neutral_ones():
    prompts = np.array([[3.0, 0.0], [0.0, 0.5]])
    neutral = np.array([[0.0, 2.0]])
    moments = np.array([[10.0, 0.0], [0.0, 0.1], [1.0, 1.0], [0.0, 0.0]])
    directions = np.stack([direction(prompts, neutral), direction(neutral, neutral)])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        similarities(moments, directions),
        [[0.5 - 0, 0], [0.5 - 1, 0], [half - half, 0], [0, 0]],  # a vector of zeros is like nothing
        atol=1e-12,
    )


def test_vectors_of_half_precision_have_length_one_and_no_overflow():
    np.testing.assert_allclose(unit(np.full((1, 4), 60_000, np.float16)), 0.5)


def test_similarities_follow_the_rows_and_lose_their_mean():
    similar = np.array([[1.0, 0.0], [3.0, 0.5]])
    rows = np.array([0, 0, 1, -1])  # the last frame has no row: the mean of the others stands in, 5/3 and 1/6
    times = grid_time(np.arange(4))
    found = followed(similar, rows, times, 0.0)
    np.testing.assert_allclose(found[:, 0], np.array([1, 1, 3, 5 / 3]) - 5 / 3)
    np.testing.assert_allclose(found[:, 1], np.array([0, 0, 0.5, 1 / 6]) - 1 / 6)
    smooth = followed(similar, rows, times, 0.5)
    np.testing.assert_allclose(smooth.mean(axis=0), 0, atol=1e-12)
    assert np.ptp(smooth[:, 0]) < np.ptp(found[:, 0])


def test_a_modality_that_serves_no_frame_says_nothing():
    assert not followed(np.ones((1, 2)), np.full(3, -1), grid_time(np.arange(3)), 1.0).any()


def test_a_modality_counts_in_units_of_how_far_it_moves_and_one_that_stands_still_is_not_stretched():
    moving = np.array([[2.0, 0.0], [-2.0, 0.0]])
    np.testing.assert_allclose(scaled(moving, 0.001), moving / np.sqrt(2))
    assert np.sqrt(np.mean(scaled(moving, 0.001) ** 2)) == pytest.approx(1.0)
    np.testing.assert_allclose(scaled(moving * 1e-6, 0.001), moving * 1e-3)


def test_contributions_are_shares_of_the_range_and_are_made_smaller_where_a_curve_would_leave_it():
    parts = np.array([[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 2.0], [0.0, -2.0]]])
    # Two modalities weigh a half each, and one root mean square is an eighth of the range of 4.
    np.testing.assert_allclose(contributions(parts, TARGETS, 0.125), parts / 2 * 0.5)
    far = contributions(parts * 100, TARGETS, 0.125)
    assert np.abs(far.sum(axis=0)).max() == pytest.approx(2.0)
    np.testing.assert_allclose(far / far.max(), parts / parts.max())
    assert contributions(np.zeros((0, 3, 2)), TARGETS, 0.125).shape == (0, 3, 2)

"""Shared passages: against every choice of runs there is, and on edits whose truth is known."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.inference.passages import DIFFERENT, Run, shared_runs

PIXELS = 30


def pictures_of(numbers, seed=0):
    """A picture a number: equal for equal numbers, unlike for others."""
    return np.array(
        [np.random.default_rng([seed, number]).integers(0, 256, PIXELS) for number in numbers], np.uint8
    ).reshape(-1, PIXELS)


def gain(one, other):
    one, other = (
        (picture.astype(float) - picture.mean()) / max(picture.astype(float).std(), 5.0) for picture in (one, other)
    )
    return 1 - np.sqrt(np.mean((one - other) ** 2)) / DIFFERENT


def worth(runs, a, b, price):
    return sum(sum(gain(a[run.a_start + k], b[run.b_start + k]) for k in range(run.length)) - price for run in runs)


def best_of_all(a, b, price):
    """By trying each way of pairing pictures in order."""
    best = 0.0
    gains = [[gain(one, other) for other in b] for one in a]
    for n_pairs in range(1, min(len(a), len(b)) + 1):
        for of_a in combinations(range(len(a)), n_pairs):
            for of_b in combinations(range(len(b)), n_pairs):
                n_runs = 1 + sum((of_a[k] - of_a[k - 1], of_b[k] - of_b[k - 1]) != (1, 1) for k in range(1, n_pairs))
                best = max(best, sum(gains[i][j] for i, j in zip(of_a, of_b, strict=True)) - n_runs * price)
    return best


few = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(few, few, st.sampled_from([0.4, 0.9, 1.5, 2.5]), st.integers(0, 40), st.integers(0, 3))
def test_no_other_runs_are_worth_more(of_a, of_b, price, noise, seed):
    a, b = pictures_of(of_a, seed), pictures_of(of_b, seed)
    b = np.clip(b + np.random.default_rng(seed).normal(0, noise, b.shape), 0, 255).astype(np.uint8)
    runs = shared_runs(a, b, price)
    assert worth(runs, a, b, price) == pytest.approx(best_of_all(a, b, price), abs=1e-4)
    for before, after in pairwise(runs):
        assert after.a_start >= before.a_start + before.length
        assert after.b_start >= before.b_start + before.length


edit = st.tuples(st.sampled_from(["keep", "remove", "insert", "replace"]), st.integers(8, 40))


@settings(max_examples=100, deadline=None)
@given(st.lists(edit, min_size=1, max_size=8))
def test_edits_are_found_to_the_picture(edits):
    a, b, expected, fresh = [], [], [], iter(range(10_000))
    for kind, length in edits:
        passage = [next(fresh) for _ in range(length)]
        if kind == "keep":
            last = expected[-1] if expected else None
            if last and (last.a_start + last.length, last.b_start + last.length) == (len(a), len(b)):
                expected[-1] = Run(last.a_start, last.b_start, last.length + length)
            else:
                expected.append(Run(len(a), len(b), length))
            b += passage
        if kind in ("keep", "remove", "replace"):
            a += passage
        if kind == "insert":
            b += passage
        if kind == "replace":
            b += [next(fresh) for _ in range(length)]
    runs = shared_runs(pictures_of(a), pictures_of(b), shortest=6)
    assert runs == expected


def test_what_is_shared_for_less_than_the_price_is_not_told_from_chance():
    a, b = pictures_of(range(20)), pictures_of([100, 101, 5, 6, 7, 102, 103])
    assert shared_runs(a, b, shortest=3.5) == []
    assert shared_runs(a, b, shortest=2.5) == [Run(5, 2, 3)]


def test_other_brightness_and_contrast_are_the_same_pictures():
    a = pictures_of(range(30))
    b = (a * 0.4 + 60).astype(np.uint8)
    assert shared_runs(a, b, shortest=5) == [Run(0, 0, 30)]


def test_plain_pictures_do_not_become_alike_or_unlike_by_their_noise():
    rng = np.random.default_rng(0)
    black, grey = (np.full((20, PIXELS), level) + rng.integers(0, 2, (20, PIXELS)) for level in (0, 90))
    assert shared_runs(black.astype(np.uint8), grey.astype(np.uint8), shortest=5) == [Run(0, 0, 20)]


def test_a_cut_without_pictures_shares_nothing():
    assert shared_runs(pictures_of([]), pictures_of([1, 2]), shortest=1) == []
    assert shared_runs(pictures_of([1, 2]), pictures_of([]), shortest=1) == []

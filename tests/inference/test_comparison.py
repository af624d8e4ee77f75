"""Differences against SciPy's intervals and by hand; passages of rendered films that were cut and encoded again."""

import numpy as np
import pytest
from recut import recut
from scipy.stats import ttest_ind, ttest_rel

from mgn_ma.grid import grid_timestamps_us
from mgn_ma.inference.comparison import Side, compare
from mgn_ma.inference.passages import Passage, find_passages
from mgn_ma.media.pictures import picture_track
from mgn_ma.media.probe import probe


def side(seconds, seed, members=5, curves=2):
    """Of equal weights."""
    times = grid_timestamps_us(int(seconds * 1_000_000))
    of_members = np.random.default_rng(seed).normal(0.5, 0.1, (members, len(times), curves))
    return Side(times, of_members.mean(axis=0), of_members, np.full(members, 1 / members))


def passages_of(a, b):
    length_of_a, length_of_b = probe(str(a)).duration_us, probe(str(b)).duration_us
    found, exact_us = find_passages(
        picture_track(str(a), length_of_a), picture_track(str(b), length_of_b), length_of_a, length_of_b
    )
    assert found[-1].a_end_us == length_of_a and found[-1].b_end_us == length_of_b
    return [tuple(round(t / 1e6, 3) for t in (p.a_start_us, p.a_end_us, p.b_start_us, p.b_end_us)) for p in found], (
        exact_us
    )


@pytest.fixture(scope="module")
def film(films):
    """Four seconds and a bit at 25 frames a second."""
    return next(path for path in films.glob("*.mp4") if probe(str(path)).fps == 25)


@pytest.fixture(scope="module")
def other(films, film):
    return next(path for path in films.glob("*.mp4") if path != film)


@pytest.fixture(scope="module")
def end(film):
    return probe(str(film)).duration_us / 1e6


def test_a_passage_cut_out_is_only_in_the_first_and_the_rest_is_aligned_to_the_frame(film, end, tmp_path):
    cut = recut(tmp_path / "cut.mp4", [(film, 0, 1.32), (film, 2.56, 99)])
    rest = end - 2.56
    expected = [(0, 1.32, 0, 1.32), (1.32, 2.56, 1.32, 1.32), (2.56, end, 1.32, round(1.32 + rest, 3))]
    assert passages_of(film, cut) == (expected, 40_000)
    turned = [(b_start, b_end, a_start, a_end) for a_start, a_end, b_start, b_end in expected]
    assert passages_of(cut, film) == (turned, 40_000)


def test_a_passage_put_in_and_another_size_and_coarser_and_darker(film, other, end, tmp_path):
    cut = recut(
        tmp_path / "cut.mp4",
        [(film, 0, 2.0), (other, 1.0, 1.8), (film, 2.0, 99)],
        size=(96, 96),
        crf=36,
        brightness=0.7,
    )
    assert passages_of(film, cut)[0] == [(0, 2, 0, 2), (2, 2, 2, 2.8), (2, end, 2.8, round(end + 0.8, 3))]


@pytest.mark.parametrize(("rate", "exact_us"), [(30, 40_000), (12, 83_333)])
def test_at_another_frame_rate_passages_are_exact_to_a_frame_of_the_slower(film, tmp_path, rate, exact_us):
    cut = recut(tmp_path / "cut.mp4", [(film, 0, 2.0), (film, 3.0, 4.0)], rate=rate)
    passages, told_us = passages_of(film, cut)
    assert told_us == exact_us
    shared = [p for p in passages if p[0] < p[1] and p[2] < p[3]]
    for found, expected in zip(shared, [(0, 2, 0, 2), (3, 4, 2, 3)], strict=True):
        assert found == pytest.approx(expected, abs=exact_us / 1e6)


def test_encoded_again_it_is_all_the_same(film, end, tmp_path):
    assert passages_of(film, recut(tmp_path / "again.mp4", [(film, 0, 99)], crf=36))[0] == [(0, end, 0, end)]


def test_two_films_share_nothing(film, other):
    found, _ = passages_of(film, other)
    assert [(a_end > a_start, b_end > b_start) for a_start, a_end, b_start, b_end in found] == [
        (True, False),
        (False, True),
    ]


def test_intervals_are_those_of_student_and_welch():
    a, b = side(3, 0), side(3, 1)
    whole = [Passage(0, 3_000_000, 0, 3_000_000)]
    paired, apart = (compare(a, b, whole, paired=paired) for paired in (True, False))
    for found, test in (
        (paired, ttest_rel(b.members, a.members)),
        (apart, ttest_ind(b.members, a.members, equal_var=False)),
    ):
        interval = test.confidence_interval(0.95)
        difference = found.difference
        np.testing.assert_allclose(difference.value, b.values - a.values, atol=1e-12)
        np.testing.assert_allclose(difference.value - difference.margin, interval.low, atol=1e-12)
        np.testing.assert_allclose(difference.value + difference.margin, interval.high, atol=1e-12)
    means = ttest_rel(b.members.mean(axis=1), a.members.mean(axis=1)).confidence_interval(0.95)
    for difference in (paired.whole, paired.shared):
        np.testing.assert_allclose(difference.value - difference.margin, means.low, atol=1e-12)


def test_members_that_weigh_more_make_the_interval_wider():
    a, b = side(3, 0), side(3, 1)
    heavy = [Side(x.timestamps_us, x.values, x.members, np.array([1.0, 0, 0, 0, 0])) for x in (a, b)]
    whole = [Passage(0, 3_000_000, 0, 3_000_000)]
    equal, uneven = compare(a, b, whole, paired=True), compare(*heavy, whole, paired=True)
    np.testing.assert_allclose(uneven.difference.margin, equal.difference.margin * 5**0.5)


def test_what_one_lacks_has_no_difference_and_every_frame_of_the_first_has_one_row():
    a, b = side(4, 0), side(3, 1)
    passages = [Passage(0, 1_000_000, 0, 1_000_000), Passage(1_000_000, 3_000_000, 1_000_000, 1_000_000)]
    passages += [
        Passage(3_000_000, 3_000_000, 1_000_000, 2_000_000),
        Passage(3_000_000, 4_000_000, 2_000_000, 3_000_000),
    ]
    found = compare(a, b, passages, paired=True)
    assert found.passage.tolist() == [0] * 6 + [1] * 12 + [2] * 6 + [3] * 6
    assert found.a_us[found.passage != 2].tolist() == a.timestamps_us.tolist()
    assert found.b_us[found.passage == 2].tolist() == b.timestamps_us[6:12].tolist()
    assert (found.a_us[found.passage == 2] == 3_000_000).all() and (found.b_us[found.passage == 1] == 1_000_000).all()
    has_both = np.isin(found.passage, [0, 3])
    assert (np.isfinite(found.difference.value).all(axis=1) == has_both).all()
    assert (np.isfinite(found.a).all(axis=1) == (found.passage != 2)).all()
    assert (np.isfinite(found.b).all(axis=1) == (found.passage != 1)).all()
    np.testing.assert_allclose(found.difference.value[18 + 6 :], b.values[12:] - a.values[18:])
    np.testing.assert_allclose(found.whole.value, b.values.mean(axis=0) - a.values.mean(axis=0))
    shared = np.concatenate([b.values[:6] - a.values[:6], b.values[12:] - a.values[18:]]).mean(axis=0)
    np.testing.assert_allclose(found.shared.value, shared)


def test_between_two_frames_of_the_grid_the_curve_goes_straight():
    a, b = side(2, 0), side(2, 1)
    late = 40_000
    found = compare(a, b, [Passage(0, 1_900_000, late, 1_900_000 + late)], paired=True)
    for c in range(2):
        np.testing.assert_allclose(found.b[:, c], np.interp(a.timestamps_us + late, b.timestamps_us, b.values[:, c]))


def test_with_one_member_there_is_no_interval_and_the_same_twice_does_not_differ():
    one = side(1, 0, members=1)
    whole = [Passage(0, 1_000_000, 0, 1_000_000)]
    found = compare(one, one, whole, paired=True)
    assert np.isnan(found.difference.margin).all() and (found.difference.value == 0).all()
    five = side(1, 0)
    assert (compare(five, five, whole, paired=True).difference.margin == 0).all()


def test_without_a_shared_passage_there_are_only_means_of_the_whole():
    a, b = side(1, 0), side(2, 1)
    apart = [Passage(0, 1_000_000, 0, 0), Passage(1_000_000, 1_000_000, 0, 2_000_000)]
    found = compare(a, b, apart, paired=True)
    assert np.isnan(found.shared.value).all() and np.isfinite(found.whole.value).all()

"""What differs between two predictions: of two cuts of a video, or of one video by two models.

The difference is that of the two ensembles. How sure it is, is told from its members: each is a training of its own
(another seed), and where they disagree the difference is a matter of the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mgn_ma.inference.model import Model
from mgn_ma.inference.passages import Passage

if TYPE_CHECKING:
    from mgn_ma.inference.predictor import VideoPrediction

CONFIDENCE = 0.95

_Floats = npt.NDArray[np.float64]
_Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two predictions.

    Attributes:
        timestamps_us: (F,) the 6 Hz grid.
        values: (F, C) the ensemble's curves.
        members: (K, F, C) the curves that each member would give if it were the ensemble.
        weights: (K,) of the members in the ensemble; they sum to 1.
    """

    timestamps_us: _Times
    values: _Floats
    members: _Floats
    weights: _Floats

    @classmethod
    def of(cls, video_id: str, prediction: VideoPrediction, bundle: Model) -> Side:
        """The side that a bundle's prediction of a video is."""
        times = prediction.timestamps_us
        members = np.stack([bundle.reacted(video_id, curves, times) for curves in prediction.members])
        return cls(times, prediction.values.astype(np.float64), members.astype(np.float64), np.asarray(bundle.weights))


@dataclass(frozen=True, slots=True)
class Difference:
    """B less A, with half the width of its interval, which is NaN where a model has one member.

    Attributes:
        value: (..., C).
        margin: (..., C), half of the interval of ``CONFIDENCE`` over the members.
    """

    value: _Floats
    margin: _Floats


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both curves on one time line, on which passages of both and of one follow each other.

    Attributes:
        passage: (R,) number of the passage that each row is of.
        a_us: (R,) time in A, where A has the passage; else where A goes on.
        b_us: (R,) likewise in B.
        a: (R, C) the curves of A, NaN where A lacks the passage.
        b: (R, C) likewise of B.
        difference: (R, C), NaN where one lacks it.
        whole: (C,) of the means over all of A and all of B, whatever the other lacks.
        shared: (C,) of the means over the shared passages; NaN where there are none.
    """

    passage: _Times
    a_us: _Times
    b_us: _Times
    a: _Floats
    b: _Floats
    difference: Difference
    whole: Difference
    shared: Difference


def compare(a: Side, b: Side, passages: Sequence[Passage], *, paired: bool) -> Comparison:
    """Compare two predictions.

    In a shared passage there is a row a frame of A's grid, and the curves of B are interpolated between the two frames
    of B's grid around the same picture. What one alone has is on its own grid.

    Args:
        passages: all of both, in order.
        paired: both are predicted by the same members: then each member's own difference counts, and what a member
            gets wrong in both alike is no part of the interval.
    """
    of_a, of_b, numbers = [], [], []
    for number, passage in enumerate(passages):
        times_a = _within(a.timestamps_us, passage.a_start_us, passage.a_end_us)
        times_b = _within(b.timestamps_us, passage.b_start_us, passage.b_end_us)
        if passage.is_shared:
            times_b = times_a + (passage.b_start_us - passage.a_start_us)
        elif len(times_a):
            times_b = np.full(len(times_a), passage.b_start_us)
        else:
            times_a = np.full(len(times_b), passage.a_start_us)
        of_a.append(times_a)
        of_b.append(times_b)
        numbers.append(np.full(len(times_a), number))
    row_passage, a_us, b_us = (np.concatenate(parts).astype(np.int64) for parts in (numbers, of_a, of_b))
    in_a = np.array([passage.a_start_us < passage.a_end_us for passage in passages])[row_passage]
    in_b = np.array([passage.b_start_us < passage.b_end_us for passage in passages])[row_passage]
    both = in_a & in_b
    members_a, members_b = _at(a, a.members, a_us), _at(b, b.members, b_us)
    values_a, values_b = _at(a, a.values, a_us), _at(b, b.values, b_us)
    margin = _margin(members_a, members_b, a, b, paired=paired)
    return Comparison(
        row_passage,
        a_us,
        b_us,
        np.where(in_a[:, None], values_a, np.nan),
        np.where(in_b[:, None], values_b, np.nan),
        Difference(np.where(both[:, None], values_b - values_a, np.nan), np.where(both[:, None], margin, np.nan)),
        _of_means(a.values, b.values, a.members, b.members, a, b, paired=paired),
        _of_means(values_a[both], values_b[both], members_a[:, both], members_b[:, both], a, b, paired=paired),
    )


def _of_means(
    values_a: _Floats, values_b: _Floats, members_a: _Floats, members_b: _Floats, a: Side, b: Side, *, paired: bool
) -> Difference:
    """(C,) difference of the means over the rows."""
    if not len(values_a):
        nothing = np.full(values_a.shape[1], np.nan)
        return Difference(nothing, nothing)
    margin = _margin(members_a.mean(axis=1), members_b.mean(axis=1), a, b, paired=paired)
    return Difference(values_b.mean(axis=0) - values_a.mean(axis=0), margin)


def _margin(members_a: _Floats, members_b: _Floats, a: Side, b: Side, *, paired: bool) -> _Floats:
    """Half of Student's interval of the difference of two weighted means over members (K, ...).

    Not paired, it is Welch's.
    """
    from scipy.stats import t

    if min(len(members_a), len(members_b)) < 2:
        return np.full(members_a.shape[1:], np.nan)
    quantile = (1 + CONFIDENCE) / 2
    if paired:
        variance = _variance(members_b - members_a, a.weights)
        return np.asarray(t.ppf(quantile, len(members_a) - 1) * np.sqrt(variance))
    of_a, of_b = _variance(members_a, a.weights), _variance(members_b, b.weights)
    both = of_a + of_b
    spread = of_a**2 / (len(members_a) - 1) + of_b**2 / (len(members_b) - 1)
    freedom = np.divide(both**2, spread, out=np.ones_like(both), where=spread > 0)
    return np.asarray(t.ppf(quantile, freedom) * np.sqrt(both))


def _variance(members: _Floats, weights: _Floats) -> _Floats:
    """Of the weighted mean of K members that are drawn from one distribution."""
    return np.asarray(members.var(axis=0, ddof=1) * np.sum(weights**2))


def _within(times_us: _Times, start_us: int, end_us: int) -> _Times:
    return times_us[(start_us <= times_us) & (times_us < end_us)]


def _at(side: Side, curves: _Floats, times_us: _Times) -> _Floats:
    """(..., R, C) of curves (..., F, C) between the frames of the grid; beyond the last frame, that of the last."""
    position = np.interp(times_us, side.timestamps_us, np.arange(len(side.timestamps_us)))
    before = position.astype(np.int64)
    after = np.minimum(before + 1, len(side.timestamps_us) - 1)
    share = (position - before)[:, None]
    return np.asarray(curves[..., before, :] * (1 - share) + curves[..., after, :] * share)

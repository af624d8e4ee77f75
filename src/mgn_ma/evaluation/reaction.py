"""Viewers react late, and for a while: a delay and a smoothing of the ensemble's curves, fitted where labels are known.

A model that sees one moment says what this moment will do to people; their faces show it later. Two numbers make most
of the difference: how much later (the delay), and over how long a moment is felt (the time constant of an exponential
average). The average is of the past alone (``causal``: what a live picture allows) or of both sides (``centred``,
Laplace's kernel). Both numbers are chosen from a grid by the challenge's score, one pair for all expressions or one for
each, and cross-validated over videos as the weights of the members are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from mgn_ma.configuration import Configuration
from mgn_ma.eev.correlation import ConstantPolicy, mean_of_defined, score_of
from mgn_ma.evaluation.bootstrap import BootstrapConfig, resampled_means, tails
from mgn_ma.grid import RATE_HZ

ReactionMethod = Literal["none", "causal", "causal_by_expression", "centred", "centred_by_expression"]

REACTIONS: tuple[ReactionMethod, ...] = get_args(ReactionMethod)

DELAYS_S: Final = tuple(step / RATE_HZ for step in range(4 * RATE_HZ + 1))
"""0 to 4 s in steps of the grid."""
TIME_CONSTANTS_S: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)

BY_EXPRESSION: Final = "_by_expression"

_Matrix = npt.NDArray[np.floating[Any]]
_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]


class Reaction(Configuration):
    """How the curves of C expressions become viewers' reactions.

    Attributes:
        centred: average over both sides of a moment, not over its past alone.
        delays_s: (C,) by how much the averaged curve is shifted.
        time_constants_s: (C,) of the exponential average; 0 averages nothing.
    """

    centred: bool
    delays_s: tuple[float, ...]
    time_constants_s: tuple[float, ...]

    @property
    def lags_s(self) -> tuple[float, ...]:
        """(C,) how much later the reaction is in the mean: an average over the past is late by its time constant."""
        if self.centred:
            return self.delays_s
        return tuple(delay + constant for delay, constant in zip(self.delays_s, self.time_constants_s, strict=True))

    def apply(self, values: _Matrix, timestamps_us: _Integers) -> _Floats:
        """The reactions (n, C) to the curves ``values`` (n, C) of one video, within the range of each curve.

        Args:
            timestamps_us: (n,) ascending; they need not be evenly spaced.
        """
        averaged = average(values, timestamps_us, np.array(self.time_constants_s), centred=self.centred)
        shifted = averaged.copy()
        for delay in set(self.delays_s) - {0.0}:
            columns = np.array(self.delays_s) == delay
            shifted[:, columns] = shift(averaged[:, columns], timestamps_us, delay)
        return shifted


def average(values: _Matrix, timestamps_us: _Integers, time_constants_s: _Floats, *, centred: bool) -> _Floats:
    """Exponential average of each column of ``values`` (n, K) with its time constant (K,).

    It starts from the first value, and a centred one goes back from the last average, so that a constant stays one.
    What a value counts decays with the time that has passed, not with the number of rows: rows may be missing.
    """
    averaged = values.astype(np.float64)
    columns = np.flatnonzero(time_constants_s > 0)
    if not len(columns):
        return averaged
    seconds = np.diff(timestamps_us) / 1e6
    # Two steps of the grid differ by a microsecond, if at all: few decays are worth more than one for each row.
    steps, step_of_row = np.unique(seconds, return_inverse=True)
    new = -np.expm1(-steps[:, None] / time_constants_s[columns])
    some = averaged[:, columns]
    for row, step in enumerate(step_of_row, start=1):
        some[row] = some[row - 1] + new[step] * (some[row] - some[row - 1])
    if centred:
        for row in range(len(step_of_row) - 1, -1, -1):
            some[row] = some[row + 1] + new[step_of_row[row]] * (some[row] - some[row + 1])
    averaged[:, columns] = some
    return averaged


def shift(values: _Floats, timestamps_us: _Integers, delay_s: float) -> _Floats:
    """``values`` (n, K) as they were ``delay_s`` ago, between rows in proportion; before the first row, as it is."""
    if len(timestamps_us) == 1:
        return values.copy()
    ago = np.maximum(timestamps_us - delay_s * 1e6, timestamps_us[0])
    after = np.clip(np.searchsorted(timestamps_us, ago, side="right"), 1, len(timestamps_us) - 1)
    before = after - 1
    share = (ago - timestamps_us[before]) / (timestamps_us[after] - timestamps_us[before])
    # In place: making room for so many short-lived arrays takes longer than the sums.
    shifted: _Floats = values.take(after, axis=0)
    earlier = values.take(before, axis=0)
    shifted -= earlier
    shifted *= share[:, None]
    shifted += earlier
    return shifted


@dataclass(frozen=True, slots=True)
class LabelledCurves:
    """An ensemble's curves of V videos and what would have been right, to learn a reaction from.

    Attributes:
        whole: (F, C) of the ensemble that has learned from all of the videos.
        without_fold: for a fold the curves (F, C) of the ensemble that has learned from the other folds; ``whole``
            itself where there was nothing to learn.
        labels: (F, C).
        timestamps_us: (F,).
        offsets: (V + 1,) first row of every video, then F.
        fold_of_video: (V,).
    """

    whole: _Matrix
    without_fold: Callable[[int], _Matrix]
    labels: _Matrix
    timestamps_us: _Integers
    offsets: _Integers
    fold_of_video: _Integers


@dataclass(frozen=True, slots=True)
class LearnedReaction:
    """One way to react, and how it scores.

    Attributes:
        reaction: learned on all videos.
        video_reactions: V, for each video the one that was learned without its fold.
        r: (V, C) correlations with ``video_reactions``.
        in_sample: score of ``reaction`` on the videos that it was learned on.
        lag_bounds_s: (2, C) interval over videos of the mean lag; NaN for fewer than two videos.
    """

    reaction: Reaction
    video_reactions: tuple[Reaction, ...]
    r: _Floats
    in_sample: float
    lag_bounds_s: _Floats

    @property
    def score(self) -> float:
        """Cross-validated challenge score."""
        return score_of(self.r)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """G pairs of a delay and a time constant, the smallest first."""

    centred: bool
    delays_s: _Floats
    time_constants_s: _Floats

    def reaction(self, chosen: _Integers) -> Reaction:
        """The reaction of the candidates ``chosen`` (C,)."""
        return Reaction(
            centred=self.centred,
            delays_s=tuple(self.delays_s[chosen].tolist()),
            time_constants_s=tuple(self.time_constants_s[chosen].tolist()),
        )


def learn_reactions(
    methods: Sequence[ReactionMethod],
    curves: LabelledCurves,
    bootstrap: BootstrapConfig,
    constant: ConstantPolicy = "left_out",
) -> dict[ReactionMethod, LearnedReaction]:
    """Learn ways to react, each on all videos and, for its score, on all but each fold."""
    learned: dict[ReactionMethod, LearnedReaction] = {}
    for shape, of_shape in groupby(methods, key=lambda method: method.removesuffix(BY_EXPRESSION)):
        candidates = _candidates(shape)
        whole = _candidate_correlations(curves.whole, curves, candidates, constant)
        folds = []
        for fold in np.unique(curves.fold_of_video):
            values = curves.without_fold(int(fold))
            same = values is curves.whole
            of_fold = whole if same else _candidate_correlations(values, curves, candidates, constant)
            folds.append((curves.fold_of_video == fold, of_fold))
        for method in of_shape:
            learned[method] = _learn(candidates, whole, folds, bootstrap, by_expression=method.endswith(BY_EXPRESSION))
    return learned


def _candidates(shape: str) -> _Candidates:
    delays, constants = ((0.0,), (0.0,)) if shape == "none" else (DELAYS_S, TIME_CONSTANTS_S)
    return _Candidates(shape == "centred", np.repeat(delays, len(constants)), np.tile(constants, len(delays)))


def _candidate_correlations(
    values: _Matrix, curves: LabelledCurves, candidates: _Candidates, constant: ConstantPolicy
) -> _Floats:
    """(V, G, C) of the labels with each candidate's reaction to ``values`` (F, C)."""
    delays, constants = np.unique(candidates.delays_s), np.unique(candidates.time_constants_s)
    n_videos, n_series = len(curves.offsets) - 1, values.shape[1]
    r = np.empty((n_videos, len(delays), len(constants), n_series))
    for video, (start, stop) in enumerate(pairwise(curves.offsets.tolist())):
        times = curves.timestamps_us[start:stop]
        # A column for each time constant and expression: a candidate is one of these averages, shifted.
        several = np.tile(values[start:stop], len(constants))
        averaged = average(several, times, np.repeat(constants, n_series), centred=candidates.centred)
        truth, lengths = _centred(curves.labels[start:stop].astype(np.float64))
        truths = np.tile(np.divide(truth, lengths, out=truth, where=lengths > 0), len(constants))
        for position, delay in enumerate(delays):
            shifted, of_shifted = _centred(shift(averaged, times, delay))
            products = np.einsum("nk,nk->k", shifted, truths)
            found = np.divide(products, of_shifted, out=np.zeros_like(products), where=of_shifted > 0)
            r[video, position] = found.reshape(len(constants), n_series)
        if constant == "left_out":
            r[video, :, :, lengths == 0] = np.nan
    return r.reshape(n_videos, len(candidates.delays_s), n_series)


def _centred(series: _Floats) -> tuple[_Floats, _Floats]:
    """Series (n, K) about their means, in place, and their lengths (K,); exactly 0 where constant."""
    series -= series[:1].copy()
    series -= series.mean(axis=0)
    return series, np.sqrt(np.einsum("nk,nk->k", series, series))


def _learn(
    candidates: _Candidates,
    whole: _Floats,
    folds: list[tuple[npt.NDArray[np.bool_], _Floats]],
    bootstrap: BootstrapConfig,
    *,
    by_expression: bool,
) -> LearnedReaction:
    n_videos, _, n_series = whole.shape
    expressions = np.arange(n_series)
    r = np.empty((n_videos, n_series))
    reactions: dict[int, Reaction] = {}
    for in_fold, of_fold in folds:
        chosen = _choose(of_fold[~in_fold], by_expression=by_expression)
        r[in_fold] = of_fold[in_fold][:, chosen, expressions]
        reactions |= dict.fromkeys(np.flatnonzero(in_fold).tolist(), candidates.reaction(chosen))
    chosen = _choose(whole, by_expression=by_expression)
    return LearnedReaction(
        candidates.reaction(chosen),
        tuple(reactions[video] for video in range(n_videos)),
        r,
        score_of(whole[:, chosen, expressions]),
        _lag_bounds(candidates, whole, bootstrap, by_expression=by_expression),
    )


def _choose(r: _Floats, *, by_expression: bool) -> _Integers:
    """(C,) the candidate with the highest score on the correlations ``r`` (V, G, C); the first where none has any."""
    scores = _scored(r, by_expression=by_expression)  # (V, G, C) or (V, G, 1)
    return np.broadcast_to(_best(mean_of_defined(scores, axis=0), axis=0), (r.shape[2],))


def _lag_bounds(candidates: _Candidates, r: _Floats, config: BootstrapConfig, *, by_expression: bool) -> _Floats:
    """(2, C) which lags are chosen when the videos are drawn again."""
    bounds = np.full((2, r.shape[2]), np.nan)
    if len(r) < 2:
        return bounds
    scores = _scored(r, by_expression=by_expression)
    lags = np.array(candidates.reaction(np.arange(len(candidates.delays_s))).lags_s)
    for series in range(scores.shape[2]):
        means = resampled_means(scores[:, :, series], config)  # (resamples, G)
        columns = [series] if by_expression else slice(None)
        bounds[:, columns] = np.quantile(lags[_best(means, axis=1)], tails(config))[:, None]
    return bounds


def _scored(r: _Floats, *, by_expression: bool) -> _Floats:
    """What a choice maximises the mean over videos of: each expression's own correlation, or the mean of all."""
    return r if by_expression else mean_of_defined(r, axis=2)[:, :, None]


def _best(means: _Floats, axis: int) -> _Integers:
    """Which is the highest along ``axis``; the first where none is defined."""
    return np.asarray(np.argmax(np.where(np.isnan(means), -np.inf, means), axis=axis))

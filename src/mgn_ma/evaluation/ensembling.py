"""From members to one prediction: the paper's mean (section 3.3) and three methods that know how it is scored.

Correlation ignores scale, and members may not share one: ``standardised_mean`` gives each the same spread in a video
before the mean. ``greedy`` selects members with replacement (Caruana et al. 2004), ``stacking`` finds non-negative
least squares weights of the standardised members. Whatever is learned is learned by cross-validation over videos, so
that no video is scored with weights that have seen its labels; other splits get the weights of all validation videos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.correlation import score_of
from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.mixture_scores import MemberMoments
from mgn_ma.evaluation.reaction import ReactionMethod

EnsemblingMethod = Literal["mean", "standardised_mean", "greedy", "stacking"]

METHODS: tuple[EnsemblingMethod, ...] = get_args(EnsemblingMethod)

_STANDARDISED: frozenset[EnsemblingMethod] = frozenset({"standardised_mean", "stacking"})

_Matrix = npt.NDArray[np.floating[Any]]
_Floats = npt.NDArray[np.float64]


class EnsemblingConfig(Configuration):
    """Which methods make the ensemble's predictions; all are scored and reported."""

    method: EnsemblingMethod = "mean"
    reaction: ReactionMethod = "none"
    """How the members' combined curves become viewers' reactions."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Of the cross-validation over videos."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Deals the videos to the folds."""
    greedy_rounds: Annotated[int, Field(ge=1)] = 25
    """Members that greedy selection picks at most; the best scoring prefix of its picks is kept."""


@dataclass(frozen=True, slots=True)
class LearnedMethod:
    """One method's weights, and how it scores.

    Attributes:
        weights: (M,) learned on all videos, sum 1.
        standardised: whether members are standardised within each video before they are weighted.
        video_weights: (V, M) for each video the weights that were learned without its fold.
        r: (V, C) correlations with ``video_weights``.
        in_sample: score of ``weights`` on the videos that they were learned on.
    """

    weights: _Floats
    standardised: bool
    video_weights: _Floats
    r: _Floats
    in_sample: float

    @property
    def score(self) -> float:
        """Cross-validated challenge score."""
        return score_of(self.r)


def learn_all(moments: MemberMoments, config: EnsemblingConfig) -> dict[EnsemblingMethod, LearnedMethod]:
    """Learn every method on all videos and, for its score, on all but each fold."""
    return {method: learn(method, moments, config) for method in METHODS}


def learn(method: EnsemblingMethod, moments: MemberMoments, config: EnsemblingConfig) -> LearnedMethod:
    """Learn one method on all videos and, for its score, on all but each fold."""
    standardised = method in _STANDARDISED
    usable = moments.standardised() if standardised else moments
    fit = _LEARNERS[method]
    n_videos = len(moments.truth)
    fold_of_video = deal_folds(n_videos, config)
    video_weights = np.empty((n_videos, moments.n_members))
    for fold in np.unique(fold_of_video):
        others = np.flatnonzero(fold_of_video != fold)
        video_weights[fold_of_video == fold] = fit(usable.of_videos(others), config)
    weights = fit(usable, config)
    return LearnedMethod(
        weights, standardised, video_weights, usable.correlations(video_weights), usable.score(weights)
    )


def deal_folds(n_videos: int, config: EnsemblingConfig) -> npt.NDArray[np.int64]:
    """(V,) fold of every video: folds of equal size give or take one, each with one video at least."""
    folds = np.arange(n_videos, dtype=np.int64) % min(config.folds, max(n_videos, 1))
    return np.asarray(np.random.default_rng(config.seed).permutation(folds))


def _equal_weights(moments: MemberMoments, config: EnsemblingConfig) -> _Floats:
    return np.full(moments.n_members, 1 / moments.n_members, dtype=np.float64)


def _select_greedily(moments: MemberMoments, config: EnsemblingConfig) -> _Floats:
    """Add the member that raises the score most, again and again; the best prefix's counts are the weights."""
    counts = np.zeros(moments.n_members)
    best_score, best_counts = -np.inf, np.ones(moments.n_members)
    for _ in range(config.greedy_rounds):
        scores = [moments.score(counts + picked) for picked in np.eye(moments.n_members)]
        if np.isnan(scores).any():  # No video says anything: all members count the same.
            break
        counts[int(np.argmax(scores))] += 1
        if max(scores) > best_score:
            best_score, best_counts = max(scores), counts.copy()
    return np.asarray(best_counts / best_counts.sum())


def _stack(moments: MemberMoments, config: EnsemblingConfig) -> _Floats:
    """Non-negative least squares of the standardised truth on the standardised members.

    Every expression of a video weighs the same, and every video, as in eq. 4; the normal equations are averages of
    correlations: between members, and of members with the truth.
    """
    from scipy.optimize import nnls

    usable = moments.truth > 0
    share = np.divide(1.0, usable.sum(axis=1, keepdims=True), where=usable, out=np.zeros(usable.shape))
    scale = np.divide(1.0, np.sqrt(moments.truth), where=usable, out=np.zeros(usable.shape))
    among = np.einsum("vc,vcmn->mn", share, moments.members)
    with_truth = np.einsum("vc,vcm->m", share * scale, moments.with_truth)
    # A little ridge shares the weight between members that are the same.
    among += 1e-6 * max(float(np.trace(among)), 1.0) * np.eye(moments.n_members)
    root = np.linalg.cholesky(among).T
    weights, _ = nnls(root, np.linalg.solve(root.T, with_truth))
    total = weights.sum()
    return weights / total if total > 0 else _equal_weights(moments, config)


_LEARNERS: Mapping[EnsemblingMethod, Callable[[MemberMoments, EnsemblingConfig], _Floats]] = {
    "mean": _equal_weights,
    "standardised_mean": _equal_weights,
    "greedy": _select_greedily,
    "stacking": _stack,
}


def combine(
    predictions: Sequence[_Matrix],
    offsets: npt.NDArray[np.int64],
    weights: _Floats,
    targets: Targets,
    *,
    standardised: bool,
) -> npt.NDArray[np.float32]:
    """The ensemble's prediction (F, C), in the targets' range if the members' are.

    Standardised members are averaged about their means and in units of their deviations within each video; the result
    gets the members' average level and deviation back, less of it where it would leave the range (which correlation
    doesn't see). A constant member adds nothing to it but its level.

    Args:
        predictions: M of (F, C).
        offsets: (V + 1,) first row of every video, then F.
        weights: (M,), or (V, M) where every video has its own; each sums to 1.
        targets: C.
    """
    n_videos = len(offsets) - 1
    each = np.broadcast_to(weights, (n_videos, len(predictions)))
    combined = np.empty(predictions[0].shape, dtype=np.float32)
    for video in range(n_videos):
        rows = slice(int(offsets[video]), int(offsets[video + 1]))
        members = np.stack([member[rows] for member in predictions]).astype(np.float64)  # (M, n, C)
        combined[rows] = (
            _mix_standardised(members, each[video], targets) if standardised else _mix(members, each[video])
        )
    return combined


def _mix(members: _Floats, weights: _Floats) -> _Floats:
    return np.asarray(np.tensordot(weights, members, axes=1))


def gains(
    predictions: Sequence[_Matrix], weights: _Floats, targets: Targets, *, standardised: bool
) -> npt.NDArray[np.float64]:
    """(M, C): what the combination for one video changes by where a member's curve changes by 1.

    Where members are standardised, it is with the units that the video gives them: those don't change with the curve.

    Args:
        predictions: M of (n, C), of one video.
        weights: (M,).
        targets: C.
    """
    members = np.stack(predictions).astype(np.float64)  # (M, n, C)
    if standardised:
        return _standardised(members, weights, targets)[2]
    return np.repeat(weights[:, None], members.shape[2], axis=1)


def _mix_standardised(members: _Floats, weights: _Floats, targets: Targets) -> _Floats:
    level, means, factors = _standardised(members, weights, targets)
    course = np.einsum("mc,mnc->nc", factors, members - means)
    # The clip is for rounding only.
    return targets.clip(level + course)


def _standardised(members: _Floats, weights: _Floats, targets: Targets) -> tuple[_Floats, _Floats, _Floats]:
    """The level (1, C), the means (M, 1, C) of M members (n, C), and by what to multiply what is above them, (M, C)."""
    constant = members.max(axis=1, keepdims=True) == members.min(axis=1, keepdims=True)
    means = members.mean(axis=1, keepdims=True)
    deviations = np.where(constant, 0.0, members.std(axis=1, keepdims=True))
    units = np.divide(1.0, deviations, out=np.zeros_like(deviations), where=deviations > 0)
    level, deviation, course = (_mix(part, weights) for part in (means, deviations, (members - means) * units))
    highest, lowest = course.max(axis=0), course.min(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.fmin(
            np.where(highest > 0, (targets.maximum - level) / highest, np.inf),
            np.where(lowest < 0, (targets.minimum - level) / lowest, np.inf),
        )
    return level, means, weights[:, None] * units[:, 0] * np.minimum(deviation, np.maximum(room, 0.0))

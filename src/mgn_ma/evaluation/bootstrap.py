"""How sure a mean over videos is: the bootstrap over videos, and the paired one for "A scores higher than B".

Frames of a video are far from independent, videos are independent of each other: so whole videos are drawn again. All
draws are made at once as counts (resamples, V), and a resampled mean is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.configuration import Configuration

_Floats = npt.NDArray[np.float64]
_DRAWS_AT_ONCE = 4_000_000


class BootstrapConfig(Configuration):
    """How many times the videos are drawn again, and what an interval covers."""

    resamples: Annotated[int, Field(ge=100)] = 4000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: Annotated[int, Field(ge=0)] = 0
    """The same videos are drawn for everything that has the same number of videos, so that comparisons are paired."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over videos with its percentile interval; bounds are NaN for fewer than two videos."""

    estimate: float
    low: float
    high: float
    n_videos: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean difference A - B over the videos that both have, with its interval.

    Attributes:
        p_not_higher: share of resamples in which A does not score higher, never quite 0: one-sided.
    """

    difference: float
    low: float
    high: float
    p_not_higher: float
    n_videos: int


def resampled_means(values: _Floats, config: BootstrapConfig) -> _Floats:
    """Means of resampled videos, each series over what it has defined.

    Args:
        values: (V, K), NaN where a video has no value.

    Returns:
        (resamples, K), NaN where a resample has no defined value.
    """
    n_videos = len(values)
    defined = ~np.isnan(values)
    filled = np.where(defined, values, 0.0)
    random = np.random.default_rng(config.seed)
    means = np.empty((config.resamples, values.shape[1]))
    step = max(1, _DRAWS_AT_ONCE // max(n_videos, 1))
    for start in range(0, config.resamples, step):
        n = min(step, config.resamples - start)
        drawn = random.integers(0, n_videos, size=(n, n_videos)) + n_videos * np.arange(n)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n * n_videos).reshape(n, n_videos).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means[start : start + n] = (counts @ filled) / (counts @ defined)
    return means


def intervals(values: _Floats, config: BootstrapConfig) -> list[Interval]:
    """Mean and interval of every column of ``values`` (V, K) over the videos that it is defined for."""
    n_defined = (~np.isnan(values)).sum(axis=0)
    bounds = np.full((2, values.shape[1]), np.nan)
    usable = n_defined > 1
    if usable.any():
        bounds[:, usable] = np.nanquantile(resampled_means(values[:, usable], config), tails(config), axis=0)
    return [
        Interval(
            estimate=float(np.nanmean(values[:, column])) if n else float("nan"),
            low=float(bounds[0, column]),
            high=float(bounds[1, column]),
            n_videos=int(n),
        )
        for column, n in enumerate(n_defined)
    ]


def interval(scores: _Floats, config: BootstrapConfig) -> Interval:
    """Mean and interval of one score a video (V,); videos whose score is NaN are left out."""
    return intervals(scores[~np.isnan(scores)][:, None], config)[0]


def compare(scores: _Floats, others: _Floats, config: BootstrapConfig) -> Comparison:
    """Whether ``scores`` (V,) are higher than ``others`` (V,) of the same videos, in the mean over both's videos."""
    difference = scores - others
    difference = difference[~np.isnan(difference)]
    if len(difference) < 2:
        mean = float(difference.mean()) if len(difference) else float("nan")
        return Comparison(mean, float("nan"), float("nan"), float("nan"), len(difference))
    means = resampled_means(difference[:, None], config)[:, 0]
    low, high = np.quantile(means, tails(config))
    p_not_higher = (1 + int((means <= 0).sum())) / (1 + len(means))
    return Comparison(float(difference.mean()), float(low), float(high), p_not_higher, len(difference))


def tails(config: BootstrapConfig) -> tuple[float, float]:
    """Quantiles that bound the interval."""
    tail = (1 - config.confidence) / 2
    return tail, 1 - tail

"""Statistics of pictures that descriptors share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating[Any]]


def cell_means(planes: AnyFloats, cells: int) -> AnyFloats:
    """(N, H, W, …) to the means of each of ``cells`` x ``cells`` parts of the picture, (N, parts …)."""
    height, width = planes.shape[1:3]
    tops, lefts = np.arange(cells) * height // cells, np.arange(cells) * width // cells
    sums = np.add.reduceat(np.add.reduceat(planes, tops, axis=1), lefts, axis=2)
    sizes = np.outer(np.diff([*tops, height]), np.diff([*lefts, width]))
    means: AnyFloats = sums / sizes.reshape(cells, cells, *[1] * (planes.ndim - 3))
    return means.reshape(len(planes), -1)


def histograms(bins: npt.NDArray[np.int64], n_bins: int, weights: AnyFloats | None = None) -> npt.NDArray[Any]:
    """(N, …) numbers of bins, of which each counts as its weight or 1, to N histograms, (N, n_bins)."""
    numbers = bins.reshape(len(bins), -1) + np.arange(len(bins))[:, None] * n_bins
    flat_weights = None if weights is None else weights.ravel()
    return np.bincount(numbers.ravel(), flat_weights, minlength=len(bins) * n_bins).reshape(-1, n_bins)

"""Linear regression of what happens within videos, with a penalty that cross-validation over videos chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_PENALTIES = 10.0 ** np.arange(-4.0, 3.0, 0.5)
_FOLDS = 4
_SMALLEST_DEVIATION = 1e-6


def fit_within(features: Sequence[Array], targets: Sequence[Array]) -> Array:
    """Weights (D, T) that give each target best for videos that they were not fitted on, levels of videos apart.

    Args:
        features: (F, D) for each video.
        targets: (F, T) for each video.
    """
    x, y = ([centred(values) for values in videos] for videos in (features, targets))
    deviations = np.maximum(np.concatenate(x).std(axis=0), _SMALLEST_DEVIATION)
    x = [values / deviations for values in x]
    products = np.stack([values.T @ values for values in x])
    shared = np.stack([values.T @ wanted for values, wanted in zip(x, y, strict=True)])
    fold = np.arange(len(x)) % _FOLDS
    errors = np.zeros((len(_PENALTIES), y[0].shape[1]))
    for held_out in range(_FOLDS):
        weights = _solutions(products[fold != held_out].sum(axis=0), shared[fold != held_out].sum(axis=0))
        # |Xw - y|^2 but for |y|^2, which is the same for all penalties.
        of_fold, with_target = products[fold == held_out].sum(axis=0), shared[fold == held_out].sum(axis=0)
        errors += np.einsum("pdt,pdt->pt", weights, of_fold @ weights - 2 * with_target)
    whole = _solutions(products.sum(axis=0), shared.sum(axis=0))
    best = errors.argmin(axis=0)
    return whole[best, :, np.arange(len(best))].T / deviations[:, None]


def centred(values: npt.ArrayLike) -> Array:
    """Series (F, …) about their means."""
    series = np.asarray(values, dtype=np.float64)
    return series - series.mean(axis=0)


def _solutions(products: Array, shared: Array) -> Array:
    """(penalties, D, T), a penalty being a share of the features' mean square."""
    values, vectors = np.linalg.eigh(products)
    scale = max(float(np.trace(products)) / len(products), np.finfo(float).tiny)
    return np.stack(
        [vectors @ ((vectors.T @ shared) / (np.maximum(values, 0) + each * scale)[:, None]) for each in _PENALTIES]
    )

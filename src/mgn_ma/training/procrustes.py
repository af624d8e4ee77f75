"""Brings one set of vectors as close to another as a rotation and a shift can: orthogonal Procrustes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def rigid_motion(source: Floats, target: Floats, *, pull: float = 0.01) -> tuple[Floats, Floats]:
    """The rotation R and the shift s that make ``source R + s`` nearest to ``target`` in squared distance.

    Where the vectors say nothing of a direction (there are fewer of them than dimensions), any rotation of it fits as
    well, and the one that turns least is wanted, for networks that started from the same weights have kept it. Hence a
    small pull towards no rotation::

        argmin_R |X R - Y|^2 + lambda |R - I|^2 = U V^T,   U S V^T = svd(X^T Y + lambda I)

    with X and Y about their means and ``lambda = pull * |X| |Y| / H``.

    Args:
        source: (N, H).
        target: (N, H), of the same videos.
        pull: strength of the pull, in parts of the mean squared length along a direction.

    Returns:
        R (H, H), orthogonal, and s (H,).
    """
    source_mean, target_mean = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    x, y = source - source_mean, target - target_mean
    width = source.shape[1]
    strength = pull * np.linalg.norm(x) * np.linalg.norm(y) / width
    u, _, v = np.linalg.svd(x.T @ y + max(strength, np.finfo(np.float64).tiny) * np.eye(width))
    rotation = u @ v
    return rotation, target_mean - source_mean @ rotation

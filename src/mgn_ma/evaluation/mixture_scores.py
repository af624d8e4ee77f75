"""Eq. 4 for any weighted sum of members, from the members' moments alone.

Within a video and for an expression, the correlation of ``sum_m w_m x_m`` with the truth ``y`` depends on nothing but
the covariances of the members among themselves and with ``y``. They are taken once; what follows (greedy selection,
stacking, cross-validation over videos) never touches a frame again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mgn_ma.eev.correlation import ConstantPolicy, score_of

_Matrix = npt.NDArray[np.floating[Any]]
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MemberMoments:
    """Sums of products about each video's mean, for V videos, C expressions and M members.

    Attributes:
        members: (V, C, M, M) between members.
        with_truth: (V, C, M) between members and truth.
        truth: (V, C) of the truth with itself; exactly 0 where it is constant.
        constant: what a constant truth counts.
    """

    members: _Floats
    with_truth: _Floats
    truth: _Floats
    constant: ConstantPolicy

    @classmethod
    def from_predictions(
        cls,
        predictions: Sequence[_Matrix],
        labels: _Matrix,
        offsets: npt.NDArray[np.int64],
        constant: ConstantPolicy = "left_out",
    ) -> MemberMoments:
        """Take the moments of M predictions (F, C) and the labels (F, C), videos by ``offsets`` (V + 1,)."""
        n_videos, n_series, n_members = len(offsets) - 1, labels.shape[1], len(predictions)
        moments = np.empty((n_videos, n_series, n_members + 1, n_members + 1))
        for video in range(n_videos):
            rows = slice(int(offsets[video]), int(offsets[video + 1]))
            # (C, M + 1, n), the truth last; about the first value first, so that a constant series is exactly 0.
            series = np.stack([x[rows].T.astype(np.float64) for x in (*predictions, labels)], axis=1)
            series -= series[:, :, :1]
            series -= series.mean(axis=2, keepdims=True)
            moments[video] = series @ series.swapaxes(1, 2)
        return cls(moments[..., :-1, :-1], moments[..., :-1, -1], moments[..., -1, -1], constant)

    @property
    def n_members(self) -> int:
        """How many members there are, M."""
        return int(self.members.shape[-1])

    def lengths(self) -> _Floats:
        """(V, C, M) root of each member's sum of squares; 0 where it is constant."""
        return np.asarray(np.sqrt(np.einsum("vcmm->vcm", self.members)))

    def of_videos(self, videos: npt.NDArray[np.int64]) -> MemberMoments:
        """The moments of some videos only."""
        return MemberMoments(self.members[videos], self.with_truth[videos], self.truth[videos], self.constant)

    def standardised(self) -> MemberMoments:
        """The moments that the members would have if each were scaled to unit length within every video."""
        lengths = self.lengths()
        scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return MemberMoments(
            self.members * scale[..., :, None] * scale[..., None, :],
            self.with_truth * scale,
            self.truth,
            self.constant,
        )

    def correlations(self, weights: _Floats) -> _Floats:
        """(V, C) r of the members' weighted sum; NaN where the pair is left out.

        Args:
            weights: (M,), or (V, M) where every video has its own.
        """
        each = np.broadcast_to(weights, (len(self.truth), self.n_members))
        with_truth = np.einsum("vm,vcm->vc", each, self.with_truth)
        own = np.einsum("vm,vcmn,vn->vc", each, self.members, each)
        product = np.sqrt(np.maximum(own, 0.0)) * np.sqrt(self.truth)
        r = np.divide(with_truth, product, out=np.zeros_like(product), where=product > 0)
        r[self.truth == 0] = np.nan if self.constant == "left_out" else 0.0
        return np.asarray(np.clip(r, -1.0, 1.0))

    def score(self, weights: _Floats) -> float:
        """The challenge's score of the members' weighted sum; NaN if nothing is defined."""
        return score_of(self.correlations(weights))

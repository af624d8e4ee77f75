"""What MGN-MA says of frames that lack some of their modalities, for many choices of those that stay.

Up to its ReLU the hidden layer is affine in what eq. 1 has fused: ``W concat_i(a_i v_i) = sum_i a_i W_i v_i``. The
products ``W_i v_i``, which take most of a network's time, are made once; a coalition, the modalities that stay, costs
what comes after them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from mgn_ma.models.mgn_ma import MGNMA, MGNMAOutput
from mgn_ma.models.sequences import Sequences

_ROWS = 512
"""Hidden vectors that are made at once where each is by itself: they stay in a processor's cache."""


class Coalitions:
    """B frames before a network in evaluation mode; arguments as of `MGNMA.forward`."""

    def __init__(
        self,
        network: MGNMA,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        sequences: Sequences | None = None,
    ) -> None:
        self._network = network
        self._sequences = sequences
        vectors, self._present = network.stacked(features, present)
        normalised = network.fusion.normalised(vectors, self._present)  # M x (B, D_m)
        weight, self._bias = network.hidden.folded()
        columns = torch.split(weight, [v.shape[1] for v in normalised], dim=1)  # M x (H, D_m)
        self._projected = torch.stack(
            [functional.linear(v, w).float() for v, w in zip(normalised, columns, strict=True)], dim=1
        )  # (B, M, H)
        self._score_parts = network.fusion.fuse.score_parts(normalised)  # (B, M, M)

    def outputs(self, stay: Tensor) -> MGNMAOutput:
        """What `MGNMA.forward` gives, but for rounding, where only the modalities that ``stay`` are present.

        Args:
            stay: (K, M) bool.

        Returns:
            Logits (K, B, C) and attention (K, B, M).
        """
        fuse = self._network.fusion.fuse
        present = self._present & stay.unsqueeze(1)  # (K, B, M)
        factors = torch.stack([fuse.factors(self._score_parts, of_one) for of_one in present])  # (K, B, M)
        # An absent modality may have a share of the attention; what it is a share of is the zero vector.
        kept = (factors * present).transpose(0, 1)  # (B, K, M)
        if self._sequences is None:
            rows = max(1, _ROWS // len(stay))
            pieces = zip(torch.split(kept, rows), torch.split(self._projected, rows), strict=True)
            logits = torch.cat([self._logits(of_rows, projected) for of_rows, projected in pieces])
        else:
            each = [self._logits(of_one, self._projected) for of_one in torch.split(kept, 1, dim=1)]
            logits = torch.cat(each, dim=1)  # (B, K, C)
        return MGNMAOutput(logits.transpose(0, 1), fuse.shares(factors.flatten(0, 1)).view_as(factors))

    def _logits(self, factors: Tensor, projected: Tensor) -> Tensor:
        """(B, K, C) of ``factors`` (B, K, M) and ``projected`` (B, M, H); of rows of sequences K has to be 1."""
        hidden = torch.baddbmm(self._bias, factors, projected).relu_().flatten(0, 1)  # (B K, H)
        return self._network.forward_head(hidden, self._sequences).view(*factors.shape[:2], -1)

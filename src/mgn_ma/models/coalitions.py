"""What MGN-MA says of frames that lack some of their modalities, for many choices of those that stay.

The hidden layer is linear in what eq. 1 has fused: ``W concat_i(a_i v_i) = sum_i a_i W_i v_i``. The products
``W_i v_i``, which take most of a network's time, are made once; a coalition, the modalities that stay, costs what comes
after them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from mgn_ma.models.mgn_ma import MGNMA, MGNMAOutput
from mgn_ma.models.sequences import Sequences


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
        columns = torch.split(network.hidden.linear.weight, [v.shape[1] for v in normalised], dim=1)  # M x (H, D_m)
        self._projected = torch.stack(
            [functional.linear(v, w).float() for v, w in zip(normalised, columns, strict=True)], dim=1
        )  # (B, M, H)
        self._score_parts = network.fusion.fuse.score_parts(normalised)  # (B, M, M)

    def output(self, stay: Tensor) -> MGNMAOutput:
        """What `MGNMA.forward` gives, but for rounding, where only the modalities that ``stay`` (M,) are present."""
        fuse = self._network.fusion.fuse
        present = self._present & stay  # (B, M)
        factors = fuse.factors(self._score_parts, present)  # (B, M)
        # An absent modality may have a share of the attention; what it is a share of is the zero vector.
        mixed = torch.bmm((factors * present).unsqueeze(1), self._projected).squeeze(1)  # (B, H)
        hidden = self._network.hidden.after_linear(mixed)  # (B, H)
        return MGNMAOutput(self._network.forward_head(hidden, self._sequences), fuse.shares(factors))

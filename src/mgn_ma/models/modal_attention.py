"""Modal attention fusion (section 2.2, eq. 1), and plain concatenation, which table 2 sets against it.

``V = concat_i(v_i * alpha_i)``, ``alpha = softmax_i(w_i . v_i)``: one scalar score a modality, one softmax over them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mgn_ma.models.config import FusionKind, Normalisation
from mgn_ma.models.layers import ModalityDropout
from mgn_ma.models.normalisation import make_normalisation
from mgn_ma.models.sequences import Sequences


class ModalAttention(nn.Module):
    """Eq. 1. The softmax runs over the present modalities only; an absent one has weight 0, hence the zero vector."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.scores = nn.ModuleList(nn.Linear(width, 1, bias=False) for width in widths)

    def forward(self, vectors: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse M ``vectors`` (B, D_m) under ``present`` (B, M).

        Returns:
            The fused vector (B, sum of D_m), and the weights (B, M) float32: they sum to 1 over the present modalities
            and are all 0 where none is present.
        """
        scores = torch.cat([score(v) for score, v in zip(self.scores, vectors, strict=True)], dim=1)  # (B, M)
        # Not -inf: a row without any modality would become NaN, and its gradient with it.
        scores = scores.float().masked_fill(~present, torch.finfo(torch.float32).min)  # (B, M)
        weights = scores.softmax(dim=1) * present  # (B, M)
        weighted = [v * weights[:, i : i + 1] for i, v in enumerate(vectors)]  # M x (B, D_m)
        return torch.cat(weighted, dim=1), weights


class Concatenation(nn.Module):
    """``V = concat_i(v_i)``; reports equal weights over the present modalities, since it weighs none above another."""

    def forward(self, vectors: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Join M ``vectors`` (B, D_m) under ``present`` (B, M); the returns are those of `ModalAttention`."""
        kept = [torch.where(present[:, i : i + 1], v, 0.0) for i, v in enumerate(vectors)]  # M x (B, D_m)
        weights = present / present.sum(dim=1, keepdim=True).clamp(min=1)  # (B, M)
        return torch.cat(kept, dim=1), weights


class ModalFusion(nn.Module):
    """Normalisation of each modality, modality dropout, then attention or concatenation.

    Attributes:
        num_features: length of the fused vector, the sum of the modalities' widths.
    """

    def __init__(
        self, widths: Sequence[int], *, kind: FusionKind, normalisation: Normalisation, modality_dropout: float
    ) -> None:
        super().__init__()
        self.num_features = sum(widths)
        self.normalise = nn.ModuleList(make_normalisation(normalisation, width) for width in widths)
        self.drop = ModalityDropout(modality_dropout)
        self.fuse = ModalAttention(widths) if kind == "attention" else Concatenation()

    def forward(
        self, vectors: Sequence[Tensor], present: Tensor, sequences: Sequences | None = None
    ) -> tuple[Tensor, Tensor]:
        """Fuse M raw ``vectors`` (B, D_m) under ``present`` (B, M) into (B, num_features) and the weights (B, M).

        Args:
            sequences: of the B rows, which then lose a modality together; see `ModalityDropout`.
        """
        # A dropped modality's vector is known, so it still counts in the statistics: only absent ones do not.
        normalised = [
            normalise(v.float(), present[:, i])
            for i, (normalise, v) in enumerate(zip(self.normalise, vectors, strict=True))
        ]  # M x (B, D_m)
        fused: tuple[Tensor, Tensor] = self.fuse(normalised, self.drop(present, sequences))
        return fused

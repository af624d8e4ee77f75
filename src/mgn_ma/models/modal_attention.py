"""Modal attention fusion (section 2.2, eq. 1), and plain concatenation, which table 2 sets against it.

``V = concat_i(v_i * alpha_i)``, ``alpha = softmax_i(s_i)``: one scalar score a modality, one softmax over them. Eq. 1
has ``s_i = w_i . v_i``; the text above it calls the concatenation of all vectors the module's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mgn_ma.models.config import FusionArchitecture
from mgn_ma.models.layers import ModalityDropout
from mgn_ma.models.normalisation import make_normalisation
from mgn_ma.models.sequences import Sequences


class ModalAttention(nn.Module):
    """Eq. 1; an absent modality is the zero vector.

    Args:
        widths: D_m of M modalities.
        scores_from: ``vector``: each modality is scored by its own; ``concatenation``: by that of all.
        over: ``present``: an absent modality has no part in the softmax, and the weight 0; ``all``: it keeps the share
            that its zero vector's score gives it.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        scores_from: Literal["vector", "concatenation"] = "vector",
        over: Literal["present", "all"] = "present",
    ) -> None:
        super().__init__()
        self.over = over
        self.scores = (
            nn.ModuleList(nn.Linear(width, 1, bias=False) for width in widths)
            if scores_from == "vector"
            else nn.Linear(sum(widths), len(widths), bias=False)
        )

    def forward(self, vectors: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse M ``vectors`` (B, D_m) under ``present`` (B, M).

        Returns:
            The fused vector (B, sum of D_m), and the weights (B, M) float32: they sum to 1 over the modalities of the
            softmax and are all 0 where it has none.
        """
        vectors = _zeroed(vectors, present)
        if isinstance(self.scores, nn.ModuleList):
            scores = torch.cat([score(v) for score, v in zip(self.scores, vectors, strict=True)], dim=1)  # (B, M)
        else:
            scores = self.scores(torch.cat(vectors, dim=1))  # (B, M)
        scores = scores.float()
        if self.over == "present":
            # Not -inf: a row without any modality would become NaN, and its gradient with it.
            scores = scores.masked_fill(~present, torch.finfo(torch.float32).min)  # (B, M)
            weights = scores.softmax(dim=1) * present  # (B, M)
        else:
            weights = scores.softmax(dim=1)  # (B, M)
        weighted = [v * weights[:, i : i + 1] for i, v in enumerate(vectors)]  # M x (B, D_m)
        return torch.cat(weighted, dim=1), weights


class Concatenation(nn.Module):
    """``V = concat_i(v_i)``; reports equal weights over the present modalities, since it weighs none above another."""

    def forward(self, vectors: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Join M ``vectors`` (B, D_m) under ``present`` (B, M); the returns are those of `ModalAttention`."""
        weights = present / present.sum(dim=1, keepdim=True).clamp(min=1)  # (B, M)
        return torch.cat(_zeroed(vectors, present), dim=1), weights


class ModalFusion(nn.Module):
    """Normalisation of each modality, modality dropout, then attention or concatenation.

    Attributes:
        num_features: length of the fused vector, the sum of the modalities' widths.
    """

    def __init__(self, widths: Sequence[int], config: FusionArchitecture) -> None:
        super().__init__()
        self.num_features = sum(widths)
        self.normalise = nn.ModuleList(make_normalisation(config.normalisation, width) for width in widths)
        self.drop = ModalityDropout(config.modality_dropout)
        self.fuse = (
            ModalAttention(widths, scores_from=config.attention_scores, over=config.attention_over)
            if config.fusion == "attention"
            else Concatenation()
        )

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


def _zeroed(vectors: Sequence[Tensor], present: Tensor) -> list[Tensor]:
    """M x (B, D_m), rows that are not ``present`` (B, M) replaced by zeros."""
    return [torch.where(present[:, i : i + 1], v, 0.0) for i, v in enumerate(vectors)]

"""Modal attention fusion (section 2.2, eq. 1), and plain concatenation, which table 2 sets against it.

``V = concat_i(v_i * alpha_i)``, ``alpha = softmax_i(s_i)``: one scalar score a modality, one softmax over them. Eq. 1
has ``s_i = w_i . v_i``; the text above it calls the concatenation of all vectors the module's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.models.config import FusionArchitecture
from mgn_ma.models.layers import ModalityDropout
from mgn_ma.models.normalisation import make_normalisation
from mgn_ma.models.sequences import Sequences


class Fusion(nn.Module):
    """``V = concat_i(v_i * f_i)``, a factor a modality; an absent modality is the zero vector."""

    def forward(self, vectors: Sequence[Tensor], present: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse M ``vectors`` (B, D_m) under ``present`` (B, M).

        Returns:
            The fused vector (B, sum of D_m), and what `shares` says of the factors.
        """
        vectors = [torch.where(present[:, i : i + 1], v, 0.0) for i, v in enumerate(vectors)]  # M x (B, D_m)
        factors = self.factors(self.score_parts(vectors), present)  # (B, M)
        weighted = [v * factors[:, i : i + 1] for i, v in enumerate(vectors)]  # M x (B, D_m)
        return torch.cat(weighted, dim=1), self.shares(factors)

    def score_parts(self, vectors: Sequence[Tensor]) -> Tensor:
        """(B, M, M) float32: what each of M ``vectors`` (B, D_m) adds to the score of each modality."""
        raise NotImplementedError

    def factors(self, score_parts: Tensor, present: Tensor) -> Tensor:
        """f, (B, M) float32, of the modalities that are ``present`` (B, M)."""
        raise NotImplementedError

    def shares(self, factors: Tensor) -> Tensor:
        """(B, M) float32: what each modality weighs; they sum to 1, or are all 0 where there is none to weigh."""
        raise NotImplementedError


class ModalAttention(Fusion):
    """Eq. 1.

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

    def score_parts(self, vectors: Sequence[Tensor]) -> Tensor:
        """See `Fusion`; both ways of scoring are linear in the concatenation."""
        if isinstance(self.scores, nn.ModuleList):
            of_own = [score(v) for score, v in zip(self.scores, vectors, strict=True)]  # M x (B, 1)
            return torch.cat(of_own, dim=1).float().diag_embed()
        columns = torch.split(self.scores.weight, [v.shape[1] for v in vectors], dim=1)  # M x (M, D_m)
        return torch.stack([functional.linear(v, w) for v, w in zip(vectors, columns, strict=True)], dim=1).float()

    def factors(self, score_parts: Tensor, present: Tensor) -> Tensor:
        """Alpha of eq. 1."""
        scores = (score_parts * present.unsqueeze(2)).sum(dim=1)  # (B, M)
        if self.over == "all":
            return scores.softmax(dim=1)
        # Not -inf: a row without any modality would become NaN, and its gradient with it.
        return scores.masked_fill(~present, torch.finfo(torch.float32).min).softmax(dim=1) * present

    def shares(self, factors: Tensor) -> Tensor:
        """The factors themselves."""
        return factors


class Concatenation(Fusion):
    """``V = concat_i(v_i)``."""

    def score_parts(self, vectors: Sequence[Tensor]) -> Tensor:
        """None of the vectors is scored: all 0."""
        return vectors[0].new_zeros(len(vectors[0]), len(vectors), len(vectors), dtype=torch.float32)

    def factors(self, score_parts: Tensor, present: Tensor) -> Tensor:
        """1 for each."""
        return present.float()

    def shares(self, factors: Tensor) -> Tensor:
        """Equal over the present modalities, since none is weighed above another."""
        return factors / factors.sum(dim=1, keepdim=True).clamp(min=1)


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
        self.fuse: Fusion = (
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
        fused: tuple[Tensor, Tensor] = self.fuse(self.normalised(vectors, present), self.drop(present, sequences))
        return fused

    def normalised(self, vectors: Sequence[Tensor], present: Tensor) -> list[Tensor]:
        """M raw ``vectors`` (B, D_m) on a common scale; those that are not ``present`` (B, M) become zero."""
        # A dropped modality's vector is known, so it still counts in the statistics: only absent ones do not.
        return [
            normalise(v.float(), present[:, i])
            for i, (normalise, v) in enumerate(zip(self.normalise, vectors, strict=True))
        ]

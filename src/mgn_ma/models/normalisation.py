"""Puts a modality's vectors on a common scale before the modal attention of eq. 1 compares them.

The paper says nothing of scales, but eq. 1 sets ``w_i . v_i`` of different backbones against each other in one softmax.
A row of an absent modality takes no part in the statistics, and leaves as the zero vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mgn_ma.models.config import Normalisation


class MaskedBatchNorm(nn.Module):
    """Batch norm over the present rows only: ``(x - mean) / sqrt(var + eps) * weight + bias``.

    With every row present it is ``torch.nn.BatchNorm1d``, running statistics included; a batch with fewer than two
    present rows leaves the running statistics as they are.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Normalise ``x`` (..., D) where ``present`` (...,) is true; the other rows become zero."""
        mask = present.unsqueeze(-1)  # (..., 1)
        mean, variance = self._statistics(x, mask) if self.training else (self.running_mean, self.running_var)
        scale = self.weight * torch.rsqrt(variance + self.eps)  # (D,)
        return torch.where(mask, (x - mean) * scale + self.bias, 0.0)  # (..., D)

    def _statistics(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        rows = tuple(range(x.ndim - 1))
        count = mask.sum()
        n = count.clamp(min=1)
        mean = torch.where(mask, x, 0.0).sum(rows) / n  # (D,)
        variance = torch.where(mask, x - mean, 0.0).square().sum(rows) / n  # (D,)
        with torch.no_grad():
            # A tensor and not an `if`: asking for the count would make a GPU wait.
            momentum = self.momentum * (count > 1)
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(variance.detach() * (n / (n - 1).clamp(min=1)), momentum)
        return mean, variance


class MaskedLayerNorm(nn.Module):
    """Layer norm of each present row; the other rows become zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Normalise ``x`` (..., D) where ``present`` (...,) is true."""
        return torch.where(present.unsqueeze(-1), self.norm(x), 0.0)  # (..., D)


class Unscaled(nn.Module):
    """The vectors as they come; the rows that are not present become zero."""

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Return ``x`` (..., D) where ``present`` (...,) is true."""
        return torch.where(present.unsqueeze(-1), x, 0.0)  # (..., D)


def make_normalisation(kind: Normalisation, width: int) -> nn.Module:
    """Module ``(x (..., D), present (...,)) -> (..., D)`` of the kind that the configuration names."""
    if kind == "batch_norm":
        return MaskedBatchNorm(width)
    return MaskedLayerNorm(width) if kind == "layer_norm" else Unscaled()

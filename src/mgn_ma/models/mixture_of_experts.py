"""Mixture of experts classifier (section 2.3, eq. 2) and its loss (eq. 3), in both ways to read the paper.

Each class has M experts, logistic regressions ``e_m``, and a softmax over gates that mixes them:

- ``logits`` (default): ``o = sum_m g_m e_m`` and then eq. 2, ``p = sigmoid(o)``, which is what the paper's eq. 2 says.
- ``probabilities`` (YouTube-8M): ``p = sum_m g_m sigmoid(e_m)``, whose gates share the softmax with a dummy expert that
  predicts 0. This is a probability already; eq. 2 on top would confine it to 0.5 .. 0.73.

Both return log-odds ``log(p / (1 - p))``, so that one stable form of eq. 3 serves both and eq. 2 always recovers p.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.models.config import Reading


class MixtureOfExperts(nn.Module):
    """Per-class gates, ``Linear(D, C (M [+ 1]))`` without bias, and experts, ``Linear(D, C M)``, of a hidden vector."""

    def __init__(self, width: int, classes: int, *, experts: int = 3, reading: Reading = "logits") -> None:
        super().__init__()
        if experts < 1:
            raise ValueError(f"a mixture needs at least one expert, not {experts}")
        self.classes = classes
        self.reading = reading
        dummies = 1 if reading == "probabilities" else 0
        self.gates = nn.Linear(width, classes * (experts + dummies), bias=False)
        self.experts = nn.Linear(width, classes * experts)

    def forward(self, hidden: Tensor) -> Tensor:
        """Log-odds (B, C), float32, of ``hidden`` (B, D)."""
        # Under mixed precision the two matrix products may be short floats; exponentials and their sums may not.
        gates = self.gates(hidden).float().unflatten(1, (self.classes, -1))  # (B, C, M) or (B, C, M + 1)
        experts = self.experts(hidden).float().unflatten(1, (self.classes, -1))  # (B, C, M)
        if self.reading == "logits":
            mixed: Tensor = (gates.softmax(dim=2) * experts).sum(dim=2)  # (B, C)
            return mixed
        log_gates = gates.log_softmax(dim=2)  # (B, C, M + 1), the dummy last
        for_p = log_gates[..., :-1] + functional.logsigmoid(experts)  # (B, C, M)
        against = torch.cat([log_gates[..., :-1] + functional.logsigmoid(-experts), log_gates[..., -1:]], dim=2)
        log_odds: Tensor = for_p.logsumexp(dim=2) - against.logsumexp(dim=2)  # (B, C)
        return log_odds


def expression_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Eq. 3, the mean over rows and classes of ``-(y log p + (1 - y) log(1 - p))``, a scalar.

    Args:
        logits: (B, C) log-odds of p, from which the logarithms come without ever forming p.
        labels: (B, C) soft labels in 0..1.
        weights: (B, C), or what broadcasts to it, that each term is multiplied by; 1 in the paper.
    """
    return functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), weights)

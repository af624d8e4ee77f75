"""Mixture of experts classifier (section 2.3, eq. 2) and its loss (eq. 3), in both ways to read the paper.

Each class has M experts, logistic regressions ``e_m``, and a softmax over gates that mixes them:

- ``logits`` (default): ``o = sum_m g_m e_m`` and then eq. 2, ``p = sigmoid(o)``, which is what the paper's eq. 2 says.
- ``probabilities`` (YouTube-8M): ``p = sum_m g_m sigmoid(e_m)``, whose gates share the softmax with a dummy expert that
  predicts 0. This is a probability already; eq. 2 on top would confine it to 0.5 .. 0.73.

In both, one gate may serve all classes instead, as in Jordan and Jacobs' mixture, and batch norm may stand before the
softmax of the gates and the sigmoid of the experts ("we apply batch normalization before the non-linear layer", 3.2).

Both return log-odds ``log(p / (1 - p))``, so that one stable form of eq. 3 serves both and eq. 2 always recovers p.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.models.config import ExpertsArchitecture


class MixtureOfExperts(nn.Module):
    """Gates, ``Linear(D, G (M [+ 1]))`` without bias, G being C or 1, and experts, ``Linear(D, C M)``, of a vector."""

    def __init__(self, width: int, classes: int, config: ExpertsArchitecture) -> None:
        super().__init__()
        self.classes = classes
        self.reading = config.reading
        dummies = 1 if config.reading == "probabilities" else 0
        self.gated = classes if config.gates == "per_class" else 1
        self.gates = nn.Linear(width, self.gated * (config.experts + dummies), bias=False)
        self.experts = nn.Linear(width, classes * config.experts)
        norm = nn.BatchNorm1d if config.expert_batch_norm else nn.Identity
        self.gates_norm, self.experts_norm = norm(self.gates.out_features), norm(self.experts.out_features)

    def forward(self, hidden: Tensor) -> Tensor:
        """Log-odds (B, C), float32, of ``hidden`` (B, D)."""
        # Under mixed precision the two matrix products may be short floats; exponentials and their sums may not.
        gates = self.gates_norm(self.gates(hidden).float()).unflatten(1, (self.gated, -1))  # (B, G, M [+ 1])
        experts = self.experts_norm(self.experts(hidden).float()).unflatten(1, (self.classes, -1))  # (B, C, M)
        if self.reading == "logits":
            mixed: Tensor = (gates.softmax(dim=2) * experts).sum(dim=2)  # (B, C)
            return mixed
        log_gates = gates.log_softmax(dim=2).expand(-1, self.classes, -1)  # (B, C, M + 1), the dummy last
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

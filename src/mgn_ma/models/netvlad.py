"""NetVLAD: pools a video's frames or audio patches, however many, into one vector (section 2.1.3).

``a = softmax_k(BN(x W))``, ``V_k = sum_t a_tk x_t - (sum_t a_tk) C_k``; L2 over D within each cluster, flatten, L2.
The centres C are apart from W, as in YouTube-8M's definition.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgn_ma.models.normalisation import MaskedBatchNorm


class NetVLAD(nn.Module):
    """Soft assignment of T items to K clusters, and the sum of their residuals from each centre.

    Attributes:
        num_features: length of the pooled vector, ``K D``.
    """

    def __init__(self, width: int, clusters: int) -> None:
        super().__init__()
        self.num_features = width * clusters
        self.assign = nn.Parameter(torch.empty(width, clusters))  # W
        self.norm = MaskedBatchNorm(clusters)
        self.centres = nn.Parameter(torch.empty(clusters, width))  # C
        for weights in (self.assign, self.centres):
            nn.init.normal_(weights, std=width**-0.5)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool ``x`` (B, T, D) where ``mask`` (B, T) is true; the other items are padding and change nothing.

        Returns:
            (B, K D), of length 1, or the zero vector where nothing is left to pool.
        """
        scores = self.norm(x @ self.assign, mask)  # (B, T, K)
        assignment = scores.float().softmax(dim=2) * mask.unsqueeze(2)  # (B, T, K)
        pooled = assignment.transpose(1, 2) @ x.float()  # (B, K, D)
        residual = pooled - assignment.sum(dim=1).unsqueeze(2) * self.centres  # (B, K, D)
        return functional.normalize(functional.normalize(residual, dim=2).flatten(1), dim=1)  # (B, K D)

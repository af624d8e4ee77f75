"""Context gating of YouTube-8M, ``h * sigmoid(BN(h W))``: an option after a hidden layer; the paper has none."""

from __future__ import annotations

from torch import Tensor, nn


class ContextGating(nn.Module):
    """Lets the units of a hidden vector open and close one another."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Gate ``hidden`` (B, H), to (B, H)."""
        gate: Tensor = self.norm(self.linear(hidden)).sigmoid()  # (B, H)
        return hidden * gate

"""The hidden layer before every classifier: the paper's 1024-D "multi-modal feature" (section 3.2).

With a linear layer behind it instead of the mixture of experts, it is the multilayer perceptron of table 2.
"""

from __future__ import annotations

from torch import Tensor, nn


class HiddenLayer(nn.Module):
    """``Linear -> batch norm -> ReLU -> dropout``: batch norm before the non-linear layer (section 3.2)."""

    def __init__(self, width: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        # Batch norm subtracts the mean, and with it any bias.
        self.linear = nn.Linear(width, hidden, bias=False)
        self.norm = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` (B, D) to the hidden vector (B, H), not negative."""
        hidden: Tensor = self.dropout(self.norm(self.linear(x)).relu())  # (B, H)
        return hidden

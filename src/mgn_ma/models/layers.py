"""Layers that both networks are made of: hidden layer, context gating, modality dropout (sections 2.2 and 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mgn_ma.models.sequences import Sequences


class HiddenLayer(nn.Module):
    """``Linear -> batch norm -> ReLU -> dropout``, the paper's 1024-D "multi-modal feature" (section 3.2).

    Batch norm stands before the non-linear layer. With a linear layer behind it instead of the mixture of experts, this
    is the multilayer perceptron of table 2.
    """

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

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (H, D) and bias (H,) of the one affine map that, in evaluation mode, `forward` is the ReLU of."""
        assert self.norm.running_mean is not None and self.norm.running_var is not None  # noqa: S101
        scale = self.norm.weight * torch.rsqrt(self.norm.running_var + self.norm.eps)  # (H,)
        return self.linear.weight * scale[:, None], self.norm.bias - self.norm.running_mean * scale


class ContextGating(nn.Module):
    """YouTube-8M's ``h * sigmoid(BN(h W))``: the units of a hidden vector open and close one another.

    An option after a hidden layer; the paper has none.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, hidden: Tensor) -> Tensor:
        """Gate ``hidden`` (B, H), to (B, H)."""
        gate: Tensor = self.norm(self.linear(hidden)).sigmoid()  # (B, H)
        return hidden * gate


class ModalityDropout(nn.Module):
    """Modal level dropout (section 2.2): in training, whole modalities of a row are replaced by the zero vector.

    Each present modality is dropped with probability ``rate``, but never all of a row. The paper gives no rate. A
    dropped modality is treated as an absent one, so that a video without captions looks to the network like what it was
    trained on.
    """

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"a modality dropout rate lies in [0, 1), not at {rate}")
        self.rate = rate

    def forward(self, present: Tensor, sequences: Sequences | None = None) -> Tensor:
        """Which of the ``present`` (B, M) modalities stay, (B, M) bool; the rows of a sequence share one draw.

        Were each drawn by itself, a network that sees the rows around would find there what a row lacks.
        """
        if not self.training or self.rate == 0.0:
            return present
        if sequences is None:
            draw = torch.rand(present.shape, device=present.device)  # (B, M)
        else:
            draws = torch.rand(len(sequences.lengths), present.shape[1], device=present.device)  # (S, M)
            draw = draws[sequences.of_rows]  # (B, M)
        # The modality with the highest draw always stays: were another kept, it would be by that draw too.
        highest = torch.where(present, draw, -1.0).argmax(dim=1, keepdim=True)  # (B, 1)
        stays = (draw >= self.rate).scatter(1, highest, True)  # (B, M)
        return present & stays

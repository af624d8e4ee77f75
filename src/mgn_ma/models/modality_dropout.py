"""Modal level dropout: whole modalities are replaced by the zero vector at random (section 2.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ModalityDropout(nn.Module):
    """Drops each present modality of each row with probability ``rate`` while training, but never all of a row.

    The paper gives no rate. A dropped modality is treated as an absent one, so that a video without captions looks to
    the network like what it was trained on.
    """

    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"a modality dropout rate lies in [0, 1), not at {rate}")
        self.rate = rate

    def forward(self, present: Tensor) -> Tensor:
        """Which of the ``present`` (B, M) modalities stay, (B, M) bool."""
        if not self.training or self.rate == 0.0:
            return present
        draw = torch.rand(present.shape, device=present.device)  # (B, M)
        # The modality with the highest draw always stays: were another kept, it would be by that draw too.
        highest = torch.where(present, draw, -1.0).argmax(dim=1, keepdim=True)  # (B, 1)
        stays = (draw >= self.rate).scatter(1, highest, True)  # (B, M)
        return present & stays

"""What a network says of every frame of a packed split: expressions (eq. 2) and modal attention (eq. 1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.eev.targets import Targets
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.batches import Batches
from mgn_ma.training.config import Precision


class Predictions(NamedTuple):
    """Of F frames.

    Attributes:
        values: (F, C) float32, in the targets' range.
        attention: (F, M) float32, in the order of the network's modalities.
    """

    values: npt.NDArray[np.float32]
    attention: npt.NDArray[np.float32]


@torch.inference_mode()
def predict(
    network: MGNMA,
    batches: Batches,
    frames: npt.NDArray[np.int64],
    device: torch.device,
    targets: Targets,
    *,
    precision: Precision = "float32",
) -> Predictions:
    """Run ``network``, which is on ``device``, over ``frames`` in evaluation mode; it is left in the mode it was in."""
    config = network.config
    values = np.empty((len(frames), config.classes), dtype=np.float32)
    attention = np.empty((len(frames), len(config.modalities)), dtype=np.float32)
    was_training = network.training
    network.eval()
    start = 0
    for batch in batches.in_order(frames):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = network(batch.features, batch.present)
        stop = start + len(batch.frames)
        values[start:stop] = targets.from_shares(output.probabilities.float().cpu().numpy())
        attention[start:stop] = output.attention.float().cpu().numpy()
        start = stop
    network.train(was_training)
    return Predictions(values, attention)

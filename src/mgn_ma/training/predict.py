"""What a network says of frames: expressions (eq. 2) and modal attention (eq. 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.pretrained import Precision
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.gather import Batch


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
    network: MGNMA, batches: Iterable[Batch], n_frames: int, targets: Targets, *, precision: Precision = "float32"
) -> Predictions:
    """Run ``network`` in evaluation mode over batches on its device; it is left in the mode it was in.

    Args:
        batches: in the order of the frames.
        n_frames: of all batches together.
        precision: of the matrix products.
    """
    config = network.config
    device_type = next(network.parameters()).device.type
    values = np.empty((n_frames, config.classes), dtype=np.float32)
    attention = np.empty((n_frames, len(config.modalities)), dtype=np.float32)
    was_training = network.training
    network.eval()
    start = 0
    for batch in batches:
        with torch.autocast(device_type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = network(batch.features, batch.present)
        stop = start + len(batch.frames)
        values[start:stop] = targets.from_shares(output.probabilities.float().cpu().numpy())
        attention[start:stop] = output.attention.float().cpu().numpy()
        start = stop
    network.train(was_training)
    return Predictions(values, attention)

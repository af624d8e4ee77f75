"""What a network says of frames: expressions (eq. 2) and modal attention (eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.pretrained import Precision
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.gather import Batch
from mgn_ma.training.order import Frames
from mgn_ma.training.windows import prediction_windows


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
    gather: Callable[[Iterable[Frames]], Iterator[Batch]],
    timestamps_us: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    targets: Targets,
    *,
    precision: Precision = "float32",
    batch_frames: int = 4096,
) -> Predictions:
    """Run ``network`` in evaluation mode over the frames of some videos; it is left in the mode it was in.

    Args:
        gather: a batch on the network's device for each array of frames.
        timestamps_us: (F,) of all frames.
        offsets: (V + 1,) first frame of every video, then F.
        precision: of the matrix products.
        batch_frames: how many frames go through the network at once; bounds memory.

    Raises:
        TrainingError: see `mgn_ma.training.windows.prediction_windows`.
    """
    config = network.config
    device = next(network.parameters()).device
    groups = prediction_windows(config.temporal, timestamps_us, offsets, batch_frames)
    values = np.empty((len(timestamps_us), config.classes), dtype=np.float32)
    attention = np.empty((len(timestamps_us), len(config.modalities)), dtype=np.float32)
    was_training = network.training
    network.eval()
    for windows, batch in zip(groups, gather(windows.frames for windows in groups), strict=True):
        sequences = None if config.temporal.kind == "none" else windows.sequences(timestamps_us, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = network(batch.features, batch.present, sequences)
        kept = windows.kept
        frames = batch.frames[kept]
        values[frames] = targets.from_shares(output.probabilities.float().cpu().numpy()[kept])
        attention[frames] = output.attention.float().cpu().numpy()[kept]
    network.train(was_training)
    return Predictions(values, attention)

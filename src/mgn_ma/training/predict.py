"""What a network says of frames: expressions (eq. 2) and modal attention (eq. 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.pretrained import Precision
from mgn_ma.models.coalitions import Coalitions
from mgn_ma.models.mgn_ma import MGNMA, MGNMAOutput
from mgn_ma.models.sequences import Sequences
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


class CoalitionPredictions(NamedTuple):
    """Of F frames, by a network that is given some of its modalities at a time.

    Attributes:
        values: as of `Predictions`, with the modalities of the last coalition.
        attention: the same.
        weighted: (..., F, C) float32, the sums over coalitions of their values and weights.
    """

    values: npt.NDArray[np.float32]
    attention: npt.NDArray[np.float32]
    weighted: npt.NDArray[np.float32]


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
    made = _empty(network, len(timestamps_us))
    for frames, kept, output in _outputs(network, network, gather, timestamps_us, offsets, precision, batch_frames):
        _keep(made, targets, frames, kept, output)
    return made


@torch.inference_mode()
def predict_coalitions(
    network: MGNMA,
    gather: Callable[[Iterable[Frames]], Iterator[Batch]],
    timestamps_us: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    targets: Targets,
    *,
    coalitions: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64],
    precision: Precision = "float32",
    batch_frames: int = 4096,
) -> CoalitionPredictions:
    """`predict` for each of K coalitions of modalities, of which weighted sums are kept.

    Args:
        coalitions: (K, M), which modalities of the network stay; a modality goes from all frames.
        weights: (..., K).
    """
    # A network that does not read all modalities need not hear which of the others stay.
    distinct, number = np.unique(np.vstack([coalitions[-1:], coalitions]), axis=0, return_inverse=True)
    whole, number = number[0], number[1:]
    weights = weights @ np.eye(len(distinct))[number]  # (..., U)
    made = _empty(network, len(timestamps_us))
    weighted = np.empty((*weights.shape[:-1], *made.values.shape), dtype=np.float32)
    stay = torch.from_numpy(distinct).to(next(network.parameters()).device)

    def outputs(*batch: Any) -> MGNMAOutput:
        return Coalitions(network, *batch).outputs(stay)

    for frames, kept, output in _outputs(outputs, network, gather, timestamps_us, offsets, precision, batch_frames):
        _keep(made, targets, frames, kept, MGNMAOutput(*(of_each[whole] for of_each in output)))
        values = targets.from_shares(output.probabilities.float().cpu().numpy()[:, kept])  # (U, B, C)
        weighted[..., frames, :] = np.tensordot(weights, values, axes=1)
    return CoalitionPredictions(*made, weighted)


def _outputs(
    forward: Callable[[Mapping[str, Tensor], Mapping[str, Tensor], Sequences | None], MGNMAOutput],
    network: MGNMA,
    gather: Callable[[Iterable[Frames]], Iterator[Batch]],
    timestamps_us: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    precision: Precision,
    batch_frames: int,
) -> Iterator[tuple[Frames, npt.NDArray[np.int64], MGNMAOutput]]:
    """What ``forward`` makes of each batch: the frames that it is kept for, and which rows of it those are."""
    config = network.config
    device = next(network.parameters()).device
    groups = prediction_windows(config.temporal, timestamps_us, offsets, batch_frames)
    was_training = network.training
    network.eval()
    for windows, batch in zip(groups, gather(windows.frames for windows in groups), strict=True):
        sequences = None if config.temporal.kind == "none" else windows.sequences(timestamps_us, device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            output = forward(batch.features, batch.present, sequences)
        kept = windows.kept
        yield batch.frames[kept], kept, output
    network.train(was_training)


def _empty(network: MGNMA, n_frames: int) -> Predictions:
    config = network.config
    return Predictions(
        np.empty((n_frames, config.classes), dtype=np.float32),
        np.empty((n_frames, len(config.modalities)), dtype=np.float32),
    )


def _keep(
    made: Predictions, targets: Targets, frames: Frames, kept: npt.NDArray[np.int64], output: MGNMAOutput
) -> None:
    made.values[frames] = targets.from_shares(output.probabilities.float().cpu().numpy()[kept])
    made.attention[frames] = output.attention.float().cpu().numpy()[kept]

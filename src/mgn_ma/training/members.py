"""Trains the members of an ensemble and the control, one after the other or several at once, each resumable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.correlation import ConstantPolicy
from mgn_ma.execution import ExecutionConfig, run
from mgn_ma.execution.progress import progress
from mgn_ma.extractors.device import resolve_device
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.training.batches import FrameBatches
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig
from mgn_ma.training.gather import Batch
from mgn_ma.training.loop import OnEpoch
from mgn_ma.training.member import MemberJob, TrainedNetwork, train_member
from mgn_ma.training.order import Frames
from mgn_ma.training.packed import PackedSplit, check_modalities
from mgn_ma.training.predict import Predictions, predict
from mgn_ma.training.states import StateStore

CONTROL = "shuffled"
"""Name of the network that is trained on labels shuffled across videos."""

CURVE_COLUMNS = ("member", "epoch", "train_loss", "validation_correlation", "seconds")


class MemberTracker(Protocol):
    """Where a training reports to; those of `mgn_ma.tracking.tracker` are some."""

    def member(self, name: str, params: Mapping[str, object]) -> AbstractContextManager[OnEpoch]:
        """A record of its own for one member."""
        ...


def member_jobs(
    model: ModelConfig,
    training: TrainingConfig,
    ensemble: EnsembleConfig,
    train: PackedSplit,
    constant: ConstantPolicy = "left_out",
) -> list[MemberJob]:
    """What is to be trained: the members, then the control.

    The control is the first member's network, trained as long as it takes and never looked at: choosing its snapshot on
    validation would already make it better than chance.
    """
    jobs = []
    for number in range(ensemble.count):
        of_member, trained_by = ensemble.settings_of(number, model, training)
        job = MemberJob(
            name=f"member_{number + 1}",
            architecture=of_member.sized(train.widths, len(train.targets.names)),
            config=trained_by,
            seed=ensemble.seed + number,
            constant=constant,
        )
        jobs.append(job)
    if ensemble.shuffled_control:
        jobs.append(jobs[0].on_shuffled_labels(CONTROL))
    return jobs


def train_members(
    jobs: Sequence[MemberJob],
    train: PackedSplit,
    validation: PackedSplit,
    *,
    execution: ExecutionConfig,
    tracker: MemberTracker,
    states: StateStore | None = None,
) -> dict[str, TrainedNetwork]:
    """Train every job through the execution seam, and return them in the order of the jobs.

    Those that can be trained are, and are kept in ``states``, before the first error is raised.

    Raises:
        NonFiniteLossError: see `mgn_ma.training.loop.train`.
    """
    make = partial(_Trainer, train, validation, tracker, states)
    trained: dict[str, TrainedNetwork] = {}
    errors: list[Exception] = []
    for outcome in progress(run(make, jobs, execution, isolated=False), len(jobs), "networks", unit="network"):
        if outcome.result is not None:
            trained[outcome.item.name] = outcome.result
        else:
            errors.append(outcome.error or RuntimeError(f"{outcome.item.name} ended without a result"))
    if errors:
        raise errors[0]
    return {job.name: trained[job.name] for job in jobs}


@dataclass(frozen=True)
class _Trainer:
    """Trains one job where the work is done, and reports to the tracker from there."""

    train: PackedSplit
    validation: PackedSplit
    tracker: MemberTracker
    states: StateStore | None

    def __call__(self, job: MemberJob) -> TrainedNetwork:
        params = job.model_dump(mode="json", exclude={"name"})
        with self.tracker.member(job.name, params) as log:
            return train_member(job, self.train, self.validation, states=self.states, on_epoch=log)


def learning_curves(networks: Mapping[str, TrainedNetwork]) -> pd.DataFrame:
    """One row a network and epoch: ``member``, ``epoch``, ``train_loss``, ``validation_correlation``, ``seconds``."""
    rows = [
        {"member": name, "epoch": epoch, **metrics}
        for name, network in networks.items()
        for epoch, metrics in enumerate(network.history, start=1)
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))


def predict_split(
    members: Mapping[str, Checkpoint], split: PackedSplit, training: TrainingConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What every member says of a split.

    Args:
        training: how batches come, and on which device; members have a precision of their own.

    Returns:
        Two tables with ``member``, ``split``, ``video_id`` and ``timestamp_us``: what they predict, a column an
        expression, in the targets' range; and the attention weights, a column a modality, NaN where a member does not
        read the modality.

    Raises:
        ValueError: the split's vectors are not those that a member was trained on.
    """
    predicted = {name: predict_network(name, checkpoint, split, training) for name, checkpoint in members.items()}
    modalities = list(dict.fromkeys(name for checkpoint in members.values() for name in checkpoint.inputs))
    values, attention = [], []
    for name, (of_frames, of_modalities) in predicted.items():
        frames = split_frames(split)
        frames.insert(0, "split", split.description.split)
        frames.insert(0, "member", name)
        frames = frames.astype({"member": "str", "split": "str"})
        values.append(frames.assign(**_columns(members[name].description.targets.names, of_frames)))
        weights = _columns(members[name].inputs, of_modalities)
        absent = np.full(len(frames), np.nan, dtype=np.float32)
        attention.append(frames.assign(**{modality: weights.get(modality, absent) for modality in modalities}))
    return pd.concat(values, ignore_index=True), pd.concat(attention, ignore_index=True)


def predict_network(
    name: str, checkpoint: Checkpoint, split: PackedSplit, training: TrainingConfig, *, reversed_time: bool = False
) -> Predictions:
    """What one network says of every frame of a split, of videos that run backwards if ``reversed_time``.

    Raises:
        ValueError: the split's vectors are not those that it was trained on; the message calls it ``name``.
    """
    check_modalities(split, checkpoint.inputs, name)
    device = resolve_device(training.device)
    batches = FrameBatches(split, list(checkpoint.inputs), training.batches, device)
    network = checkpoint.build().to(device)
    targets = checkpoint.description.targets
    order, timestamps_us = np.arange(split.n_frames), np.asarray(split.timestamps_us)
    if reversed_time:
        order, timestamps_us = _backwards(timestamps_us, split.offsets)

    def gather(groups: Iterable[Frames]) -> Iterator[Batch]:
        return batches.gathered(order[frames] for frames in groups)

    return predict(network, gather, timestamps_us, split.offsets, targets, precision=checkpoint.precision)


def _backwards(
    timestamps_us: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(F,) which frame comes in the place of each when every video runs backwards, and (F,) when."""
    lengths = np.diff(offsets)
    first, last = np.repeat(offsets[:-1], lengths), np.repeat(offsets[1:] - 1, lengths)  # (F,) of each frame's video
    mirror = first + last - np.arange(len(timestamps_us))
    steps = frames_before(timestamps_us)
    return mirror, grid_time(steps[first] + steps[last] - steps[mirror])


def split_frames(split: PackedSplit) -> pd.DataFrame:
    """``video_id`` and ``timestamp_us`` of every frame of a split, in its order."""
    video_ids = np.repeat(np.array(split.video_ids, dtype=object), np.diff(split.offsets))
    frames = pd.DataFrame({"video_id": video_ids, "timestamp_us": np.array(split.timestamps_us)})
    return frames.astype({"video_id": "str"})


def _columns(names: Iterable[str], values: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> dict[str, np.ndarray]:
    return {name: values[:, column] for column, name in enumerate(names)}

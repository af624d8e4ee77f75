"""Trains one MGN-MA on a packed split, and chooses its snapshot by eq. 4 on another."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mgn_ma.configuration import Configuration
from mgn_ma.eev.correlation import ConstantPolicy, challenge_score, video_correlations
from mgn_ma.extractors.device import resolve_device
from mgn_ma.models.config import MGNMAConfig
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.batches import FrameBatches, resolve_shuffle
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription
from mgn_ma.training.config import Shuffle, TrainingConfig
from mgn_ma.training.control import shuffled_label_rows
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.gather import Batch
from mgn_ma.training.loop import OnEpoch, Task, own_random_numbers, train
from mgn_ma.training.losses import weighted_loss
from mgn_ma.training.order import batch_sizes
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.predict import predict
from mgn_ma.training.states import StateStore, TrainingState
from mgn_ma.training.windows import TrainingWindows, Windows

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised by hand when a change of code changes what is trained, so that no older state is resumed."""

_ONLY_SPEED = {"prefetch", "page_cache_gib", "device_cache", "device_cache_share"}


class MemberJob(Configuration):
    """One network to train: everything that decides its weights, but for the data.

    Attributes:
        name: of the member.
        shuffle_labels: train on labels exchanged between videos, the control that must score about 0.
        constant: what an expression counts, in the score on validation, in a video where its truth never changes.
    """

    name: str
    architecture: MGNMAConfig
    config: TrainingConfig
    seed: int
    shuffle_labels: bool = False
    constant: ConstantPolicy = "left_out"

    def fingerprint(self, train: PackedSplit, validation: PackedSplit) -> str:
        """Hex digest of job and data: trainings that agree in it end with the same weights (on one kind of device).

        Of a job that is `resolved`, for ``shuffle: auto`` says nothing of the weights.
        """
        data = (train.description.fingerprint, validation.description.fingerprint)
        left_out = {"name"} if self._is_chosen_by_score else {"name", "constant"}
        job = self.model_dump(mode="json", exclude=left_out)
        for name in _ONLY_SPEED:
            del job["config"]["batches"][name]
        return hashlib.sha256(repr((VERSION, job, data)).encode()).hexdigest()

    def resolved(self, train: PackedSplit, validation: PackedSplit, states: StateStore | None = None) -> MemberJob:
        """The same with the shuffle that ``auto`` is on this machine, or was where a kept training was begun."""
        batches = self.config.batches
        if batches.shuffle != "auto":
            return self
        device = resolve_device(self.config.device)
        here = resolve_shuffle(train, list(self.architecture.modalities), batches, device)
        elsewhere: Shuffle = "blocks" if here == "full" else "full"
        job, begun = self._shuffled(here), self._shuffled(elsewhere)
        if states is None or states.holds(self.name, job.fingerprint(train, validation)):
            return job
        if not states.holds(self.name, begun.fingerprint(train, validation)):
            return job
        logger.info("%s was begun with shuffle: %s and goes on with it; auto is %s here", self.name, elsewhere, here)
        return begun

    def on_shuffled_labels(self, name: str) -> MemberJob:
        """The control of this training: it keeps its last epoch, for the best of several is better than chance."""
        last = self.config.model_copy(update={"snapshot": "last", "early_stopping": None})
        return self.model_copy(update={"name": name, "config": last, "shuffle_labels": True})

    @property
    def _is_chosen_by_score(self) -> bool:
        return self.config.snapshot == "best" or self.config.early_stopping is not None

    def _shuffled(self, shuffle: Shuffle) -> MemberJob:
        batches = self.config.batches.model_copy(update={"shuffle": shuffle})
        return self.model_copy(update={"config": self.config.model_copy(update={"batches": batches})})


@dataclass(frozen=True)
class TrainedNetwork:
    """What is left of a training.

    Attributes:
        history: metrics of every epoch: ``train_loss``, ``validation_correlation``, ``seconds``.
    """

    name: str
    checkpoint: Checkpoint
    history: list[dict[str, float]]


def train_member(
    job: MemberJob,
    train_split: PackedSplit,
    validation_split: PackedSplit,
    *,
    states: StateStore | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainedNetwork:
    """Train one network, or go on with it; see `mgn_ma.training.loop.train`.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        TrainingError: no frame to train on, a modality that the split does not have, or splits of unlike targets.
    """
    if train_split.targets != validation_split.targets:
        raise TrainingError(
            f"the train split was packed for the targets {', '.join(train_split.targets.names)}, the validation split "
            f"for {', '.join(validation_split.targets.names)} or another range: run the pipeline model_input again"
        )
    job = job.resolved(train_split, validation_split, states)
    device = resolve_device(job.config.device)
    with own_random_numbers(job.seed, device):
        task = _MemberTask(job, train_split, validation_split, device)
        fingerprint = job.fingerprint(train_split, validation_split)
        state = train(task, fingerprint, states=states, on_epoch=on_epoch)
    return TrainedNetwork(job.name, _checkpoint(job, state, train_split, validation_split), state.history)


class _Example(NamedTuple):
    """A batch, and the windows that its frames are of where it is of windows."""

    batch: Batch
    windows: Windows | None = None


class _MemberTask(Task[_Example]):
    """Batches of labelled frames, or of windows with them, the losses, and eq. 4 on the validation split."""

    network: MGNMA

    def __init__(
        self, job: MemberJob, train_split: PackedSplit, validation_split: PackedSplit, device: torch.device
    ) -> None:
        config, modalities = job.config, list(job.architecture.modalities)
        label_rows = shuffled_label_rows(train_split.offsets, job.seed) if job.shuffle_labels else None
        self._frames = _training_frames(train_split, config, label_rows)
        super().__init__(
            job.name,
            MGNMA(job.architecture).to(device),
            config,
            config.snapshot,
            config.early_stopping,
            config.averaging,
        )
        self._config, self._seed = config, job.seed
        self._split = train_split
        self._trained_on = np.zeros(train_split.n_frames, dtype=np.bool_)
        self._trained_on[self._frames] = True
        self._windows = _training_windows(job, train_split, self._trained_on)
        weights = loss_weights(train_split, self._frames, config)
        if self._windows is not None:
            # What has no labels is input only.
            of_frames, of_expressions = weights or (np.ones(1), np.ones(job.architecture.classes))
            weights = (of_frames * self._trained_on).astype(np.float32), of_expressions.astype(np.float32)
        self._weights = None if weights is None else [torch.from_numpy(axis).to(device) for axis in weights]
        self._batches = FrameBatches(
            train_split, modalities, config.batches, device, seed=job.seed, label_rows=label_rows
        )
        self._validation = _Validation(validation_split, job, device)

    def batch_sizes(self, epoch: int) -> list[int]:
        if self._windows is None:
            return batch_sizes(len(self._frames), self._config.batches.batch_size)
        return [self._n_labelled(windows.frames) for windows in self._windows.epoch(epoch)]

    def batches(self, epoch: int) -> Iterator[_Example]:
        # What an epoch draws depends on its number alone.
        torch.manual_seed(_mixed(self._seed, epoch))
        if self._windows is None:
            return map(_Example, self._batches.epoch(self._frames, epoch))
        windows = self._windows.epoch(epoch)
        return map(_Example, self._batches.gathered(one.frames for one in windows), windows)

    def loss(self, batch: _Example) -> Tensor:
        rows, windows = batch
        assert rows.labels is not None  # noqa: S101 - _training_frames has refused a split without labels
        sequences = None if windows is None else windows.sequences(self._split.timestamps_us, self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            output = self.network(rows.features, rows.present, sequences)
        videos = None
        if self._config.loss.of_series:
            _, numbers = np.unique(self._split.video_numbers(rows.frames), return_inverse=True)
            videos = torch.from_numpy(numbers).to(self.device)
        shares = self._split.targets.to_shares(rows.labels)
        return weighted_loss(self._config.loss, output.logits, shares, self._weights_of(batch), videos)

    def videos(self, batch: _Example) -> list[str]:
        return self._split.names_of_videos(batch.batch.frames)

    def score(self, network: nn.Module) -> float:
        return self._validation.score(cast("MGNMA", network))

    def _weights_of(self, example: _Example) -> Tensor | None:
        if self._weights is None:
            return None
        of_frames, of_expressions = self._weights
        frames = example.batch.frames
        weights = of_frames[torch.from_numpy(frames).to(self.device)][:, None] * of_expressions
        # The mean is over what has labels.
        return weights if example.windows is None else weights * (len(frames) / self._n_labelled(frames))

    def _n_labelled(self, frames: npt.NDArray[np.int64]) -> int:
        return int(self._trained_on[frames].sum())


class _Validation:
    """Eq. 4 on the validation split."""

    def __init__(self, split: PackedSplit, job: MemberJob, device: torch.device) -> None:
        self._batches = FrameBatches(split, list(job.architecture.modalities), job.config.batches, device)
        self._precision, self._constant = job.config.precision, job.constant
        dropped = job.config.all_zero_rows == "dropped"
        self._frames = split.face_frames() if dropped else np.arange(split.n_frames)
        if split.labels is None or len(self._frames) == 0:
            raise TrainingError(f"the {split.description.split} split has no labelled frame to choose the snapshot by")
        self._split = split
        self._labels = split.labels[self._frames]
        _, lengths = np.unique(split.video_numbers(self._frames), return_counts=True)
        self._offsets = np.concatenate([[0], np.cumsum(lengths)])

    def score(self, network: MGNMA) -> float:
        """Mean correlation over expressions and videos; NaN where no video defines one."""
        split = self._split
        predicted = predict(
            network,
            self._batches.gathered,
            split.timestamps_us,
            split.offsets,
            split.targets,
            precision=self._precision,
        )
        values = predicted.values[self._frames]
        return challenge_score(video_correlations(values, self._labels, self._offsets, constant=self._constant))


def _training_windows(job: MemberJob, split: PackedSplit, trained_on: npt.NDArray[np.bool_]) -> TrainingWindows | None:
    """Where a network looks along time, or a loss does; ``None`` where every frame is by itself."""
    temporal, config = job.architecture.temporal, job.config
    if temporal.kind == "none" and not config.loss.of_series:
        return None
    return TrainingWindows(
        split.timestamps_us,
        split.offsets,
        trained_on,
        window_steps=temporal.window_steps,
        batch_frames=config.batches.batch_size,
        batch_windows=config.batches.least_windows,
        whole_videos=config.loss.of_series,
        seed=job.seed,
    )


def _training_frames(
    split: PackedSplit, config: TrainingConfig, label_rows: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    seen = np.full(split.n_frames, config.all_zero_rows == "kept")
    seen[split.face_frames()] = True
    frames = np.flatnonzero(seen if label_rows is None else seen[label_rows])
    if len(frames) < 2:
        raise TrainingError(f"the {split.description.split} split has {len(frames)} frames to train on")
    return frames


def loss_weights(
    split: PackedSplit, frames: npt.NDArray[np.int64], config: TrainingConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None:
    """What every frame of the split (F,), and every expression (C,), counts in the loss; ``None`` where all is equal.

    Both are 1 in the mean, over the ``frames`` that are trained on and over the expressions.

    Raises:
        TrainingError: a weight is of no target, or all of them are 0.
    """
    if config.weigh_equally == "frames" and not config.expression_weights:
        return None
    of_frames = np.ones(split.n_frames, dtype=np.float32)
    if config.weigh_equally == "videos":
        _, video_of_frame, lengths = np.unique(split.video_numbers(frames), return_inverse=True, return_counts=True)
        of_frames[frames] = (len(frames) / (len(lengths) * lengths))[video_of_frame]
    unknown = [name for name in config.expression_weights if name not in split.targets.names]
    if unknown:
        raise TrainingError(
            f"training.expression_weights: {unknown[0]!r} is no target, they are {', '.join(split.targets.names)}"
        )
    of_expressions = np.array([config.expression_weights.get(name, 1.0) for name in split.targets.names])
    if not of_expressions.any():
        raise TrainingError("training.expression_weights: all targets have the weight 0, so that nothing is learned")
    return of_frames, (of_expressions / of_expressions.mean()).astype(np.float32)


def _mixed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _checkpoint(job: MemberJob, state: TrainingState, train_split: PackedSplit, validation: PackedSplit) -> Checkpoint:
    training: dict[str, Any] = {
        "name": job.name,
        "seed": job.seed,
        "shuffle_labels": job.shuffle_labels,
        "constant": job.constant,
        "config": job.config.model_dump(mode="json"),
        "epoch": state.best_epoch,
        "validation_correlation": state.best_score if math.isfinite(state.best_score) else None,
        "train_fingerprint": train_split.description.fingerprint,
        "validation_fingerprint": validation.description.fingerprint,
    }
    description = CheckpointDescription(
        kind="mgn_ma",
        architecture=job.architecture.model_dump(mode="json"),
        inputs={name: train_split.modalities[name] for name in job.architecture.modalities},
        targets=train_split.targets,
        training=training,
    )
    return Checkpoint(description, state.best_weights)

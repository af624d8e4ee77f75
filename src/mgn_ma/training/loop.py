"""The training loop (section 3.2): Adam, eq. 3, and the snapshot with the best correlation on validation.

Plain torch, from top to bottom: `train_member` sets up or resumes, and then for every epoch trains, scores, keeps the
snapshot, says what happened, and writes down where it stands.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from mgn_ma.eev.correlation import challenge_score, video_correlations
from mgn_ma.execution.progress import Progress
from mgn_ma.extractors.device import resolve_device
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.models.mixture_of_experts import expression_loss
from mgn_ma.training.batches import Batch, Batches
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription
from mgn_ma.training.config import TrainingConfig
from mgn_ma.training.control import shuffled_label_rows
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.order import batch_sizes
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.predict import predict
from mgn_ma.training.states import StateStore, TrainingState

logger = logging.getLogger(__name__)

VERSION = 1
"""Raised by hand when a change of code changes what is trained, so that no older state is resumed."""

OnEpoch = Callable[[Mapping[str, float], int], None]
"""``on_epoch(metrics, epoch)``, epochs counted from 1."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; the message names epoch, batch and videos."""


class MemberJob(BaseModel):
    """One network to train: everything that decides its weights, but for the data.

    Attributes:
        name: of the member.
        shuffle_labels: train on labels exchanged between videos, the control that must score about 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    architecture: MGNMAConfig
    config: TrainingConfig
    seed: int
    shuffle_labels: bool = False

    def fingerprint(self, train: PackedSplit, validation: PackedSplit) -> str:
        """Hex digest of job and data: trainings that agree in it end with the same weights (on one kind of device)."""
        data = (train.description.fingerprint, validation.description.fingerprint)
        job = self.model_dump_json(exclude={"name": True, "config": {"batches": {"prefetch", "device_cache_share"}}})
        return hashlib.sha256(repr((VERSION, job, data)).encode()).hexdigest()


@dataclass(frozen=True)
class TrainedMember:
    """What is left of a training.

    Attributes:
        history: metrics of every epoch: ``train_loss``, ``validation_correlation``, ``seconds``.
    """

    name: str
    checkpoint: Checkpoint
    history: list[dict[str, float]]


def train_member(
    job: MemberJob,
    train: PackedSplit,
    validation: PackedSplit,
    *,
    states: StateStore | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainedMember:
    """Train one network, or go on where ``states`` says that an earlier try of the same stood.

    ``on_epoch`` hears of every epoch, of those before a resumption too, so that its curves are whole.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        TrainingError: no frame to train on, or a modality that the split does not have.
    """
    fingerprint = job.fingerprint(train, validation)
    device = resolve_device(job.config.device)
    with _own_random_numbers(device):
        torch.manual_seed(job.seed)
        network = MGNMA(job.architecture).to(device)
        optimizer = torch.optim.Adam(
            network.parameters(),
            lr=job.config.learning_rate,
            weight_decay=job.config.weight_decay,
            decoupled_weight_decay=True,
            fused=device.type in ("cpu", "cuda"),
        )
        state = (states.load(job.name, fingerprint) if states is not None else None) or _fresh()
        for epoch, metrics in enumerate(state.history, start=1):
            _tell(on_epoch, metrics, epoch)
        if not state.finished:
            if state.epochs_done:
                logger.info("%s goes on after epoch %d", job.name, state.epochs_done)
                network.load_state_dict(dict(state.weights))
                optimizer.load_state_dict(dict(state.optimizer))
            run = _Run(job, network, optimizer, device, train, validation)
            for later in run.epochs(state):
                if states is not None:
                    states.save(job.name, fingerprint, later)
                _tell(on_epoch, later.history[-1], later.epochs_done)
                state = later
    return TrainedMember(job.name, _checkpoint(job, state, train, validation), state.history)


class _Run:
    """The moving parts of one training."""

    def __init__(
        self,
        job: MemberJob,
        network: MGNMA,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        train: PackedSplit,
        validation: PackedSplit,
    ) -> None:
        self._job, self._config = job, job.config
        self._network, self._optimizer, self._device = network, optimizer, device
        self._train = train
        label_rows = shuffled_label_rows(train.offsets, job.seed) if job.shuffle_labels else None
        modalities = list(job.architecture.modalities)
        self._frames = _training_frames(train, job.config, label_rows)
        self._batches = Batches(train, modalities, job.config.batches, device, seed=job.seed, label_rows=label_rows)
        self._validation = _Validation(validation, Batches(validation, modalities, job.config.batches, device), job)

    def epochs(self, state: TrainingState) -> Iterator[TrainingState]:
        """Train what is left, and give the state after every epoch."""
        config = self._config
        steps = len(batch_sizes(len(self._frames), config.batches.batch_size))
        with Progress(steps * config.epochs, f"training {self._job.name}", unit="batch") as meter:
            meter.update(steps * state.epochs_done)
            while not state.finished:
                began = time.perf_counter()
                epoch = state.epochs_done + 1
                # What an epoch draws depends on its number alone: a resumed training draws the same.
                torch.manual_seed(_mixed(self._job.seed, epoch))
                loss = self._train_epoch(epoch, meter)
                score = self._validation.score(self._network, self._device)
                metrics = {"train_loss": loss, "validation_correlation": score, "seconds": time.perf_counter() - began}
                state = self._after(state, metrics)
                meter.update(0, note=f"loss {loss:.4f}, validation correlation {score:.4f}")
                yield state

    def _train_epoch(self, epoch: int, meter: Progress) -> float:
        """One pass over the training frames; the mean loss."""
        self._network.train()
        total = torch.zeros((), device=self._device)
        previous: tuple[Tensor, Batch] | None = None
        for step, batch in enumerate(self._batches.epoch(self._frames, epoch), start=1):
            loss = self._step(batch)
            total += loss * len(batch.frames)
            # Asking for a loss makes a GPU wait: the one before is there already.
            self._require_finite(previous, epoch, step - 1)
            previous = (loss, batch)
            meter.update()
        self._require_finite(previous, epoch, step)
        return float(total) / len(self._frames)

    def _step(self, batch: Batch) -> Tensor:
        assert batch.labels is not None  # noqa: S101 - _training_frames has refused a split without labels
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            output = self._network(batch.features, batch.present)
        loss = expression_loss(output.logits, batch.labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    def _require_finite(self, seen: tuple[Tensor, Batch] | None, epoch: int, step: int) -> None:
        if seen is None or math.isfinite(float(seen[0])):
            return
        videos = self._train.names_of_videos(seen[1].frames)
        raise NonFiniteLossError(
            f"{self._job.name}: the loss is {float(seen[0])} in epoch {epoch}, batch {step}. The batch has frames of "
            f"{len(videos)} videos: {', '.join(videos)}. Look for damaged features or labels there; if there are none, "
            "the learning rate is too high"
        )

    def _after(self, state: TrainingState, metrics: dict[str, float]) -> TrainingState:
        epochs_done = state.epochs_done + 1
        score = metrics["validation_correlation"]
        # Not `score > best`, which NaN, a validation set that defines no correlation, would never lose against.
        if self._config.snapshot == "last" or not state.best_weights or not score <= state.best_score:
            weights = {key: value.detach().to("cpu", copy=True) for key, value in self._network.state_dict().items()}
            state = replace(state, best_epoch=epochs_done, best_score=score, best_weights=weights)
        patience = self._config.early_stopping
        finished = epochs_done >= self._config.epochs or (
            patience is not None and epochs_done - state.best_epoch >= patience
        )
        return replace(
            state,
            epochs_done=epochs_done,
            history=[*state.history, metrics],
            weights={} if finished else self._network.state_dict(),
            optimizer={} if finished else self._optimizer.state_dict(),
            finished=finished,
        )


class _Validation:
    """Eq. 4 on the validation split."""

    def __init__(self, split: PackedSplit, batches: Batches, job: MemberJob) -> None:
        self._batches = batches
        self._precision = job.config.precision
        dropped = job.config.all_zero_rows == "dropped"
        self._frames = split.face_frames() if dropped else np.arange(split.n_frames)
        if split.labels is None or len(self._frames) == 0:
            raise TrainingError(f"the {split.description.split} split has no labelled frame to choose the snapshot by")
        self._labels = split.labels[self._frames]
        _, lengths = np.unique(split.video_numbers(self._frames), return_counts=True)
        self._offsets = np.concatenate([[0], np.cumsum(lengths)])

    def score(self, network: MGNMA, device: torch.device) -> float:
        """Mean correlation over expressions and videos; NaN where no video defines one."""
        predicted = predict(network, self._batches, self._frames, device, precision=self._precision)
        return challenge_score(video_correlations(predicted.probabilities, self._labels, self._offsets))


def _training_frames(
    split: PackedSplit, config: TrainingConfig, label_rows: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    seen = np.full(split.n_frames, config.all_zero_rows == "kept")
    seen[split.face_frames()] = True
    frames = np.flatnonzero(seen if label_rows is None else seen[label_rows])
    if len(frames) < 2:
        raise TrainingError(f"the {split.description.split} split has {len(frames)} frames to train on")
    return frames


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave the process's random state as it was found."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _mixed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _fresh() -> TrainingState:
    return TrainingState(0, [], {}, {}, 0, -math.inf, {})


def _tell(on_epoch: OnEpoch | None, metrics: Mapping[str, float], epoch: int) -> None:
    if on_epoch is not None:
        on_epoch(metrics, epoch)


def _checkpoint(job: MemberJob, state: TrainingState, train: PackedSplit, validation: PackedSplit) -> Checkpoint:
    training: dict[str, Any] = {
        "name": job.name,
        "seed": job.seed,
        "shuffle_labels": job.shuffle_labels,
        "config": job.config.model_dump(mode="json"),
        "epoch": state.best_epoch,
        "validation_correlation": state.best_score if math.isfinite(state.best_score) else None,
        "train_fingerprint": train.description.fingerprint,
        "validation_fingerprint": validation.description.fingerprint,
    }
    description = CheckpointDescription(
        kind="mgn_ma",
        architecture=job.architecture.model_dump(mode="json"),
        inputs={name: train.modalities[name] for name in job.architecture.modalities},
        expressions=train.description.expressions,
        training=training,
    )
    return Checkpoint(description, state.best_weights)

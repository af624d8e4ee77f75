"""The training loop (section 3.2): Adam on eq. 3, and the snapshot with the best correlation on validation.

Plain torch, from top to bottom: `train` sets up or resumes, and then for every epoch trains, scores, keeps the
snapshot, writes down where it stands, and says what happened. What differs between the networks is their `Task`.
"""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mgn_ma.execution.progress import Progress
from mgn_ma.training.config import AveragingConfig, OptimisationConfig
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.states import StateStore, TrainingState

logger = logging.getLogger(__name__)

B = TypeVar("B")

OnEpoch = Callable[[Mapping[str, float], int], None]
"""``on_epoch(metrics, epoch)``, epochs counted from 1."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; the message names epoch, batch and videos."""


@dataclass
class Task(ABC, Generic[B]):
    """A network and what it is to learn, in batches of B.

    Attributes:
        name: of the network, in messages and among the kept states.
        network: on its device, with the weights that it begins with.
        optimisation: how it learns.
        snapshot: keep the epoch with the best score, or the last.
        early_stopping: stop after so many epochs without a better score.
        averaging: whether the mean of the weights over training is scored and kept, instead of the last ones.
    """

    name: str
    network: nn.Module
    optimisation: OptimisationConfig
    snapshot: Literal["best", "last"] = "last"
    early_stopping: int | None = None
    averaging: AveragingConfig = field(default_factory=AveragingConfig)

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @abstractmethod
    def batch_sizes(self, epoch: int) -> Sequence[int]:
        """How many examples the loss of each batch of an epoch is the mean over."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[B]:
        """The batches of an epoch, counted from 1; a resumed training must be given the same."""

    @abstractmethod
    def loss(self, batch: B) -> Tensor:
        """Mean loss over the examples of a batch, a scalar."""

    @abstractmethod
    def videos(self, batch: B) -> list[str]:
        """Ids of the videos that a batch is of."""

    def score(self, network: nn.Module) -> float | None:
        """Correlation on validation, NaN where that defines none; ``None`` for a task that has no validation.

        Args:
            network: the task's own, or the mean of what it was.
        """
        return None


def train(
    task: Task[Any], fingerprint: str, *, states: StateStore | None = None, on_epoch: OnEpoch | None = None
) -> TrainingState:
    """Train a network, or go on where ``states`` says that an earlier try of the same stood.

    ``on_epoch`` hears of every epoch, of those before a resumption too, so that its curves are whole. Random numbers
    are drawn from torch's global generator: see `own_random_numbers`.

    Args:
        task: what to train.
        fingerprint: of everything that decides the weights.
        states: where every epoch is kept.
        on_epoch: hears the metrics ``train_loss``, ``seconds`` and, where there is one, ``validation_correlation``.

    Returns:
        The finished state, whose snapshot is the result.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
    """
    state = (states.load(task.name, fingerprint) if states is not None else None) or TrainingState()
    for epoch, metrics in enumerate(state.history, start=1):
        _report(on_epoch, metrics, epoch)
    if state.finished:
        return state
    learner = _Learner(task, state)
    n_batches = [len(task.batch_sizes(epoch)) for epoch in range(1, task.optimisation.epochs + 1)]
    with Progress(sum(n_batches), f"training {task.name}", unit="batch") as meter:
        meter.update(sum(n_batches[: state.epochs_done]))
        while not state.finished:
            state = _after_epoch(task, learner, state, _epoch_metrics(task, learner, state.epochs_done + 1, meter))
            if states is not None:
                states.save(task.name, fingerprint, state)
            _report(on_epoch, state.history[-1], state.epochs_done)
    return state


@contextmanager
def own_random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch, and leave the process's random state as it was found."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class _Learner:
    """Adam, and the mean of the weights where one is wanted, as they were after the epochs that are done.

    Attributes:
        optimizer: of the task's network.
        averaged: the network with the mean weights, or ``None``.
    """

    def __init__(self, task: Task[Any], state: TrainingState) -> None:
        self._task = task
        self.optimizer = torch.optim.Adam(
            task.network.parameters(),
            lr=task.optimisation.learning_rate,
            weight_decay=task.optimisation.weight_decay,
            decoupled_weight_decay=True,
            fused=task.device.type in ("cpu", "cuda"),
        )
        self.averaged: AveragedModel | None = None
        if task.averaging.kind != "none":
            self.averaged = AveragedModel(task.network, avg_fn=self._mean, use_buffers=True)
        if state.random_state is not None:
            logger.info("%s goes on after epoch %d", task.name, state.epochs_done)
            task.network.load_state_dict(dict(state.weights))
            self.optimizer.load_state_dict(dict(state.optimizer))
            if self.averaged is not None:
                self.averaged.load_state_dict(dict(state.averaged))
            _generator(task.device).set_state(state.random_state)

    def step(self, loss: Tensor, epoch: int) -> None:
        """Go down the gradient of ``loss``."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self._task.averaging.kind == "ema":
            self._average(epoch)

    def end_epoch(self, epoch: int) -> None:
        """Hear that all batches of an epoch are done."""
        if self._task.averaging.kind == "swa":
            self._average(epoch)

    @property
    def result(self) -> nn.Module:
        """The network that is scored and kept: the mean, from the first epoch on that it is of."""
        if self.averaged is None or not self.averaged.n_averaged:
            return self._task.network
        return self.averaged.module

    def _average(self, epoch: int) -> None:
        if self.averaged is not None and epoch >= self._task.averaging.from_epoch:
            self.averaged.update_parameters(self._task.network)

    def _mean(self, mean: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
        # Torch's own can't average what batch norm counts, whole numbers.
        share = 1 - self._task.averaging.decay if self._task.averaging.kind == "ema" else 1 / (n_averaged + 1)
        return mean + share * (current - mean)


def _epoch_metrics(task: Task[Any], learner: _Learner, epoch: int, meter: Progress) -> dict[str, float]:
    """Train an epoch and score it."""
    began = time.perf_counter()
    metrics = {"train_loss": _train_epoch(task, learner, epoch, meter)}
    score = task.score(learner.result)
    if score is not None:
        metrics["validation_correlation"] = score
    meter.update(0, note=", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in metrics.items()))
    return {**metrics, "seconds": time.perf_counter() - began}


def _train_epoch(task: Task[Any], learner: _Learner, epoch: int, meter: Progress) -> float:
    """One pass over the examples; the mean loss."""
    task.network.train()
    total = torch.zeros((), device=task.device)
    previous: tuple[Tensor, Any] | None = None
    sizes = task.batch_sizes(epoch)
    for step, (batch, size) in enumerate(zip(task.batches(epoch), sizes, strict=True), start=1):
        loss = task.loss(batch)
        learner.step(loss, epoch)
        total += loss.detach() * size
        # Asking for a loss makes a GPU wait: the one before is there already.
        _require_finite(task, previous, epoch, step - 1)
        previous = (loss.detach(), batch)
        meter.update()
    _require_finite(task, previous, epoch, len(sizes))
    learner.end_epoch(epoch)
    return float(total) / sum(sizes)


def _require_finite(task: Task[B], seen: tuple[Tensor, B] | None, epoch: int, step: int) -> None:
    if seen is None or math.isfinite(float(seen[0])):
        return
    videos = task.videos(seen[1])
    raise NonFiniteLossError(
        f"{task.name}: the loss is {float(seen[0])} in epoch {epoch}, batch {step}. The batch has frames of "
        f"{len(videos)} videos: {', '.join(videos)}. Look for damaged features or labels there; if there are none, "
        "the learning rate is too high"
    )


def _after_epoch(task: Task[Any], learner: _Learner, state: TrainingState, metrics: dict[str, float]) -> TrainingState:
    epochs_done = state.epochs_done + 1
    score = metrics.get("validation_correlation", math.nan)
    # Not `score > best`, which NaN, a validation set that defines no correlation, would never lose against.
    is_best = task.snapshot == "last" or not state.best_epoch or not score <= state.best_score
    best_epoch = epochs_done if is_best else state.best_epoch
    finished = epochs_done >= task.optimisation.epochs or (
        task.early_stopping is not None and epochs_done - best_epoch >= task.early_stopping
    )
    if is_best:
        # The last epoch's snapshot is worth a copy only when it is known to be the last.
        snapshot = on_host(learner.result.state_dict()) if task.snapshot == "best" or finished else {}
        state = replace(state, best_epoch=epochs_done, best_score=score, best_weights=snapshot)
    return replace(
        state,
        epochs_done=epochs_done,
        history=[*state.history, metrics],
        weights={} if finished else task.network.state_dict(),
        averaged={} if finished or learner.averaged is None else learner.averaged.state_dict(),
        optimizer={} if finished else learner.optimizer.state_dict(),
        random_state=_generator(task.device).get_state(),
        finished=finished,
    )


def on_host(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of weights in host memory, which no later step changes."""
    return {key: value.detach().to("cpu", copy=True) for key, value in weights.items()}


def _generator(device: torch.device) -> torch.Generator:
    """Torch's global generator of a device."""
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    return torch.default_generator


def _report(on_epoch: OnEpoch | None, metrics: Mapping[str, float], epoch: int) -> None:
    if on_epoch is not None:
        on_epoch(metrics, epoch)

"""Where a training stands, kept after every epoch, so that a killed one goes on where it was and ends the same."""

from __future__ import annotations

import hashlib
import io
import logging
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mgn_ma.files import Folder

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

FORMAT = 3

_DIGEST_BYTES = 32

_DAMAGED = (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError)
"""What `torch.load` and the reading of its result raise of a file that is cut short, damaged or something else."""


@dataclass(frozen=True)
class TrainingState:
    """A training after some epochs; by default, before the first.

    Attributes:
        epochs_done: how many.
        history: the metrics of each of them.
        weights: of the network as it is now; empty when finished.
        averaged: the state dict of their mean; empty when finished, or where none is wanted.
        optimizer: its state dict; empty when finished.
        random_state: of the generator of the network's device; ``None`` before the first epoch.
        best_epoch: which epoch the snapshot is of, counted from 1.
        best_score: its correlation on validation.
        best_weights: the snapshot, on the CPU; where the last epoch is the snapshot, empty until finished.
        finished: whether nothing is left to do.
    """

    epochs_done: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    weights: Mapping[str, Tensor] = field(default_factory=dict)
    averaged: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    random_state: Tensor | None = None
    best_epoch: int = 0
    best_score: float = -math.inf
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)
    finished: bool = False


@dataclass(frozen=True)
class StateStore:
    """The states of trainings by name and fingerprint; another configuration or other data is another training.

    Attributes:
        folder: where they are.
    """

    folder: Folder = field(repr=False)

    def holds(self, name: str, fingerprint: str) -> bool:
        """Whether there is a state, usable or not."""
        return self.folder.exists(_file(name, fingerprint))

    def load(self, name: str, fingerprint: str) -> TrainingState | None:
        """The last state with its tensors on the CPU, or ``None`` where there is none that can be used."""
        content = self.folder.read(_file(name, fingerprint))
        if content is None:
            return None
        import torch

        try:
            file = io.BytesIO(_checked(content))
            kept = torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251 - weights_only
            if (kept["format"], kept["fingerprint"]) != (FORMAT, fingerprint):
                raise ValueError("it is of another format, or of another training")
            return TrainingState(**kept["state"])
        except _DAMAGED as error:
            logger.warning(
                "the state %s/%s can't be used, its training starts anew: %s",
                self.folder.root,
                _file(name, fingerprint),
                error,
            )
            return None

    def save(self, name: str, fingerprint: str, state: TrainingState) -> None:
        """Replace the last state, atomically."""
        import torch

        content = io.BytesIO()
        torch.save({"format": FORMAT, "fingerprint": fingerprint, "state": vars(state)}, content)
        self.folder.write(_file(name, fingerprint), hashlib.sha256(content.getvalue()).digest() + content.getvalue())


def _checked(content: bytes) -> memoryview:
    """What follows the digest that a file begins with, and that it must have."""
    kept = memoryview(content)[_DIGEST_BYTES:]
    if hashlib.sha256(kept).digest() != content[:_DIGEST_BYTES]:
        raise ValueError(f"it is damaged, or of another format than {FORMAT}")
    return kept


def _file(name: str, fingerprint: str) -> str:
    return f"{name}-{fingerprint[:12]}.pt"

"""Where a training stands, kept after every epoch, so that a killed one goes on where it was and ends the same.

Random numbers need no keeping: every epoch seeds its own from the member's seed and the epoch's number.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from mgn_ma.files import Folder

logger = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class TrainingState:
    """A training after some epochs.

    Attributes:
        epochs_done: how many.
        history: the metrics of each of them.
        weights: of the network as it is now; empty when finished.
        optimizer: its state dict; empty when finished.
        best_epoch: which epoch the snapshot is of, counted from 1.
        best_score: its correlation on validation.
        best_weights: the snapshot.
        finished: whether nothing is left to do.
    """

    epochs_done: int
    history: list[dict[str, float]]
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    best_epoch: int
    best_score: float
    best_weights: Mapping[str, Tensor]
    finished: bool = False


@dataclass(frozen=True)
class StateStore:
    """The states of trainings by name and fingerprint; another configuration or other data is another training.

    Attributes:
        folder: where they are.
    """

    folder: Folder = field(repr=False)

    def load(self, name: str, fingerprint: str) -> TrainingState | None:
        """The last state, or ``None`` where there is none that can be used."""
        content = self.folder.read(_file(name, fingerprint))
        if content is None:
            return None
        try:
            return _decode(content, fingerprint)
        except (ValueError, KeyError, safetensors.SafetensorError) as error:
            logger.warning("the kept state of %s can't be used, its training starts anew: %s", name, error)
            return None

    def save(self, name: str, fingerprint: str, state: TrainingState) -> None:
        """Replace the last state, atomically."""
        self.folder.write(_file(name, fingerprint), _encode(state, fingerprint))


def _file(name: str, fingerprint: str) -> str:
    return f"{name}-{fingerprint[:12]}.safetensors"


def _encode(state: TrainingState, fingerprint: str) -> bytes:
    optimizer_tensors, optimizer_rest = _flatten(state.optimizer)
    tensors = {f"weights/{key}": value for key, value in state.weights.items()}
    tensors |= {f"best/{key}": value for key, value in state.best_weights.items()}
    tensors |= {f"optimizer/{key}": value for key, value in optimizer_tensors.items()}
    described = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "epochs_done": state.epochs_done,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best_score": state.best_score,
        "finished": state.finished,
        "optimizer": optimizer_rest,
    }
    # Copies, for safetensors refuses tensors that share memory: Adam's steps, the snapshot and the weights may.
    on_host = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}
    return safetensors.torch.save(on_host, metadata={"state": json.dumps(described)})


def _decode(content: bytes, fingerprint: str) -> TrainingState:
    header_length = int.from_bytes(content[:8], "little")
    described = json.loads(json.loads(content[8 : 8 + header_length])["__metadata__"]["state"])
    if described["format"] != FORMAT or described["fingerprint"] != fingerprint:
        raise ValueError("it is of another format, or of another training")
    tensors = safetensors.torch.load(content)

    def group(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    return TrainingState(
        epochs_done=described["epochs_done"],
        history=described["history"],
        weights=group("weights/"),
        optimizer=_unflatten(group("optimizer/"), described["optimizer"]),
        best_epoch=described["best_epoch"],
        best_score=described["best_score"],
        best_weights=group("best/"),
        finished=described["finished"],
    )


def _flatten(optimizer: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of an optimizer's state dict by path, and the rest, which JSON can hold."""
    if not optimizer:
        return {}, {}
    tensors = {
        f"{number}/{name}": value
        for number, values in optimizer["state"].items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }
    return tensors, {"param_groups": optimizer["param_groups"]}


def _unflatten(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    if not rest:
        return {}
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        number, name = path.split("/")
        state.setdefault(int(number), {})[name] = value
    groups = [{**group, "betas": tuple(group["betas"])} for group in rest["param_groups"]]
    return {"state": state, "param_groups": groups}

"""A trained network with what it must know of its input: weights as safetensors, everything else as JSON.

A checkpoint is two files, ``<name>.safetensors`` and ``<name>.json``; the JSON holds the digest of the weights, so that
halves of two checkpoints are never taken for one. Nothing is pickled. Torch is imported where tensors are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.eev.targets import Targets
from mgn_ma.errors import MGNMAError
from mgn_ma.files import Folder
from mgn_ma.models.config import MGNMAConfig, VideoLevelConfig
from mgn_ma.training.packed import PackedModality

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mgn_ma.extractors.pretrained import Precision
    from mgn_ma.models.mgn_ma import MGNMA
    from mgn_ma.models.video_level import VideoLevelNetwork

FORMAT: Final = 2

Network = TypeVar("Network", bound="nn.Module")


class CheckpointError(MGNMAError):
    """A checkpoint can't be used: it is incomplete, damaged, or of another kind. The message says which."""


class CheckpointDescription(Configuration):
    """What travels with the weights.

    Attributes:
        kind: which network.
        architecture: its configuration, `MGNMAConfig` or `VideoLevelConfig`.
        inputs: by modality, width, extractor fingerprint, clock and tolerance of the vectors that it was trained on.
        targets: what its outputs are, in their order.
        training: seed, settings, data fingerprints, and which epoch this is; for people and for comparison.
    """

    format: Literal[2] = FORMAT
    kind: Literal["mgn_ma", "video_level"]
    architecture: dict[str, Any]
    inputs: dict[str, PackedModality]
    targets: Targets
    training: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A network at rest.

    Attributes:
        weights: by the name that the network gives them, on the CPU.
    """

    description: CheckpointDescription
    weights: Mapping[str, Tensor]

    @property
    def inputs(self) -> dict[str, PackedModality]:
        """What the network must be given, by modality."""
        return self.description.inputs

    @property
    def precision(self) -> Precision:
        """Of the matrix products that it was trained, and chosen, with."""
        config = self.description.training.get("config") or {}
        return "bfloat16" if config.get("precision") == "bfloat16" else "float32"

    def build(self) -> MGNMA:
        """The MGN-MA, in evaluation mode on the CPU.

        Raises:
            CheckpointError: another network, or weights that don't fit it.
        """
        from mgn_ma.models.mgn_ma import MGNMA

        self._require("mgn_ma")
        return self._filled(lambda architecture: MGNMA(MGNMAConfig.model_validate(architecture)))

    def build_video_level(self) -> VideoLevelNetwork:
        """The video-level network, in evaluation mode on the CPU.

        Raises:
            CheckpointError: another network, or weights that don't fit it.
        """
        from mgn_ma.models.video_level import VideoLevelNetwork

        self._require("video_level")
        return self._filled(lambda architecture: VideoLevelNetwork(VideoLevelConfig.model_validate(architecture)))

    def digest(self) -> str:
        """Hex digest of description and weights."""
        content = self.description.model_dump_json().encode() + _to_bytes(self.weights)
        return hashlib.sha256(content).hexdigest()

    def _require(self, kind: str) -> None:
        if self.description.kind != kind:
            raise CheckpointError(f"this is a checkpoint of {self.description.kind}, wanted is one of {kind}")

    def _filled(self, make: Callable[[Mapping[str, Any]], Network]) -> Network:
        try:
            network = make(self.description.architecture)
        except (ValueError, TypeError, RuntimeError) as error:  # the last two: of torch, for sizes that nothing has
            raise CheckpointError(f"its architecture is none: {error}") from error
        try:
            network.load_state_dict(dict(self.weights), strict=True)
        except RuntimeError as error:
            raise CheckpointError(f"the weights don't fit the architecture: {error}") from error
        return network.eval()

    def __reduce__(self) -> tuple[Any, ...]:
        # Bytes, because torch would send tensors between processes through shared memory that may be gone on arrival.
        return _from_bytes, (self.description, _to_bytes(self.weights))


def networks_fingerprint(networks: Mapping[str, Checkpoint]) -> str:
    """Hex digest of several networks together: a change of any of them changes what is made with them."""
    return hashlib.sha256("".join(network.digest() for network in networks.values()).encode()).hexdigest()


def save_checkpoint(checkpoint: Checkpoint, folder: Folder, name: str) -> None:
    """Write a checkpoint's two files, each atomically."""
    weights = _to_bytes({key: value.contiguous() for key, value in checkpoint.weights.items()})
    described = _Stored(description=checkpoint.description, weights_sha256=hashlib.sha256(weights).hexdigest())
    folder.write(f"{name}.safetensors", weights)
    folder.write(f"{name}.json", described.model_dump_json(indent=1).encode())


def load_checkpoint(folder: Folder, name: str) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        CheckpointError: it is incomplete, damaged, of a format that this version does not read, or holds weights that
            are no finite numbers.
    """
    described, weights = folder.read(f"{name}.json"), folder.read(f"{name}.safetensors")
    place = f"{folder.root}/{name}"
    if described is None or weights is None:
        raise CheckpointError(f"there is no whole checkpoint at {place}.json and {place}.safetensors")
    try:
        stored = _Stored.model_validate_json(described)
    except ValueError as error:
        raise CheckpointError(
            f"{place}.json does not describe a checkpoint of format {FORMAT}, which this version reads: train again"
        ) from error
    if hashlib.sha256(weights).hexdigest() != stored.weights_sha256:
        raise CheckpointError(f"{place}.safetensors is damaged, or belongs to another {name}.json")
    checkpoint = _from_bytes(stored.description, weights)
    for key, value in checkpoint.weights.items():
        if not value.isfinite().all():
            raise CheckpointError(f"{place}.safetensors: {key} holds NaN or infinite weights: train again")
    return checkpoint


class _Stored(Configuration):
    description: CheckpointDescription
    weights_sha256: str


def _to_bytes(weights: Mapping[str, Tensor]) -> bytes:
    import safetensors.torch

    return safetensors.torch.save(dict(weights))


def _from_bytes(description: CheckpointDescription, weights: bytes) -> Checkpoint:
    import safetensors.torch

    return Checkpoint(description, safetensors.torch.load(weights))

"""S3D over windows that overlap: the plain network's vectors at a fraction of its work."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mgn_ma.extractors.batching import Batches, batch_of
from mgn_ma.extractors.device import place
from mgn_ma.extractors.pretrained import Precision
from mgn_ma.extractors.s3d.network import S3D, WINDOW_FRAMES
from mgn_ma.extractors.s3d.stem import SharedStem, Window, WindowStream
from mgn_ma.extractors.s3d.trunk import Trunk

ModuleT = TypeVar("ModuleT", bound=nn.Module)

FLOAT32_LAYERS = {"gate", "fc"}
"""Small layers on means, whose rounding would move whole channels: float32 whatever the precision."""


class DenseS3D:
    """A network arranged for many windows of one stream of frames.

    Args:
        network: the plain network with its weights, in evaluation mode; copied, not changed.
        device: where to compute.
        precision: of everything but the gates and the last layer.
        batch_size: windows that go through the trunk at a time, and, in proportion, frames through the stem. Halved by
            itself where memory does not suffice, for the life of this object.
        window_frames: even, at least 6.
    """

    def __init__(
        self,
        network: S3D,
        *,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        batch_size: int = 4,
        window_frames: int = WINDOW_FRAMES,
    ) -> None:
        self._device = torch.device(device)
        self._stem = _placed(SharedStem(network), self._device, precision)
        self._trunk = _placed(Trunk(network), self._device, precision)
        self._window_frames = window_frames
        self._batches = Batches(batch_size, self._device, "window")
        self._pieces = Batches(frames_per_batch(batch_size), self._device, "frame")

    def vectors(self, frames: Iterable[Any], starts: Iterable[int]) -> Iterator[Tensor]:
        """Vectors of the windows that start at the frames named, in that order, a few at a time.

        Args:
            frames: (H, W, 3) uint8 RGB, arrays or tensors, a fixed step apart; H and W even. May be endless.
            starts: indices of frames, strictly ascending, maybe endless: a window without all its frames has no vector.

        Yields:
            (B, 512) float32 on the device.

        Raises:
            ExtractionError: transient, if not even one window fits into memory.
            ValueError: if starts don't ascend, or the size of a frame is odd.
        """
        stream = WindowStream(self._stem, starts, self._window_frames)
        wanted = itertools.takewhile(lambda _: not stream.is_exhausted, frames)
        pieces = self._pieces.map(partial(self._through_stem, stream), wanted)
        yield from self._batches.map(self._through_trunk, itertools.chain.from_iterable(pieces))

    def _through_stem(self, stream: WindowStream, frames: Sequence[Any]) -> list[Window]:
        with torch.inference_mode():
            return stream.push(batch_of(frames, self._device))

    def _through_trunk(self, windows: Sequence[Window]) -> Tensor:
        with torch.inference_mode():
            vectors: Tensor = self._trunk(self._stem.gated(list(windows)))
            return vectors


def frames_per_batch(batch_size: int) -> int:
    """How many 10 fps frames bring about as many 6 Hz windows."""
    return math.ceil(batch_size * 10 / 6)


def _placed(module: ModuleT, device: torch.device, precision: Precision) -> ModuleT:
    small = {
        name: copy.deepcopy(layer)
        for name, layer in module.named_modules()
        if name.rpartition(".")[2] in FLOAT32_LAYERS
    }
    placed = place(module, device, precision)
    for name, layer in small.items():
        placed.set_submodule(name, place(layer, device, "float32"))
    return placed

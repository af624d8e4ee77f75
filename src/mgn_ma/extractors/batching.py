"""Values of one video -> batches -> network -> vectors: what the extractors with a network share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.extractors.device import LESS_MEMORY, is_out_of_memory, release_memory
from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.extractors.reading import ReadFrames, grid_rows, path_and_duration, read_on_cpu
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource

log = logging.getLogger(__name__)

_READ_AHEAD_BATCHES = 2

Value = TypeVar("Value")
Output = TypeVar("Output")


class Batches:
    """Calls a function with batches of at most ``size`` values, and halves ``size`` where memory does not suffice.

    Args:
        size: of a batch, at first; what was learned about memory stays for the life of this object.
        device: where the memory is.
        unit: what a value is called in the log.
    """

    def __init__(self, size: int, device: torch.device, unit: str = "unit") -> None:
        self.size = size
        self._device = device
        self._unit = unit

    def map(self, function: Callable[[Sequence[Value]], Output], values: Iterable[Value]) -> Iterator[Output]:
        """What the function gives for each batch, in order; values are taken as they are needed.

        Raises:
            ExtractionError: transient, if not even one value fits into memory.
        """
        remaining = iter(values)
        waiting: list[Value] = []
        while waiting := [*waiting, *islice(remaining, max(0, self.size - len(waiting)))]:
            batch = waiting[: self.size]
            # The retry is outside of the except block: an exception in flight would keep the failed batch's tensors.
            outputs = self._try(function, batch)
            if outputs:
                waiting = waiting[len(batch) :]
                yield outputs[0]
            else:
                self._shrink()

    def _try(self, function: Callable[[Sequence[Value]], Output], batch: Sequence[Value]) -> list[Output]:
        try:
            return [function(batch)]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return []

    def _shrink(self) -> None:
        release_memory(self._device)
        if self.size == 1:
            raise ExtractionError(
                f"{self._device} has too little memory for even one {self._unit}: {LESS_MEMORY}", transient=True
            )
        failed, self.size = self.size, self.size // 2
        log.warning(
            "a batch of %d %ss exceeds the memory of %s: going on with %d", failed, self._unit, self._device, self.size
        )


def batch_of(frames: Sequence[Any], device: torch.device) -> torch.Tensor:
    """B frames, all arrays or all tensors, to a tensor on the device; arrays go there as the bytes that they are."""
    if isinstance(frames[0], torch.Tensor):
        return torch.stack(list(frames)).to(device)
    return torch.from_numpy(np.stack(frames)).to(device, non_blocking=True)


def vectors_of(
    values: Iterable[Any], forward: Callable[[Sequence[Any]], torch.Tensor], batches: Batches, *, lacking: str
) -> npt.NDArray[np.float32]:
    """Vectors (N, D) of N values, which are read ahead in a thread: decoding overlaps computing.

    Args:
        values: iterated in a thread; what that raises is raised here.
        forward: B values to (B, D) on whatever device; may return before a GPU has finished.
        batches: how many at a time.
        lacking: what the error says where there are no values.

    Raises:
        ExtractionError: there are no values, or not even one fits into memory.
    """
    with Prefetch(values, _READ_AHEAD_BATCHES * batches.size) as ahead:
        outputs = list(batches.map(forward, ahead))
    if not outputs:
        raise ExtractionError(lacking)
    # Fetched from the device here and not sooner, so that a GPU never waits for it.
    return np.concatenate([output.float().cpu().numpy() for output in outputs])


def grid_vectors(
    video: VideoSource,
    geometry: FrameGeometry,
    forward: Callable[[Sequence[Any]], torch.Tensor],
    batches: Batches,
    prepare: Callable[[Any], Any] = lambda frame: frame,
    read: ReadFrames = read_on_cpu,
) -> TrackRows:
    """One row for each timestamp of the 6 Hz grid at which a frame is shown.

    Args:
        video: what is read.
        geometry: of the frames.
        forward: B values to (B, D).
        batches: how many at a time.
        prepare: a frame to a value, in the thread that reads.
        read: what decodes.

    Raises:
        ExtractionError: there is no file, no frame is shown, or not even one value fits into memory.
        MediaError: the video can't be read.
    """
    path, duration_us = path_and_duration(video)
    timestamps_us: list[int] = []

    def values() -> Iterator[Any]:
        times_us = grid_timestamps_us(duration_us).tolist()
        for time_us, frame in read(path, times_us, geometry):
            timestamps_us.append(time_us)
            yield prepare(frame)

    vectors = vectors_of(values(), forward, batches, lacking="no frame is shown at any timestamp")
    return grid_rows(np.array(timestamps_us, dtype=np.int64), vectors)

"""Units of several videos -> batches -> network -> rows of each video: what the extractors with a network share.

Videos are read by several threads, ahead of the network and in bounded memory. What a unit's vector is must not depend
on what it shares a batch with, to the last bit: else the same video would get other vectors in another order, or on
another number of workers. Libraries choose how to compute by the shape of their input, and for one shape each row has
its own result. So every batch of a group has one shape: one that is not full is filled up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.extractors.device import is_out_of_memory, release_memory
from mgn_ma.extractors.reading import Read, Readers, Unit, VideoRows
from mgn_ma.media.source import VideoSource

log = logging.getLogger(__name__)

_READ_AHEAD_BATCHES = 2

Forward = Callable[[Sequence[Any]], torch.Tensor]
"""Values of B units to vectors (B, D), on whatever device; may return before a GPU has finished."""


class Batches:
    """Runs a network over values in batches of at most ``size``, and halves ``size`` where memory does not suffice.

    A last batch that is not full is filled up by repeating its last value, and the surplus dropped: one shape for all.

    Args:
        forward: the network, with whatever turns values into its input.
        size: of a batch, at first; what was learned about memory stays for the life of this object.
        device: where the memory is.
    """

    def __init__(self, forward: Forward, size: int, device: torch.device) -> None:
        self._forward = forward
        self._device = device
        self.size = size

    def __call__(self, values: Sequence[Any]) -> list[torch.Tensor]:
        """Vectors of values, in order, as one tensor (B, D) a batch that was run.

        Raises:
            ExtractionError: transient, if not even one value fits into memory.
        """
        outputs: list[torch.Tensor] = []
        start = 0
        while start < len(values):
            chunk = list(values[start : start + self.size])
            # The retry is outside of the except block: an exception in flight would keep the failed batch's tensors.
            vectors = self._try(chunk + chunk[-1:] * (self.size - len(chunk)))
            if vectors is not None:
                outputs.append(vectors[: len(chunk)])
                start += len(chunk)
            else:
                self._shrink()
        return outputs

    def _try(self, chunk: Sequence[Any]) -> torch.Tensor | None:
        try:
            return self._forward(chunk)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _shrink(self) -> None:
        release_memory(self._device)
        if self.size == 1:
            raise ExtractionError(f"{self._device} has too little memory for even one unit", transient=True)
        failed, self.size = self.size, self.size // 2
        log.warning("a batch of %d exceeds the memory of %s: going on with %d", failed, self._device, self.size)


class Memo:
    """Vectors of values met before, so that each distinct value goes through the network once.

    Args:
        capacity: vectors to remember; the longest unused one goes first.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: dict[Hashable, npt.NDArray[np.float32]] = {}

    def get(self, value: Hashable) -> npt.NDArray[np.float32] | None:
        """The vector of a value, if it is still known."""
        vector = self._vectors.pop(value, None)
        if vector is not None:
            self._vectors[value] = vector
        return vector

    def put(self, value: Hashable, vector: npt.NDArray[np.float32]) -> None:
        """Remember a vector."""
        self._vectors[value] = vector
        if len(self._vectors) > self._capacity:
            self._vectors.pop(next(iter(self._vectors)))


def extract_in_batches(
    videos: Iterable[VideoSource],
    read: Read,
    batches: Batches,
    *,
    readers: int = 1,
    group: Callable[[Any], Hashable] | None = None,
    memo: Memo | None = None,
) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
    """Rows of every video, in the order given; see :meth:`mgn_ma.extractors.base.Extractor.extract`.

    Args:
        videos: what to read.
        read: one video to its units, in ascending time. Runs in threads.
        batches: the network.
        readers: videos that are read at a time.
        group: what a value's input has the shape of; values share a batch with their like only. Called in this thread.
        memo: for values that come again (texts): known vectors are not computed again, here or in a later call.
    """
    with Readers(iter(videos), read, readers, depth=max(2, _READ_AHEAD_BATCHES * batches.size // readers)) as reading:
        batcher = _Batcher(batches, group, memo)
        for rows, unit in reading:
            if unit is not None:
                batcher.add(rows, unit)
            if reading.is_stuck:
                batcher.flush()
            yield from reading.finished()
        batcher.flush()
        yield from reading.finished()


_Entries = dict[Hashable, tuple[Any, list[tuple[VideoRows, int]]]]
"""Values by key, each with the rows (and the index there) that wait for its vector."""


class _Batcher:
    """Collects values until a batch is full, and hands vectors to the rows that wait for them.

    The vectors of a batch are fetched from the device only when the next one was launched: a GPU computes meanwhile.
    """

    def __init__(self, batches: Batches, group: Callable[[Any], Hashable] | None, memo: Memo | None) -> None:
        self._batches = batches
        self._group = group
        self._memo = memo
        self._waiting: dict[Hashable, _Entries] = {}
        self._launched: _Entries = {}
        self._outputs: list[torch.Tensor] = []

    def add(self, rows: VideoRows, unit: Unit) -> None:
        place = (rows, rows.reserve(unit))
        if self._memo is not None and (known := self._memo.get(unit.value)) is not None:
            rows.fill(place[1], known)
            return
        if self._memo is not None and unit.value in self._launched:
            self._launched[unit.value][1].append(place)
            return
        group = self._group(unit.value) if self._group is not None else None
        waiting = self._waiting.setdefault(group, {})
        key = unit.value if self._memo is not None else len(waiting)
        waiting.setdefault(key, (unit.value, []))[1].append(place)
        if len(waiting) >= self._batches.size:
            self._launch(group)

    def flush(self) -> None:
        """Compute and hand out all that waits."""
        for group in list(self._waiting):
            self._launch(group)
        self._collect()

    def _launch(self, group: Hashable) -> None:
        entries = self._waiting.pop(group)
        try:
            outputs = self._batches([value for value, _ in entries.values()])
        except ExtractionError as error:
            for _, places in entries.values():
                for rows, _ in places:
                    rows.fail(error)
            return
        self._collect()
        self._outputs, self._launched = outputs, entries

    def _collect(self) -> None:
        if not self._launched:
            return
        vectors = np.concatenate([output.float().cpu().numpy() for output in self._outputs])
        for vector, (value, places) in zip(vectors, self._launched.values(), strict=True):
            for rows, index in places:
                if rows.error is None:
                    rows.fill(index, vector)
            if self._memo is not None:
                # A copy: a view would keep the whole batch in memory for as long as one text is remembered.
                self._memo.put(value, vector.copy())
        self._outputs, self._launched = [], {}

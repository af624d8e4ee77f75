"""Units of several videos -> batches -> network -> rows of each video: what the extractors with a network share.

Videos are read by several threads, ahead of the network and in bounded memory. Units are taken from the videos being
read in turn, never by which thread was quicker, so that the batches, and with them the last bits of the vectors, depend
on the videos and the settings only.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.extractors.device import is_out_of_memory, release_memory
from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

log = logging.getLogger(__name__)

_READ_AHEAD_BATCHES = 2
_LOOK_AHEAD_VIDEOS = 4
"""How many finished videos per reader may wait for an earlier one, so that memory is bounded."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What becomes one row: an interval of presentation time and what the network sees of it."""

    start_us: int
    end_us: int
    value: Any


Read = Callable[[VideoSource], Iterable[Unit]]
"""Decodes one video, in a thread, unit by unit; raises ExtractionError where the video can't be read."""

Forward = Callable[[Sequence[Any]], torch.Tensor]
"""Values of B units to vectors (B, D), on whatever device; may return before a GPU has finished."""


class Batches:
    """Runs a network over values in batches of at most ``size``, and halves ``size`` where memory does not suffice.

    Args:
        forward: the network, with whatever turns values into its input.
        size: largest batch to try; what was learned about memory stays for the life of this object.
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
            chunk = values[start : start + self.size]
            # The retry is outside of the except block: an exception in flight would keep the failed batch's tensors.
            vectors = self._try(chunk)
            if vectors is not None:
                outputs.append(vectors)
                start += len(chunk)
            else:
                self._shrink(len(chunk))
        return outputs

    def _try(self, chunk: Sequence[Any]) -> torch.Tensor | None:
        try:
            return self._forward(chunk)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _shrink(self, failed: int) -> None:
        release_memory(self._device)
        if failed == 1:
            raise ExtractionError(f"{self._device} has too little memory for even one unit", transient=True)
        self.size = failed // 2
        log.warning(
            "a batch of %d is too large for the memory of %s: going on with %d", failed, self._device, self.size
        )


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
    memo: Memo | None = None,
) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
    """Rows of every video, in the order given; see :meth:`mgn_ma.extractors.base.Extractor.extract`.

    Args:
        videos: what to read.
        read: one video to its units, in ascending time. Runs in threads.
        batches: the network.
        readers: videos that are read at a time.
        memo: for values that come again (texts): known vectors are not computed again, here or in a later call.
    """
    with _Readers(iter(videos), read, readers, depth=max(2, _READ_AHEAD_BATCHES * batches.size // readers)) as reading:
        batcher = _Batcher(batches, memo)
        for rows, unit in reading:
            if unit is not None:
                batcher.add(rows, unit)
            if reading.is_stuck:
                batcher.flush()
            yield from reading.finished()
        batcher.flush()
        yield from reading.finished()


@dataclass(slots=True)
class _VideoRows:
    """The rows of one video while they come in."""

    video: VideoSource
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    vectors: list[npt.NDArray[np.float32] | None] = field(default_factory=list)
    outstanding: int = 0
    is_read: bool = False
    error: ExtractionError | None = None

    @property
    def is_complete(self) -> bool:
        return self.error is not None or (self.is_read and self.outstanding == 0)

    def reserve(self, unit: Unit) -> int:
        self.starts.append(unit.start_us)
        self.ends.append(unit.end_us)
        self.vectors.append(None)
        self.outstanding += 1
        return len(self.vectors) - 1

    def fill(self, index: int, vector: npt.NDArray[np.float32]) -> None:
        self.vectors[index] = vector
        self.outstanding -= 1

    def fail(self, error: ExtractionError) -> None:
        self.error = self.error or error
        self.vectors.clear()

    def result(self) -> TrackRows | ExtractionError:
        if self.error is not None:
            return self.error
        if not self.vectors:
            return ExtractionError("nothing to make a row of: no frame, patch or text")
        vectors = np.stack([vector for vector in self.vectors if vector is not None])
        return TrackRows(np.asarray(self.starts, np.int64), np.asarray(self.ends, np.int64), vectors)


class _Readers(Iterator[tuple[_VideoRows, Unit | None]]):
    """Takes one unit in turn from each of the videos being read; a video's end comes as a ``None``."""

    def __init__(self, videos: Iterator[VideoSource], read: Read, readers: int, depth: int) -> None:
        self._videos = videos
        self._read = read
        self._readers = readers
        self._depth = depth
        self._active: deque[tuple[_VideoRows, Prefetch[Unit]]] = deque()
        self._unfinished: deque[_VideoRows] = deque()
        self._no_more_videos = False

    def __enter__(self) -> _Readers:
        return self

    def __exit__(self, *_: object) -> None:
        while self._active:
            self._active.popleft()[1].close()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing more can be read before some video is finished."""
        self._start_reading()
        return not self._active and bool(self._unfinished)

    def finished(self) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
        """The videos that are complete and have no unfinished one before them."""
        while self._unfinished and self._unfinished[0].is_complete:
            rows = self._unfinished.popleft()
            yield rows.video, rows.result()

    def __next__(self) -> tuple[_VideoRows, Unit | None]:
        self._start_reading()
        if not self._active:
            raise StopIteration
        rows, units = self._active.popleft()
        try:
            unit = next(units) if rows.error is None else None
        except StopIteration:
            unit = None
        except ExtractionError as error:
            rows.fail(error)
            unit = None
        if unit is None:
            rows.is_read = True
            units.close()
        else:
            self._active.append((rows, units))
        return rows, unit

    def _start_reading(self) -> None:
        allowed = self._readers * _LOOK_AHEAD_VIDEOS
        while len(self._active) < self._readers and len(self._unfinished) < allowed and not self._no_more_videos:
            video = next(self._videos, None)
            if video is None:
                self._no_more_videos = True
                return
            rows = _VideoRows(video)
            self._unfinished.append(rows)
            units = Prefetch(_units(self._read, video), self._depth, name=f"read {video.video_id}")
            self._active.append((rows, units))


def _units(read: Read, video: VideoSource) -> Iterator[Unit]:
    # A generator of its own: whatever read does before its first unit, opening a file say, is done in the thread too.
    try:
        yield from read(video)
    except ExtractionError:
        raise
    except MediaError as error:
        raise ExtractionError(error.reason) from error
    except Exception as error:
        # A defect of ours or of a library's on one odd file must not take the other videos with it.
        log.exception("reading %s failed in a way that was not foreseen", video.video_id)
        raise ExtractionError(f"{type(error).__name__}: {error}", transient=isinstance(error, OSError)) from error


_Entries = dict[Hashable, tuple[Any, list[tuple[_VideoRows, int]]]]
"""Values by key, each with the rows (and the index there) that wait for its vector."""


class _Batcher:
    """Collects values until a batch is full, and hands vectors to the rows that wait for them.

    The vectors of a batch are fetched from the device only when the next one was launched: a GPU computes meanwhile.
    """

    def __init__(self, batches: Batches, memo: Memo | None) -> None:
        self._batches = batches
        self._memo = memo
        self._waiting: _Entries = {}
        self._launched: _Entries = {}
        self._outputs: list[torch.Tensor] = []

    def add(self, rows: _VideoRows, unit: Unit) -> None:
        place = (rows, rows.reserve(unit))
        if self._memo is None:
            self._waiting[len(self._waiting)] = (unit.value, [place])
        elif (known := self._memo.get(unit.value)) is not None:
            rows.fill(place[1], known)
        elif unit.value in self._launched:
            self._launched[unit.value][1].append(place)
        else:
            self._waiting.setdefault(unit.value, (unit.value, []))[1].append(place)
        if len(self._waiting) >= self._batches.size:
            self._launch()

    def flush(self) -> None:
        """Compute and hand out all that waits."""
        if self._waiting:
            self._launch()
        self._collect()

    def _launch(self) -> None:
        entries, self._waiting = self._waiting, {}
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

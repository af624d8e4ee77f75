"""Reading several videos at a time, ahead of what is done with them, and keeping their rows apart."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.media.errors import MediaError
from mgn_ma.media.source import VideoSource

log = logging.getLogger(__name__)

_VIDEOS_IN_HAND = 4
_ROWS_IN_HAND = 8192
"""Reading begins no other video while this many (videos: per reader) wait for an earlier one, to bound memory."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What becomes one row: an interval of presentation time and what the network sees of it."""

    start_us: int
    end_us: int
    value: Any


Read = Callable[[VideoSource], Iterable[Unit]]
"""Decodes one video, in a thread, unit by unit; raises ExtractionError where the video can't be read."""


@dataclass(slots=True)
class VideoRows:
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
        """Whether there is nothing to wait for any more."""
        return self.error is not None or (self.is_read and self.outstanding == 0)

    def reserve(self, unit: Unit) -> int:
        """Add a row whose vector is still to come; returns its index."""
        self.starts.append(unit.start_us)
        self.ends.append(unit.end_us)
        self.vectors.append(None)
        self.outstanding += 1
        return len(self.vectors) - 1

    def fill(self, index: int, vector: npt.NDArray[np.float32]) -> None:
        """Hand in the vector of a row."""
        self.vectors[index] = vector
        self.outstanding -= 1

    def fail(self, error: ExtractionError) -> None:
        """Give the video up, for the first reason that comes."""
        self.error = self.error or error
        self.vectors.clear()

    def result(self) -> TrackRows | ExtractionError:
        """What came of the video, once it is complete."""
        if self.error is not None:
            return self.error
        if not self.vectors:
            return ExtractionError("nothing to make a row of: no frame, patch or text")
        vectors = np.stack([vector for vector in self.vectors if vector is not None])
        return TrackRows(np.asarray(self.starts, np.int64), np.asarray(self.ends, np.int64), vectors)


class Readers(Iterator[tuple[VideoRows, Unit | None]]):
    """Takes one unit in turn from each of the videos being read; a video's end comes as a ``None``."""

    def __init__(self, videos: Iterator[VideoSource], read: Read, readers: int, depth: int) -> None:
        self._videos = videos
        self._read = read
        self._readers = readers
        self._depth = depth
        self._active: deque[tuple[VideoRows, Prefetch[Unit]]] = deque()
        self._unfinished: deque[VideoRows] = deque()
        self._no_more_videos = False

    def __enter__(self) -> Readers:
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

    def __next__(self) -> tuple[VideoRows, Unit | None]:
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
        while len(self._active) < self._readers and self._has_room() and not self._no_more_videos:
            video = next(self._videos, None)
            if video is None:
                self._no_more_videos = True
                return
            rows = VideoRows(video)
            self._unfinished.append(rows)
            units = Prefetch(_units(self._read, video), self._depth, name=f"read {video.video_id}")
            self._active.append((rows, units))

    def _has_room(self) -> bool:
        if len(self._unfinished) < self._readers * _VIDEOS_IN_HAND:
            return True
        return sum(len(rows.vectors) for rows in self._unfinished) < _ROWS_IN_HAND


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

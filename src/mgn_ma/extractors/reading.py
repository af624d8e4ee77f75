"""What extractors share when they read the frames of a video: on the 6 Hz grid, or as a stream at a fixed step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.media.geometry import FrameGeometry, Image
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

Edge = Literal["repeat", "zeros"]
"""What stands in for frames before the first and after the last one: the nearest frame again, or black."""

ReadFrames = Callable[[str, Iterable[int], FrameGeometry], Iterator[tuple[int, Any]]]
"""`mgn_ma.media.video.iter_frames_at`, wherever it is done: (H, W, 3) uint8 RGB, an array or a tensor on a device."""


def path_and_duration(video: VideoSource) -> tuple[str, int]:
    """Where a video is, and how many microseconds of it are wanted.

    Raises:
        ExtractionError: there is no file.
        MediaError: nobody knows its length, and it can't be read.
    """
    if video.video_path is None:
        raise ExtractionError("there is no video file")
    if video.duration_us is not None:
        return video.video_path, video.duration_us
    return video.video_path, probe(video.video_path).duration_us


def decoder_threads() -> int:
    """Threads for a decoder: the worker's share of the cores, as numerical libraries have it; else 0, one a core."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    return int(share) if share.isdigit() else 0


def read_on_cpu(path: str, timestamps_us: Iterable[int], geometry: FrameGeometry) -> Iterator[tuple[int, Image]]:
    """`mgn_ma.media.video.iter_frames_at` with the worker's share of the cores."""
    return iter_frames_at(path, timestamps_us, geometry, threads=decoder_threads())


def grid_rows(timestamps_us: npt.NDArray[np.int64], vectors: npt.NDArray[np.floating[Any]]) -> TrackRows:
    """Rows of the 6 Hz grid, each of which holds until the next timestamp of the grid."""
    return TrackRows(timestamps_us, grid_time(frames_before(timestamps_us) + 1), vectors)


class FramesOfVideo:
    """The frames of a video at a fixed step, with edge frames before and after: read once, as a stream.

    Args:
        video: what is read.
        geometry: of the frames.
        step_us: from one frame to the next; the first is at t = 0.
        n_edge: how many edge frames there are before and after.
        edge: what they are.
        prepare: what is handed on of a frame.
        read: what decodes.

    Attributes:
        n_shown: how many frames the video showed, edges not counted; known once the last one was read.
    """

    def __init__(
        self,
        video: VideoSource,
        geometry: FrameGeometry,
        step_us: int,
        n_edge: tuple[int, int],
        edge: Edge = "repeat",
        prepare: Callable[[Any], Any] = lambda frame: frame,
        read: ReadFrames = read_on_cpu,
    ) -> None:
        self._video = video
        self._geometry = geometry
        self._step_us = step_us
        self._n_before, self._n_after = n_edge
        self._edge = edge
        self._prepare = prepare
        self._read = read
        self.n_shown: int | None = None

    def __iter__(self) -> Iterator[Any]:
        path, duration_us = path_and_duration(self._video)
        times_us = range(0, duration_us, self._step_us)
        n_shown = 0
        image: Any = None
        for _, image in self._read(path, times_us, self._geometry):
            value = self._prepare(image)
            if n_shown == 0:
                yield from itertools.repeat(self._edge_like(image, value), self._n_before)
            n_shown += 1
            yield value
        self.n_shown = n_shown
        if image is not None:
            yield from itertools.repeat(self._edge_like(image, value), self._n_after)

    def _edge_like(self, image: Any, value: Any) -> Any:
        return value if self._edge == "repeat" else self._prepare(image * 0)

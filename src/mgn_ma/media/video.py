"""The frames of a video that are shown at given times, decoded as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from mgn_ma.media.clock import PresentationClock
from mgn_ma.media.container import (
    MICROSECONDS,
    WITHOUT_PRESENTATION_TIMES,
    open_container,
    timeline_zero,
    video_stream,
)
from mgn_ma.media.errors import VideoError
from mgn_ma.media.geometry import FrameGeometry, Framer, Image

GRID_HZ = 6


def grid_timestamps_us(duration_us: int) -> npt.NDArray[np.int64]:
    """(N,) int64 microseconds of the annotation grid that lie before ``duration_us``: 6 a second, rounded down."""
    n_rows = max(0, -(-duration_us * GRID_HZ // MICROSECONDS)) + 1
    grid = np.arange(n_rows, dtype=np.int64) * MICROSECONDS // GRID_HZ
    return grid[grid < duration_us]


def iter_frames_at(
    path: str, timestamps_us: Iterable[int], geometry: FrameGeometry
) -> Iterator[tuple[int, Image]]:
    """Yield, for each timestamp, the frame that is shown then.

    That is the last frame whose presentation time is <= t. Before the first frame it is the first one; at and after the
    end of the last one nothing is shown, and nothing is yielded. t = 0 is where the earliest stream of the container
    starts. Timestamps that show the same frame get the same array object: don't write into it.

    Memory doesn't depend on the length of the video. A packet that can't be decoded is skipped, as players do; a file
    that was cut short gives the frames that it still holds.

    Args:
        path: local path or fsspec URL.
        timestamps_us: ascending microseconds of presentation time; may be a generator, consumed as frames come.
        geometry: shape of the arrays, (H, W, 3) uint8 RGB.

    Raises:
        VideoError: if the file has no video stream, or no frame of it can be decoded.
        MediaError: if the file can't be opened.
        ValueError: if the timestamps don't ascend.
    """
    times = _ascending(timestamps_us)
    wanted = next(times, None)
    with open_container(path) as container:
        stream = video_stream(container, path)
        framer = Framer(geometry, stream.sample_aspect_ratio)
        clock = _clock(container, stream)
        shown: av.VideoFrame | None = None
        for frame in _decode(container, stream):
            time_us = clock.place(frame.pts, frame.duration, frame.time_base)
            if time_us is None:
                continue
            if shown is not None and wanted is not None and wanted < time_us:
                image = framer.array(shown)
                while wanted is not None and wanted < time_us:
                    yield wanted, image
                    wanted = next(times, None)
            shown = frame
            if wanted is None:
                return
        if shown is None:
            raise VideoError(path, "not one frame of its video can be decoded")
        if wanted is not None and wanted < clock.end_us:
            image = framer.array(shown)
            while wanted is not None and wanted < clock.end_us:
                yield wanted, image
                wanted = next(times, None)


def _ascending(timestamps_us: Iterable[int]) -> Iterator[int]:
    last: int | None = None
    for value in timestamps_us:
        timestamp = int(value)
        if last is not None and timestamp < last:
            raise ValueError(f"timestamps must ascend, but {timestamp} follows {last}")
        last = timestamp
        yield timestamp


def _clock(container: InputContainer, stream: av.VideoStream) -> PresentationClock:
    counted = container.format.name in WITHOUT_PRESENTATION_TIMES
    return PresentationClock(timeline_zero(container), stream.average_rate or stream.guessed_rate, counted=counted)


def _decode(container: InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.FFmpegError, OSError):
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue

"""From a video to action features: a window of 32 frames at 10 fps around each timestamp of the 6 Hz grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.device import resolve_device
from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.extractors.reading import decoder_threads, path_and_duration
from mgn_ma.extractors.s3d.config import S3DConfig
from mgn_ma.extractors.s3d.dense import DenseS3D, frames_per_batch
from mgn_ma.extractors.s3d.network import FRAME_SIZE, WIDTH, WINDOW_FRAMES
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.media.geometry import FrameGeometry, Image
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

FRAME_STEP_US = 100_000
GEOMETRY = FrameGeometry(kind="centre_square", size=FRAME_SIZE, interpolation="bicubic")
_HALF_WINDOW = WINDOW_FRAMES // 2


class S3DExtractor(Extractor):
    """Rows of 512-D action features, one for each timestamp of the 6 Hz grid at which a frame is shown.

    The window of t is the 32 frames of the 10 fps grid that begin 1.6 s before the grid frame nearest to t. At 6 Hz
    that one is at most a third of a grid step (33 ms) away: frames on one grid are what lets windows share their work.
    """

    clock: ClassVar[Clock] = "grid"
    width = WIDTH

    def __init__(self, config: S3DConfig) -> None:
        self._edge = config.edge
        self._n_frames = frames_per_batch(config.batch_size)
        self._dense = DenseS3D(
            config.load(),
            device=resolve_device(config.device),
            precision=config.precision,
            batch_size=config.batch_size,
        )

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp at which a frame is shown."""
        frames = FramesOfVideo(video, self._edge)
        with Prefetch(frames, 2 * self._n_frames) as ahead:
            vectors = list(self._dense.vectors(ahead, window_starts(video.duration_us)))
        n_rows = sum(map(len, vectors))
        if frames.n_shown is not None:
            n_rows = min(n_rows, frames_before(frames.n_shown * FRAME_STEP_US))
        if n_rows == 0:
            raise ExtractionError("its video shows no frame")
        bounds = grid_time(np.arange(n_rows + 1, dtype=np.int64))
        # Fetched from the device here and not sooner, so that a GPU never waits for it.
        fetched = np.concatenate([batch.cpu().numpy() for batch in vectors])[:n_rows]
        return TrackRows(bounds[:-1], bounds[1:], fetched)


class FramesOfVideo:
    """The frames of a video at 10 fps, with half a window of edge frames before and after: read once, as a stream.

    Attributes:
        n_shown: how many frames the video showed, edges not counted; known once the last one was read.
    """

    def __init__(self, video: VideoSource, edge: Literal["repeat", "zeros"]) -> None:
        self._video = video
        self._edge = edge
        self.n_shown: int | None = None

    def __iter__(self) -> Iterator[Image]:
        path, duration_us = path_and_duration(self._video)
        times_us = range(0, duration_us, FRAME_STEP_US)
        yield from self._padded(
            image for _, image in iter_frames_at(path, times_us, GEOMETRY, threads=decoder_threads())
        )

    def _padded(self, shown: Iterator[Image]) -> Iterator[Image]:
        n_shown = 0
        image: Image | None = None
        for image in shown:
            if n_shown == 0:
                yield from itertools.repeat(self._edge_like(image), _HALF_WINDOW)
            n_shown += 1
            yield image
        self.n_shown = n_shown
        if image is not None:
            yield from itertools.repeat(self._edge_like(image), _HALF_WINDOW)

    def _edge_like(self, image: npt.NDArray[np.uint8]) -> Image:
        return image if self._edge == "repeat" else np.zeros_like(image)


def window_starts(duration_us: int | None) -> Iterator[int]:
    """For each grid timestamp before the end, the frame that its window starts at; endless where the end is unknown.

    Frames count from the first edge frame on, half a window before t = 0, so this is the grid frame nearest to t.
    """
    for row in itertools.count():
        timestamp_us = grid_time(row)
        if duration_us is not None and timestamp_us >= duration_us:
            return
        yield (timestamp_us + FRAME_STEP_US // 2) // FRAME_STEP_US

"""From a video to action features: a window of 32 frames at 10 fps around each timestamp of the 6 Hz grid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.cuda_frames import reader
from mgn_ma.extractors.device import resolve_device
from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.extractors.reading import Edge, FramesOfVideo, ReadFrames, read_on_cpu
from mgn_ma.extractors.s3d.config import S3DConfig
from mgn_ma.extractors.s3d.dense import DenseS3D, frames_per_batch
from mgn_ma.extractors.s3d.network import FRAME_SIZE, WIDTH, WINDOW_FRAMES
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource

FRAME_STEP_US = 100_000
GEOMETRY = FrameGeometry(kind="centre_square", size=FRAME_SIZE, interpolation="bicubic")
_HALF_WINDOW = WINDOW_FRAMES // 2


class S3DExtractor(Extractor):
    """Rows of 512-D action features, one for each timestamp of the 6 Hz grid at which a frame is shown.

    The window of t is the 32 frames of the 10 fps grid that begin 1.6 s before the grid frame nearest to t. At 6 Hz
    that one is at most a third of a grid step (33 ms) away: frames on one grid are what lets windows share their work.
    With a ``stride`` only every so many timestamps have a window, and rows between them are interpolated.
    """

    clock: ClassVar[Clock] = "grid"
    width = WIDTH

    def __init__(self, config: S3DConfig) -> None:
        self._edge = config.edge
        self._stride = config.stride
        self._n_frames = frames_per_batch(config.batch_size)
        device = resolve_device(config.device)
        self._read = reader(config.decoder, device)
        self._dense = DenseS3D(
            config.load(),
            device=device,
            precision=config.precision,
            batch_size=config.batch_size,
        )

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp at which a frame is shown."""
        frames = frames_of(video, self._edge, self._read)
        starts = itertools.islice(window_starts(video.duration_us), 0, None, self._stride)
        with Prefetch(frames, 2 * self._n_frames) as ahead:
            batches = list(self._dense.vectors(ahead, starts))
        ends_us = [video.duration_us, None if frames.n_shown is None else frames.n_shown * FRAME_STEP_US]
        n_rows = frames_before(min(end_us for end_us in ends_us if end_us is not None))
        if n_rows == 0:
            raise ExtractionError("its video shows no frame")
        bounds = grid_time(np.arange(n_rows + 1, dtype=np.int64))
        # Fetched from the device here and not sooner, so that a GPU never waits for it.
        vectors = np.concatenate([batch.cpu().numpy() for batch in batches])
        return TrackRows(bounds[:-1], bounds[1:], between(vectors, self._stride, n_rows))


def between(vectors: npt.NDArray[np.float32], stride: int, n_rows: int) -> npt.NDArray[np.float32]:
    """(N, D) of the rows 0, ``stride``, … to (n_rows, D): straight lines between them, and the last one beyond it."""
    rows = np.arange(n_rows)
    before = rows // stride
    after = np.minimum(before + 1, before[-1])
    share = (rows % stride / stride).astype(np.float32)[:, None]
    on_lines: npt.NDArray[np.float32] = vectors[before] * (1 - share) + vectors[after] * share
    return on_lines


def frames_of(video: VideoSource, edge: Edge, read: ReadFrames = read_on_cpu) -> FramesOfVideo:
    """The frames of a video at 10 fps, with half a window of edge frames before and after."""
    return FramesOfVideo(video, GEOMETRY, FRAME_STEP_US, (_HALF_WINDOW, _HALF_WINDOW), edge, read=read)


def window_starts(duration_us: int | None) -> Iterator[int]:
    """For each grid timestamp before the end, the frame that its window starts at; endless where the end is unknown.

    Frames count from the first edge frame on, half a window before t = 0, so this is the grid frame nearest to t.
    """
    for row in itertools.count():
        timestamp_us = grid_time(row)
        if duration_us is not None and timestamp_us >= duration_us:
            return
        yield (timestamp_us + FRAME_STEP_US // 2) // FRAME_STEP_US

"""From videos to action features: a window of 32 frames at 10 fps around each timestamp of the 6 Hz grid."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.device import resolve_device
from mgn_ma.extractors.prefetch import Prefetch
from mgn_ma.extractors.s3d.config import S3DConfig
from mgn_ma.extractors.s3d.dense import DenseS3D, frames_per_batch
from mgn_ma.extractors.s3d.network import FRAME_SIZE, WIDTH, WINDOW_FRAMES
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.media.errors import MediaError
from mgn_ma.media.geometry import FrameGeometry, Image
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

log = logging.getLogger(__name__)

FRAME_STEP_US = 100_000
GEOMETRY = FrameGeometry(kind="centre_square", size=FRAME_SIZE, interpolation="bicubic")
_HALF_WINDOW = WINDOW_FRAMES // 2
_LOOK_AHEAD_VIDEOS = 4
"""How many videos per reader may be finished before an earlier one, so that memory is bounded."""


class S3DExtractor(Extractor):
    """Rows of 512-D action features, one for each timestamp of the 6 Hz grid at which a frame is shown.

    The window of t is the 32 frames of the 10 fps grid that begin 1.6 s before the grid frame nearest to t. At 6 Hz
    that one is at most a third of a grid step (33 ms) away: frames on one grid are what lets windows share their work.

    Batches never mix videos, so that a video's vectors are the same to the last bit whatever else is extracted with it.
    A window costs far more than its frames, so that several videos in a batch would not make it faster.

    Args:
        config: settings; the network is loaded here.
    """

    clock: ClassVar[Clock] = "grid"
    width = WIDTH

    def __init__(self, config: S3DConfig) -> None:
        self._config = config
        self._dense = DenseS3D(
            config.load(),
            device=resolve_device(config.device),
            precision=config.precision,
            batch_size=config.batch_size,
        )

    def extract(self, videos: Iterable[VideoSource]) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
        """Rows of each video, in the order given; ``readers`` of them are under way, and take turns at the network."""
        remaining = iter(videos)
        under_way: deque[_Job] = deque()
        n_readers = self._config.readers
        try:
            while True:
                active = [job for job in under_way if job.outcome is None]
                while len(active) < n_readers and len(under_way) < n_readers * _LOOK_AHEAD_VIDEOS:
                    video = next(remaining, None)
                    if video is None:
                        break
                    job = _Job(video, self._dense, self._config)
                    under_way.append(job)
                    active.append(job)
                if not under_way:
                    return
                for job in active:
                    job.advance()
                while under_way and (outcome := under_way[0].outcome) is not None:
                    yield under_way.popleft().video, outcome
        finally:
            for job in under_way:
                job.close()


class _Job:
    """One video on its way: its frames are read ahead in a thread, its vectors collected."""

    def __init__(self, video: VideoSource, dense: DenseS3D, config: S3DConfig) -> None:
        # Torch was told how many cores this worker has; each reader decodes with its share of them.
        threads = max(1, torch.get_num_threads() // config.readers)
        self.video = video
        self.outcome: TrackRows | ExtractionError | None = None
        self._frames = FramesOfVideo(video, config.edge, threads)
        self._prefetch = Prefetch(self._frames, 2 * frames_per_batch(config.batch_size), name=f"read {video.video_id}")
        self._batches = dense.vectors(self._prefetch, window_starts(video.duration_us))
        self._vectors: list[Tensor] = []

    def advance(self) -> None:
        """Compute one batch, or find out that it was the last."""
        try:
            self._vectors.append(next(self._batches))
            return
        except StopIteration:
            self.outcome = self._rows()
        except ExtractionError as error:
            self.outcome = error
        self.close()

    def close(self) -> None:
        self._prefetch.close()

    def _rows(self) -> TrackRows | ExtractionError:
        n_rows = sum(map(len, self._vectors))
        if self._frames.n_shown is not None:
            n_rows = min(n_rows, frames_before(self._frames.n_shown * FRAME_STEP_US))
        if n_rows == 0:
            return ExtractionError("its video shows no frame")
        # Fetched from the device here and not sooner, so that a GPU never waits for it.
        vectors = np.concatenate([batch.cpu().numpy() for batch in self._vectors])[:n_rows]
        bounds = grid_time(np.arange(n_rows + 1, dtype=np.int64))
        return TrackRows(bounds[:-1], bounds[1:], vectors)


class FramesOfVideo:
    """The frames of a video at 10 fps, with half a window of edge frames before and after: read once, as a stream.

    Attributes:
        n_shown: how many frames the video showed, edges not counted; known once the last one was read.
    """

    def __init__(self, video: VideoSource, edge: Literal["repeat", "zeros"], threads: int) -> None:
        self._video = video
        self._edge = edge
        self._threads = threads
        self.n_shown: int | None = None

    def __iter__(self) -> Iterator[Image]:
        try:
            yield from self._padded(self._shown())
        except MediaError as error:
            raise ExtractionError(error.reason) from error
        except ExtractionError:
            raise
        except Exception as error:
            # A defect of ours or of a library's on one odd file must not take the other videos with it.
            log.exception("reading %s failed in a way that was not foreseen", self._video.video_id)
            raise ExtractionError(f"{type(error).__name__}: {error}", transient=isinstance(error, OSError)) from error

    def _shown(self) -> Iterator[Image]:
        if self._video.video_path is None:
            raise ExtractionError("there is no video file")
        path, duration_us = self._video.video_path, self._video.duration_us
        if duration_us is None:
            duration_us = probe(path).duration_us
        for _, image in iter_frames_at(path, range(0, duration_us, FRAME_STEP_US), GEOMETRY, threads=self._threads):
            yield image

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

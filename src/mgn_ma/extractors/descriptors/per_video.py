"""What the descriptors have in common: one video after the other, its errors turned into reasons."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import ExtractionError, Extractor, TrackRows
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.media.errors import MediaError
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource

Floats = npt.NDArray[np.float32]


class PerVideoExtractor(Extractor):
    """An extractor that has nothing to gain from several videos at once."""

    def extract(self, videos: Iterable[VideoSource]) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
        """See :meth:`Extractor.extract`."""
        for video in videos:
            try:
                result: TrackRows | ExtractionError = self.rows(video)
            except ExtractionError as error:
                result = error
            except MediaError as error:
                result = ExtractionError(error.reason)
            yield video, result

    @abstractmethod
    def rows(self, video: VideoSource) -> TrackRows:
        """Turn one video into rows.

        Raises:
            MediaError: its source can't be read.
            ExtractionError: its source holds nothing to make rows from.
        """


def path_and_duration(video: VideoSource) -> tuple[str, int]:
    """Where a video is, and how many microseconds of it are wanted.

    Raises:
        ExtractionError: there is no file.
    """
    if video.video_path is None:
        raise ExtractionError("there is no video file")
    if video.duration_us is not None:
        return video.video_path, video.duration_us
    return video.video_path, probe(video.video_path).duration_us


def decoder_threads() -> int:
    """Threads for a decoder: where several workers share the cores, the share that numerical libraries have, too."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    return int(share) if share.isdigit() else 0


def grid_rows(timestamps_us: npt.NDArray[np.int64], vectors: Floats) -> TrackRows:
    """Rows of the 6 Hz grid, each of which holds until the next timestamp of the grid."""
    return TrackRows(timestamps_us, grid_time(frames_before(timestamps_us) + 1), vectors)

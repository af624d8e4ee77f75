"""What extractors share when they read a video on the 6 Hz grid."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import ExtractionError, TrackRows
from mgn_ma.grid import frames_before, grid_time
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource


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


def grid_rows(timestamps_us: npt.NDArray[np.int64], vectors: npt.NDArray[np.floating[Any]]) -> TrackRows:
    """Rows of the 6 Hz grid, each of which holds until the next timestamp of the grid."""
    return TrackRows(timestamps_us, grid_time(frames_before(timestamps_us) + 1), vectors)

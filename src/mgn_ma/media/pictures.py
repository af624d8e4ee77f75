"""All of a video in small grey pictures, by which two videos are compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgn_ma.media.container import open_container, video_stream
from mgn_ma.media.errors import VideoError
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.video import iter_frames_at

SIDE = 24
"""Of a picture, in pixels, whatever the frame's sides are."""
MOST_PICTURES = 16_384
"""Of a video: eleven minutes of every frame at 25 a second. A longer one has fewer a second."""
_SLOWEST_HZ, _FASTEST_HZ, _DEFAULT_HZ = 6.0, 60.0, 25.0
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Rec. 601."""


@dataclass(frozen=True, slots=True)
class PictureTrack:
    """What a video shows, at even times.

    Attributes:
        rate_hz: pictures a second; number k is what is shown at (k + 1/2) / ``rate_hz``.
        pictures: (N, SIDE * SIDE) uint8, the grey of the whole frame. Where none is shown any more, the last one stays.
    """

    rate_hz: float
    pictures: npt.NDArray[np.uint8]

    def at_rate(self, rate_hz: float) -> npt.NDArray[np.uint8]:
        """The pictures that are nearest to those of another rate: at the own rate, all of them."""
        n_pictures = round(len(self.pictures) / self.rate_hz * rate_hz)
        wanted = ((np.arange(n_pictures) + 0.5) * (self.rate_hz / rate_hz)).astype(np.int64)
        return np.asarray(self.pictures[np.minimum(wanted, len(self.pictures) - 1)])


def picture_track(path: str, duration_us: int, most: int = MOST_PICTURES) -> PictureTrack:
    """The pictures of a video of a length: one a frame, or as many as are allowed.

    Raises:
        MediaError: the file can't be opened, or no frame of it can be decoded.
    """
    rate_hz = min(max(_frame_rate(path), _SLOWEST_HZ), _FASTEST_HZ, most * 1e6 / duration_us)
    times_us = ((np.arange(max(1, round(duration_us * rate_hz / 1e6))) + 0.5) * 1e6 / rate_hz).astype(np.int64)
    pictures = np.empty((len(times_us), SIDE * SIDE), dtype=np.uint8)
    geometry = FrameGeometry(kind="squash_centre_crop", size=SIDE, resize=SIDE, interpolation="area")
    n_shown = 0
    for _, frame in iter_frames_at(path, times_us, geometry):
        pictures[n_shown] = np.rint(frame.astype(np.float32) @ _GREY).reshape(-1)
        n_shown += 1
    if not n_shown:
        raise VideoError(path, "it shows no frame")
    pictures[n_shown:] = pictures[n_shown - 1]
    return PictureTrack(rate_hz, pictures)


def _frame_rate(path: str) -> float:
    with open_container(path) as container:
        stream = video_stream(container, path)
        return float(stream.average_rate or stream.guessed_rate or _DEFAULT_HZ)

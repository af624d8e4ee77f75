"""Small pictures of the frames that are shown at given times."""

from __future__ import annotations

import io
from collections.abc import Iterable

from PIL import Image

from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.video import iter_frames_at

_QUALITY = 80


def thumbnails(path: str, timestamps_us: Iterable[int], longer_side: int = 320) -> dict[int, bytes]:
    """JPEG of the frame that is shown at each time; a time at which none is shown has none.

    Args:
        path: local path or fsspec URL.
        timestamps_us: presentation times, in any order.
        longer_side: of the picture, in pixels; the frame is upright and whole.

    Raises:
        MediaError: the file can't be opened, or no frame of it can be decoded.
    """
    geometry = FrameGeometry(kind="fit", size=longer_side, interpolation="area")
    pictures: dict[int, bytes] = {}
    for timestamp_us, frame in iter_frames_at(path, sorted(set(timestamps_us)), geometry):
        encoded = io.BytesIO()
        Image.fromarray(frame).save(encoded, "JPEG", quality=_QUALITY)
        pictures[timestamp_us] = encoded.getvalue()
    return pictures

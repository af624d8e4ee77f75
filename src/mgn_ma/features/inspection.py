"""Video files looked into in processes that may crash: a file that takes its process with it costs that video only."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial

from mgn_ma.execution import ExecutionConfig, ready, run
from mgn_ma.execution.progress import progress
from mgn_ma.features.extraction import reason_of
from mgn_ma.media.errors import VideoError
from mgn_ma.media.inspection import ListedVideo, VideoRow, inspect_video, unavailable
from mgn_ma.media.pictures import PictureTrack, picture_track
from mgn_ma.media.thumbnails import thumbnails

logger = logging.getLogger(__name__)

TIME_LIMIT_S = 600.0
"""A header, the first frame and the last seconds take this long from no disk that still answers."""


def inspect_videos(
    videos: Sequence[ListedVideo], execution: ExecutionConfig, max_seconds: float | None
) -> Iterator[VideoRow]:
    """The manifest's row of each video, in the order of completion.

    Args:
        videos: what to look into; those without a file cost no process.
        execution: where, by how many, and within which memory.
        max_seconds: a longer video is unavailable; ``None`` for any length.
    """
    with_file = [video for video in videos if video.files.video_path is not None]
    yield from (inspect_video(video) for video in videos if video.files.video_path is None)
    inspect = ready(partial(inspect_video, max_seconds=max_seconds))
    outcomes = run(inspect, with_file, execution.model_copy(update={"time_limit_s": TIME_LIMIT_S}))
    for outcome in progress(outcomes, len(with_file), "probing videos", unit="video"):
        yield outcome.result or unavailable(outcome.item, reason_of(outcome.error))


def take_thumbnails(
    path: str, timestamps_us: Sequence[int], longer_side: int, execution: ExecutionConfig
) -> dict[int, bytes]:
    """See :func:`mgn_ma.media.thumbnails.thumbnails`; a file that can't be decoded has none."""
    one = execution.model_copy(update={"workers": 1, "time_limit_s": TIME_LIMIT_S})
    take = partial(thumbnails, timestamps_us=timestamps_us, longer_side=longer_side)
    (outcome,) = run(ready(take), [path], one)
    if outcome.error is not None:
        logger.warning("No thumbnails of %s: %s", path, reason_of(outcome.error))
    return outcome.result or {}


def take_pictures(path: str, duration_us: int, execution: ExecutionConfig) -> PictureTrack:
    """See :func:`mgn_ma.media.pictures.picture_track`.

    Raises:
        VideoError: the file can't be decoded, or not within the limits.
    """
    one = execution.model_copy(update={"workers": 1})
    (outcome,) = run(ready(partial(picture_track, duration_us=duration_us)), [path], one)
    if outcome.result is None:
        raise VideoError(path, reason_of(outcome.error))
    return outcome.result

"""What the published formats have in common: videos with labels at times of their own, and the way to the 6 Hz grid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.frames import ANNOTATED, Split
from mgn_ma.eev.holdout import carve_holdout
from mgn_ma.eev.targets import Targets
from mgn_ma.eev.video_ids import VideoIdError, validate_video_id
from mgn_ma.errors import MGNMAError
from mgn_ma.grid import grid_timestamps_us

VALIDATION_SHARE = 0.2
"""Of the training videos of a data set that is published without a validation split, rounded down."""
MAX_SECONDS = 24 * 3600
"""No video of these data sets is longer; a time after that is a fault, and a grid up to it might not fit in memory."""


class PublishedDataError(MGNMAError):
    """A published data set can't be used; the message names file, place and value, and what to do."""


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A video's labels as they are published; each holds from its time to the next one's.

    Attributes:
        video_id: the first part of its file's name.
        split: ``train``, ``validation`` or ``test``.
        seconds: (N,) float64, rising, from the video's start.
        labels: (N, C) float32, in the order of the targets.
        end_s: until when the last label holds.
        file: the video, where the folder has it.
    """

    video_id: str
    split: Split
    seconds: npt.NDArray[np.float64]
    labels: npt.NDArray[np.float32]
    end_s: float
    file: Path | None


def labelled_video(
    video_id: str,
    split: Split,
    seconds: npt.NDArray[np.float64],
    labels: npt.NDArray[np.float64],
    *,
    targets: Targets,
    end_s: float,
    file: Path | None,
    place: Callable[[int], str],
) -> LabelledVideo:
    """Check one video's labels; ``place`` says where in which file the label of a number stands.

    Raises:
        PublishedDataError: there are none, a time or value can't be one, or times don't rise.
    """
    try:
        validate_video_id(video_id)
    except VideoIdError as error:
        raise PublishedDataError(f"{place(0)}: {error}") from error
    if not len(seconds):
        raise PublishedDataError(f"{place(0)}: there is not one label; get the file again")
    _require(
        (seconds >= 0) & (seconds < MAX_SECONDS),
        place,
        lambda row: f"the time {seconds[row]:g} is not one within a video, in seconds",
    )
    _require(
        np.diff(seconds, prepend=-1.0) > 0,
        place,
        lambda row: f"the time {seconds[row]:g} s comes after {seconds[row - 1]:g} s; times must rise",
    )
    if not seconds[-1] < end_s <= MAX_SECONDS:
        raise PublishedDataError(f"{place(len(seconds) - 1)}: a length of {end_s:g} s is not that of this video")
    for row, column in np.argwhere(~((labels >= targets.minimum) & (labels <= targets.maximum))):
        raise PublishedDataError(
            f"{place(row)}: {targets.names[column]} is {labels[row, column]:g}, not between {targets.minimum:g} and "
            f"{targets.maximum:g}"
        )
    video = LabelledVideo(video_id, split, seconds, labels.astype(np.float32), end_s, file)
    if not len(on_grid(video)[0]):
        raise PublishedDataError(f"{place(0)}: the labels end before a frame of the 6 Hz grid")
    return video


def frame_tables(videos: Iterable[LabelledVideo], targets: Targets) -> dict[Split, pd.DataFrame]:
    """Labels at 6 Hz by split. Where no video is of validation, a share of the training videos becomes that.

    Returns:
        Of ``train``, ``validation`` and ``test`` frame tables: ``video_id``, ``timestamp_us``, a column a target.

    Raises:
        PublishedDataError: a split has no video, or a video is there twice.
    """
    seen: set[str] = set()
    parts: dict[Split, list[LabelledVideo]] = {split: [] for split in ANNOTATED}
    for video in videos:
        if video.video_id in seen:
            raise PublishedDataError(f"video {video.video_id!r} is annotated twice; keep one of the two")
        seen.add(video.video_id)
        parts[video.split].append(video)
    tables = {split: _frames(part, targets) for split, part in parts.items()}
    if not parts["validation"]:
        tables["train"], tables["validation"] = carve_holdout(tables["train"], VALIDATION_SHARE, seed=0)
    for split, table in tables.items():
        if table.empty:
            of = " (a fifth of the training videos, so five are needed)" if split == "validation" else ""
            raise PublishedDataError(f"no video of the split {split}{of} is annotated; get the missing part")
    return tables


def on_grid(video: LabelledVideo) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Times of the 6 Hz grid, (F,) in microseconds, from the first label to its end, and the labels then, (F, C)."""
    starts_us = np.round(video.seconds * 1e6).astype(np.int64)
    timestamps_us = grid_timestamps_us(round(video.end_s * 1e6))
    timestamps_us = timestamps_us[timestamps_us >= starts_us[0]]
    return timestamps_us, video.labels[np.searchsorted(starts_us, timestamps_us, side="right") - 1]


def _frames(videos: list[LabelledVideo], targets: Targets) -> pd.DataFrame:
    grids = [on_grid(video) for video in videos]
    none = (np.empty(0, dtype=np.int64), np.empty((0, len(targets.names)), dtype=np.float32))
    timestamps, labels = (np.concatenate(part) for part in zip(none, *grids, strict=True))
    ids = np.repeat(np.array([video.video_id for video in videos], dtype=object), [len(times) for times, _ in grids])
    columns = {"video_id": pd.Series(ids, dtype="str"), "timestamp_us": timestamps}
    return pd.DataFrame(columns | dict(zip(targets.names, labels.T, strict=True)), copy=False)


def read_json_object(file: Path) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        PublishedDataError: the file is not there, or holds something else.
    """
    try:
        content = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise PublishedDataError(f"{file}: is no JSON ({error}); get the file again") from error
    return as_object(content, str(file))


def as_object(content: Any, place: str) -> dict[str, Any]:
    """``content`` if it is a JSON object.

    Raises:
        PublishedDataError: it isn't; ``place`` says where it stands.
    """
    if not isinstance(content, dict):
        raise PublishedDataError(f"{place}: is no JSON object but {type(content).__name__}")
    return content


def read_text(file: Path) -> str:
    """What a file of the published folder says.

    Raises:
        PublishedDataError: it can't be read as text in UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise PublishedDataError(f"{file}: there is no such file, which the data set is published with") from error
    except OSError as error:
        raise PublishedDataError(f"{file}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PublishedDataError(f"{file}: is no text in UTF-8; get the file again") from error


def video_file(folder: Path, video_id: str) -> Path | None:
    """The video of an ID in a folder, if it is there."""
    file = folder / f"{video_id}.mp4"
    return file if file.is_file() else None


def _require(passes: npt.NDArray[np.bool_], place: Callable[[int], str], problem: Callable[[int], str]) -> None:
    """Refuse the first label that fails; a comparison with NaN does."""
    if not passes.all():
        row = int(np.argmin(passes))
        raise PublishedDataError(f"{place(row)}: {problem(row)}")

"""Mr. HiSum: how much each second of a YouTube video is replayed, 0 to 1 ("Most replayed").

``mr_hisum.h5`` has ``<video>/gtscore``, a value a second, ``metadata.csv`` the YouTube ID of each video, and the
``*_split.json`` of the repository the splits. The videos are YouTube's.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mgn_ma.annotations.published import (
    MAX_SECONDS,
    LabelledVideo,
    PublishedDataError,
    labelled_video,
    read_json_object,
    read_text,
    video_file,
)
from mgn_ma.eev.frames import Split
from mgn_ma.eev.targets import Targets

TARGETS = Targets(names=("replay",), zero_rows_mean_no_face=False)
SCORES = "mr_hisum.h5"
METADATA = "metadata.csv"
# Of a video that is there twice the first is kept: one that training may not see comes before one that it may.
SPLITS: dict[str, Split] = {"test_keys": "test", "val_keys": "validation", "train_keys": "train"}

logger = logging.getLogger(__name__)


def read(folder: Path) -> Iterator[LabelledVideo]:
    """The videos that the split names, with their scores; of those with one YouTube ID, one.

    Raises:
        PublishedDataError: a file is not there or is faulty, or h5py is not installed.
    """
    youtube_ids = _youtube_ids(folder / METADATA)
    split_file = _split_file(folder)
    seen: set[str] = set()
    repeated = 0
    with _open(folder / SCORES) as scores:
        for split, name in _videos(split_file):
            if name not in youtube_ids:
                raise PublishedDataError(f"{folder / METADATA}: has no row of {name!r}, which {split_file.name} names")
            video_id = youtube_ids[name]
            repeated += video_id in seen
            if video_id not in seen:
                seen.add(video_id)
                yield _labelled(folder, video_id, split, name, scores)
    if repeated:
        logger.warning("%d videos have the YouTube ID of another and are left out", repeated)


def _labelled(folder: Path, video_id: str, split: Split, name: str, scores: Any) -> LabelledVideo:
    values = _scores(scores, name, folder / SCORES)
    return labelled_video(
        video_id,
        split,
        np.arange(len(values), dtype=np.float64),
        values[:, None],
        targets=TARGETS,
        end_s=float(len(values)),
        file=video_file(folder / "videos", video_id),
        place=lambda row: f"{folder / SCORES}, {name}/gtscore[{row}] of {video_id}",
    )


def _youtube_ids(file: Path) -> dict[str, str]:
    try:
        rows = list(csv.DictReader(StringIO(read_text(file)), strict=True))
    except csv.Error as error:
        raise PublishedDataError(f"{file}: is no CSV ({error}); get the file again") from error
    if not rows or not {"video_id", "youtube_id"} <= rows[0].keys():
        raise PublishedDataError(f"{file}: columns 'video_id' and 'youtube_id', and rows, are needed; get it again")
    return {row["video_id"]: row["youtube_id"] or "" for row in rows}


def _split_file(folder: Path) -> Path:
    """The repository calls it `mrsum_split.json`, and its program `mr_hisum_split.json`."""
    files = sorted(folder.glob("*_split.json"))
    if len(files) != 1:
        raise PublishedDataError(
            f"{folder}: exactly one *_split.json of the repository's folder `dataset` is needed, and there are "
            f"{len(files)}"
        )
    return files[0]


def _videos(file: Path) -> Iterator[tuple[Split, str]]:
    content = read_json_object(file)
    for key, split in SPLITS.items():
        names = content.get(key)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise PublishedDataError(f"{file}: {key!r} is no list of names; get the file again")
        yield from ((split, name) for name in names)


def _open(file: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise PublishedDataError(f"{file}: is read by h5py: pip install 'mgn_ma[hdf5]'") from error
    try:
        return h5py.File(file, "r")
    except OSError as error:
        raise PublishedDataError(f"{file}: can't be read as HDF5 ({error}); get the file again") from error


def _scores(scores: Any, name: str, file: Path) -> npt.NDArray[np.float64]:
    """(N,) a value a second."""
    place = f"{name}/gtscore"
    try:
        dataset = scores[place]
        if len(dataset.shape) == 1 and dataset.size < MAX_SECONDS:
            return np.asarray(dataset[()], dtype=np.float64)
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise PublishedDataError(f"{file}: {place} is not there, or holds no numbers; get the file again") from error
    raise PublishedDataError(f"{file}: {place} has the shape {dataset.shape}, not that of a value a second")

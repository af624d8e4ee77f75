"""Nodes that say which videos are wanted, fetch them, and account for each."""

import pandas as pd

from mgn_ma.eev.annotations import ID_COLUMNS, AnnotationError
from mgn_ma.eev.frames import ANNOTATED
from mgn_ma.eev.video_ids import validate_video_id
from mgn_ma.execution.progress import progress
from mgn_ma.media.download import DownloadConfig, fetch_missing
from mgn_ma.media.download_records import read_outcomes
from mgn_ma.media.folder import MediaFolder, local_folder


def list_wanted(*annotations: pd.DataFrame) -> pd.DataFrame:
    """Each video of the annotations of train, validation and test once: ``video_id`` and ``split``.

    Raises:
        AnnotationError: a table has no column of ids.
        VideoIdError: an id can't be a file name.
    """
    wanted = []
    for split, table in zip(ANNOTATED, annotations, strict=True):
        columns = [column for column in ID_COLUMNS if column in table.columns]
        if not columns:
            raise AnnotationError(f"annotations of {split}", f"there is no column {' or '.join(map(repr, ID_COLUMNS))}")
        ids = [validate_video_id(video_id) for video_id in pd.unique(table[columns[0]])]
        wanted.append(pd.DataFrame({"video_id": ids, "split": split}))
    return pd.concat(wanted, ignore_index=True).drop_duplicates("video_id", ignore_index=True)


def fetch_videos(download: DownloadConfig, folder: str, *annotations: pd.DataFrame) -> MediaFolder:
    """The folder of raw videos, after those that were wanted and missing have been fetched into it."""
    wanted = list_wanted(*annotations)
    fetch_missing(
        wanted["video_id"].tolist(),
        local_folder(folder),
        download,
        show_progress=lambda outcomes, total: progress(outcomes, total, "downloading videos", unit="video"),
    )
    return MediaFolder(folder)


def account_for_downloads(videos: MediaFolder, download: DownloadConfig, *annotations: pd.DataFrame) -> pd.DataFrame:
    """One row a wanted video: ``video_id``, ``split``, and of the video, its captions and info.json status and reason.

    Status is ``present``, ``unavailable`` (said of this video alone), ``failed`` (the next run tries again), ``none``
    (no captions in the wanted languages) or ``not tried``.
    """
    wanted = list_wanted(*annotations)
    outcomes = read_outcomes(wanted["video_id"], videos, download.caption_languages)
    rows = [[text for part in outcome.parts for text in (part.status, part.reason)] for outcome in outcomes]
    columns = ["status", "reason", "captions", "captions_reason", "info", "info_reason"]
    return pd.concat([wanted, pd.DataFrame(rows, columns=columns)], axis=1)

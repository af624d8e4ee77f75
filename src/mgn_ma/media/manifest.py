"""The manifest: one row a video of the annotations, with its files and whether it can be used."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
from pydantic import Field

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.media.digest import digest
from mgn_ma.media.folder import MediaFiles, MediaFolder
from mgn_ma.media.inspection import AVAILABLE, LONGEST_S, UNAVAILABLE, ListedVideo, VideoRow

logger = logging.getLogger(__name__)


class ManifestConfig(Configuration):
    """How the manifest is made.

    Attributes:
        caption_languages: which captions to take, in order of preference.
        workers: processes that look into files; it is reading that takes the time, not computing.
        max_seconds: a longer video is unavailable; ``None`` for any length.
    """

    caption_languages: tuple[str, ...] = ("en",)
    workers: int = Field(default=4, gt=0)
    max_seconds: float | None = Field(default=LONGEST_S, gt=0)


class SplitError(MGNMAError):
    """The splits contradict each other, or none of their videos can be used."""


_TYPES = {
    **dict.fromkeys(("duration_us", "width", "height", "audio_duration_us"), "Int64"),
    "fps": "float64",
    "has_audio": "bool",
}

Inspect = Callable[[Sequence[ListedVideo]], Iterable[VideoRow]]
"""Applies :func:`mgn_ma.media.inspection.inspect_video` to each video, in any order: where a crash costs it alone."""


def build_manifest(
    splits: Mapping[str, pd.DataFrame],
    folder: MediaFolder,
    config: ManifestConfig,
    inspect: Inspect,
) -> pd.DataFrame:
    """Look into the file of every annotated video.

    A video that is absent, or can't be read, has status ``unavailable`` and a reason. What is odd but not fatal (a file
    that was cut short, a title that can't be read) is said in ``note``.

    Args:
        splits: name -> frame table with ``video_id`` and ``timestamp_us``.
        folder: where the files are.
        config: how to look.
        inspect: looks into the videos.

    Returns:
        One row a video, split by split, in the order of the annotations: ``video_id``, ``split``, ``status``,
        ``reason`` ("" if available), ``note``, ``path``, ``digest``, ``duration_us``, ``fps``, ``width``, ``height``
        (as displayed), ``has_audio``, ``audio_duration_us``, ``captions_path``, ``captions_digest``,
        ``captions_origin`` (``uploaded``, ``automatic``, ``transcribed`` or ``unknown``), ``title``, ``n_frames``
        (annotated ones) and ``n_frames_past_end`` (those of them after the video's end).

    Raises:
        SplitError: if a video is in two splits, or not one video is available.
    """
    videos = [
        ListedVideo(video_id, split, folder.files(video_id, config.caption_languages))
        for video_id, split in _videos(splits)
    ]
    manifest = _with_frame_counts(_table(videos, inspect), splits)
    _report(manifest, folder)
    return manifest


def manifest_of_files(videos: Mapping[str, MediaFiles], inspect: Inspect) -> pd.DataFrame:
    """The manifest of videos that nobody annotated: the same columns but those that count frames; no split.

    Args:
        videos: id -> its files.
        inspect: looks into them.
    """
    return _table([ListedVideo(video_id, "", files) for video_id, files in videos.items()], inspect)


def _table(videos: Sequence[ListedVideo], inspect: Inspect) -> pd.DataFrame:
    rows = {row.video_id: row for row in inspect(videos)}
    names = [field.name for field in fields(VideoRow)]
    return pd.DataFrame([asdict(rows[video.video_id]) for video in videos], columns=names).astype(_TYPES)


def _videos(splits: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    seen: dict[str, str] = {}
    videos: list[tuple[str, str]] = []
    for split, frames in splits.items():
        for video_id in pd.unique(frames["video_id"]):
            if video_id in seen:
                raise SplitError(
                    f"video {video_id!r} is annotated in both {seen[video_id]} and {split}: a video belongs to one "
                    "split, or what is trained on is also what is measured. Remove its rows from one of the two files"
                )
            seen[video_id] = split
            videos.append((str(video_id), split))
    return videos


def _with_frame_counts(manifest: pd.DataFrame, splits: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    ends = manifest.set_index("video_id")["duration_us"]
    counts = []
    for frames in splits.values():
        # Compared a video at a time: a table of millions of rows has a few thousand videos.
        by_video = frames.groupby("video_id", sort=False, observed=True)["timestamp_us"]
        past_end = {
            str(video_id): int((times >= end).sum()) if pd.notna(end := ends[video_id]) else 0
            for video_id, times in by_video
        }
        counts.append(pd.DataFrame({"n_frames": by_video.size(), "n_frames_past_end": pd.Series(past_end)}))
    return manifest.join(pd.concat(counts), on="video_id")


def _report(manifest: pd.DataFrame, folder: MediaFolder) -> None:
    available = manifest["status"] == AVAILABLE
    splits = available.groupby(manifest["split"], sort=False)
    counts = ", ".join(f"{split} {int(of_split.sum())} of {len(of_split)}" for split, of_split in splits)
    logger.info("Videos available: %s", counts)
    late = manifest[manifest["n_frames_past_end"] > 0]
    if len(late):
        logger.warning(
            "%d videos end before their annotations do; %d annotated frames have no picture",
            len(late),
            int(late["n_frames_past_end"].sum()),
        )
    if len(manifest) and not available.any():
        reasons = manifest["reason"].value_counts()
        raise SplitError(
            f"not one of the {len(manifest)} annotated videos can be used; they are looked for in {folder.root}. "
            f"The first: {manifest['video_id'].iloc[0]}: {manifest['reason'].iloc[0]} ({len(reasons)} distinct reasons)"
        )


def exclusions(manifest: pd.DataFrame) -> pd.DataFrame:
    """The unavailable videos of a manifest with the reason why, and how many annotated frames go with them."""
    unavailable = manifest[manifest["status"] == UNAVAILABLE]
    return unavailable[["video_id", "split", "reason", "n_frames"]].reset_index(drop=True)


def changed_files(manifest: pd.DataFrame) -> list[str]:
    """Paths of the videos and captions on this machine that are not as they were when the manifest was made."""
    return [
        path
        for kind in ("", "captions_")
        for path, known in zip(manifest[f"{kind}path"], manifest[f"{kind}digest"], strict=True)
        if known and not pd.isna(known) and Path(path).is_file() and digest(path) != known
    ]


def videos_digest(manifest: pd.DataFrame) -> str:
    """Hex SHA-256 of what a run's videos are: id, split and what its tracks depend on."""
    columns = ["video_id", "split", "digest", "captions_digest", "title"]
    rows = manifest[columns].itertuples(index=False, name=None)
    lines = ("\t".join("" if pd.isna(value) else str(value) for value in values) for values in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()

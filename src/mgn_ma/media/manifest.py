"""The manifest: one row a video of the annotations, with its files and whether it can be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mgn_ma.errors import MGNMAError
from mgn_ma.media.digest import digest
from mgn_ma.media.errors import MediaError
from mgn_ma.media.folder import VIDEO_SUFFIXES, MediaFiles, MediaFolder, read_title
from mgn_ma.media.probe import probe

logger = logging.getLogger(__name__)

AVAILABLE = "available"
UNAVAILABLE = "unavailable"


class ManifestConfig(BaseModel):
    """How the manifest is made.

    Attributes:
        caption_languages: which captions to take, in order of preference.
        threads: how many files are looked into at a time; it is reading that takes the time, not computing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    caption_languages: tuple[str, ...] = ("en",)
    threads: int = Field(default=8, gt=0)


class SplitError(MGNMAError):
    """The splits contradict each other, or none of their videos can be used."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the manifest; the types of its columns are in ``_TYPES``."""

    video_id: str
    split: str
    status: str
    reason: str = ""
    note: str = ""
    path: str | None = None
    digest: str | None = None
    duration_us: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    has_audio: bool = False
    audio_duration_us: int | None = None
    captions_path: str | None = None
    captions_digest: str | None = None
    title: str | None = None


_TYPES = {
    **dict.fromkeys(("duration_us", "width", "height", "audio_duration_us"), "Int64"),
    "fps": "float64",
    "has_audio": "bool",
}

ShowProgress = Callable[[Iterable[_Row], int], Iterable[_Row]]


def build_manifest(
    splits: Mapping[str, pd.DataFrame],
    folder: MediaFolder,
    config: ManifestConfig,
    show_progress: ShowProgress = lambda rows, _: rows,
) -> pd.DataFrame:
    """Look into the file of every annotated video.

    A video that is absent, or can't be read, has status ``unavailable`` and a reason. What is odd but not fatal (a file
    that was cut short, a title that can't be read) is said in ``note``.

    Args:
        splits: name -> frame table with ``video_id`` and ``timestamp_us``.
        folder: where the files are.
        config: how to look.
        show_progress: wraps the rows as they come, given their number.

    Returns:
        One row a video, split by split, in the order of the annotations: ``video_id``, ``split``, ``status``,
        ``reason`` ("" if available), ``note``, ``path``, ``digest``, ``duration_us``, ``fps``, ``width``, ``height``
        (as displayed), ``has_audio``, ``audio_duration_us``, ``captions_path``, ``captions_digest``, ``title``,
        ``n_frames`` (annotated ones) and ``n_frames_past_end`` (those of them after the video's end).

    Raises:
        SplitError: if a video is in two splits, or not one video is available.
    """
    videos = _videos(splits)

    def look(video: tuple[str, str]) -> _Row:
        return _row(*video, folder.files(video[0], config.caption_languages))

    with ThreadPoolExecutor(config.threads) as pool:
        rows = list(show_progress(pool.map(look, videos), len(videos)))
    manifest = _with_frame_counts(_table(rows), splits)
    _report(manifest, folder)
    return manifest


def look_into(videos: Mapping[str, MediaFiles]) -> pd.DataFrame:
    """The manifest of videos that nobody annotated: the same columns but those that count frames; no split.

    Args:
        videos: id -> its files.
    """
    return _table([_row(video_id, "", files) for video_id, files in videos.items()])


def _table(rows: Sequence[_Row]) -> pd.DataFrame:
    names = [field.name for field in fields(_Row)]
    return pd.DataFrame([asdict(row) for row in rows], columns=names).astype(_TYPES)


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


def _row(video_id: str, split: str, files: MediaFiles) -> _Row:
    if files.video_path is None:
        wanted = ", ".join(f".{suffix}" for suffix in VIDEO_SUFFIXES)
        return _Row(video_id, split, UNAVAILABLE, f"no file {video_id} with one of {wanted}")
    try:
        return _available(video_id, split, files, files.video_path)
    except MediaError as error:
        return _Row(video_id, split, UNAVAILABLE, error.reason)
    except Exception as error:
        # Whatever a damaged file provokes concerns that video only.
        logger.debug("Looking into %s", files.video_path, exc_info=True)
        return _Row(video_id, split, UNAVAILABLE, f"can't be read: {type(error).__name__}: {error}")


def _available(video_id: str, split: str, files: MediaFiles, video_path: str) -> _Row:
    info = probe(video_path)
    notes = ["the file is cut short: it ends before the time that its header promises"] if info.truncated else []
    title: str | None = None
    captions_digest: str | None = None
    try:
        title = None if files.info_path is None else read_title(files.info_path)
        captions_digest = None if files.captions_path is None else digest(files.captions_path)
    except MediaError as error:
        notes.append(str(error))
    return _Row(
        video_id,
        split,
        AVAILABLE,
        note="; ".join(notes),
        path=video_path,
        digest=digest(video_path),
        duration_us=info.duration_us,
        fps=info.fps,
        width=info.width,
        height=info.height,
        has_audio=info.has_audio,
        audio_duration_us=info.audio_duration_us,
        captions_path=None if captions_digest is None else files.captions_path,
        captions_digest=captions_digest,
        title=title,
    )


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
    for split, of_split in available.groupby(manifest["split"], sort=False):
        logger.info("%s: %d of %d videos are available", split, int(of_split.sum()), len(of_split))
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


def iter_digests(manifest: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """What a run's videos are, one tuple a video: id, split and what its tracks depend on."""
    columns = ["video_id", "split", "digest", "captions_digest", "title"]
    for values in manifest[columns].itertuples(index=False, name=None):
        yield tuple("" if pd.isna(value) else str(value) for value in values)

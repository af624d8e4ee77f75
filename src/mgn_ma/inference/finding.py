"""Which videos somebody means: a folder, a list, a pattern, a file, a URL; with the captions and titles beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from glob import glob
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec

from mgn_ma.errors import MGNMAError
from mgn_ma.inference.videos import VideoInput
from mgn_ma.media.errors import MediaError
from mgn_ma.media.fetch import is_remote
from mgn_ma.media.folder import MediaFolder, VideoInfo, choose_captions, is_video, read_info
from mgn_ma.media.subtitles import decode_text

COLUMNS = ("video", "video_id", "captions", "title")
"""Of a list in CSV; all but the first may be absent or empty."""


class NoVideosError(MGNMAError):
    """What was asked for names no video; the message says what was looked for."""


def find_videos(wanted: str | Sequence[str], caption_languages: Sequence[str] = ("en",)) -> list[VideoInput]:
    """The videos that one or several specifications name, each once, with distinct ids.

    A specification is a folder, a list (``.txt``: a path or URL a line; ``.csv``: see ``COLUMNS``; paths are relative
    to the list), a pattern such as ``clips/*.mp4``, a file, or an fsspec URL (a folder's ends with ``/``). A video's id
    is its file name without suffix, with a number behind it where two are alike. Captions and title are taken from
    beside the video as yt-dlp writes them (``<id>.en.vtt``, ``<id>.info.json``), but not over ``http``, where nothing
    can be listed. A file that is not there is kept: its prediction will say so.

    Raises:
        NoVideosError: a specification names no video, or a list can't be read.
    """
    specifications = [wanted] if isinstance(wanted, str) else list(wanted)
    if not specifications or not all(specifications):
        raise NoVideosError("no videos are named: give a folder, a list (.txt, .csv), a pattern, a file or a URL")
    named = {video.path: video for specification in specifications for video in _named_by(specification)}
    list_folder = cache(_listed)
    return _distinct(_completed(video, list_folder(_parent(video.path)), caption_languages) for video in named.values())


def _named_by(specification: str) -> list[VideoInput]:
    if is_remote(specification):
        paths = _remote_folder(specification) if specification.endswith("/") else [specification]
        return _require_any([_video(path) for path in paths], specification)
    path = Path(specification)
    if path.is_dir():
        return _require_any(_videos_among(sorted(path.iterdir())), specification)
    if path.suffix.lower() == ".csv":
        return _require_any(list(_of_table(path)), specification)
    if path.suffix.lower() == ".txt":
        lines = (line.strip() for line in _text(path).splitlines())
        named = [_video(_beside(path, line)) for line in lines if line and not line.startswith("#")]
        return _require_any(named, specification)
    if not path.exists() and any(character in specification for character in "*?["):
        matches = sorted(Path(match) for match in glob(specification, recursive=True))  # noqa: PTH207 (it may be absolute)
        return _require_any(_videos_among(matches), specification)
    return [_video(specification)]


def _videos_among(paths: Iterable[Path]) -> list[VideoInput]:
    return [_video(str(path)) for path in paths if is_video(path.name) and path.is_file()]


def _remote_folder(url: str) -> list[str]:
    try:
        filesystem, path = fsspec.core.url_to_fs(url)
        names = [str(name).rpartition("/")[2] for name in filesystem.ls(path, detail=False)]
    except Exception as error:  # each file system has errors of its own
        raise NoVideosError(f"{url}: can't be listed: {type(error).__name__}: {error}") from error
    return [f"{url}{name}" for name in sorted(names) if is_video(name)]


def _of_table(path: Path) -> Iterator[VideoInput]:
    try:
        rows = csv.DictReader(io.StringIO(_text(path), newline=""))
        columns, found = rows.fieldnames or [], list(rows)
    except csv.Error as error:
        raise NoVideosError(f"{path}: is no list of videos in CSV: {error}") from error
    if "video" not in columns or set(columns) - set(COLUMNS):
        raise NoVideosError(
            f"{path}: a list of videos has the column video, and may have {', '.join(COLUMNS[1:])}; this one has "
            f"{', '.join(map(repr, columns)) or 'none'}"
        )
    for row in found:
        if not row["video"]:
            continue
        video = _video(_beside(path, row["video"]))
        captions = row.get("captions")
        yield VideoInput(
            row.get("video_id") or video.video_id,
            video.path,
            _beside(path, captions) if captions else None,
            row.get("title") or None,
        )


def _text(path: Path) -> str:
    try:
        return decode_text(path.read_bytes())
    except OSError as error:
        raise NoVideosError(f"{path}: can't be read: {error.strerror or error}") from error


def _require_any(videos: list[VideoInput], place: str) -> list[VideoInput]:
    if not videos:
        raise NoVideosError(f"{place}: there is no video in it")
    return videos


def _beside(place: Path, path: str) -> str:
    return path if is_remote(path) else str(place.parent / path)


def _video(path: str) -> VideoInput:
    name = unquote(Path(urlsplit(path).path).name) if is_remote(path) else Path(path).name
    return VideoInput(Path(name).stem or name or path, path)


def as_text(path: str) -> str:
    """A path as text that any file can hold: bytes of a name that are no UTF-8 become question marks."""
    return path.encode("utf-8", errors="replace").decode("utf-8")


def _printable(video_id: str) -> str:
    """An id that does nothing to a terminal or a table."""
    return "".join(character if character.isprintable() else "?" for character in as_text(video_id))


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")


def _listed(folder: str) -> MediaFolder | None:
    """A folder's files, where it can be listed; a double colon means two addresses to fsspec."""
    if folder.startswith(("http://", "https://", "http:/", "https:/")) or "::" in folder:
        return None
    try:
        return MediaFolder(folder)
    except Exception:  # each file system has errors of its own, and captions and titles are optional
        return None


def _completed(video: VideoInput, folder: MediaFolder | None, languages: Sequence[str]) -> VideoInput:
    """The video with what is beside it, where it names nothing of its own."""
    if folder is None:
        return video
    files = folder.files(Path(video.path).stem, languages)
    info, note = VideoInfo(), ""
    if files.info_path is not None:
        try:
            info = read_info(files.info_path)
        except MediaError as error:
            note = f"without title: {error}" if video.title is None else ""
    beside = choose_captions(files.captions, info)
    captions = video.captions or (None if beside is None else beside.path)
    return replace(video, captions=captions, title=info.title if video.title is None else video.title, note=note)


def _distinct(videos: Iterable[VideoInput]) -> list[VideoInput]:
    found: dict[str, VideoInput] = {}
    for video in videos:
        plain, number = _printable(video.video_id), 1
        video_id = plain
        while video_id in found:
            number += 1
            video_id = f"{plain} ({number})"
        found[video_id] = replace(video, video_id=video_id)
    return list(found.values())

"""A folder of videos as yt-dlp writes it: ``<id>.mp4``, ``<id>.en.vtt``, ``<id>.info.json``."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from mgn_ma.media.errors import MediaError
from mgn_ma.media.whole_file import read_whole

VIDEO_SUFFIXES = (
    *("mp4", "mkv", "webm", "mov", "m4v", "avi", "mpg", "mpeg", "ts", "flv", "wmv", "3gp", "3g2"),
    *("m4s", "mts", "m2ts", "m2t", "ogv", "asf", "f4v", "vob", "mj2"),
)
"""What counts as a video in a folder, in small or capital letters, in order of preference."""
CAPTION_SUFFIXES = ("vtt", "srt", "json3")
INFO_SUFFIX = "info.json"

_LONGEST_TITLE = 500
_MOST_INFO_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class CaptionsFile:
    """A file of captions, and what its name says of it.

    Attributes:
        path: local path or fsspec URL.
        language: such as ``en``, ``en-GB`` or ``en-orig``; "" where the name tells none.
        serves: the wanted language that it is taken for, ``en`` in each of these cases.
    """

    path: str
    language: str = ""
    serves: str = ""


@dataclass(frozen=True, slots=True)
class MediaFiles:
    """What there is of one video; ``None`` for what there isn't. Nothing has been opened yet.

    ``captions`` stand in the order in which their names make them preferred; :func:`choose_captions` is told more.
    """

    video_path: str | None = None
    captions: tuple[CaptionsFile, ...] = ()
    info_path: str | None = None


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is read of an info.json.

    Attributes:
        title: of the video; ``None`` if it has none.
        uploaded: languages of the captions that somebody wrote for it.
        automatic: languages of those that YouTube makes by itself.
    """

    title: str | None = None
    uploaded: frozenset[str] = frozenset()
    automatic: frozenset[str] = frozenset()


class MediaFolder:
    """The files of a folder by video id.

    The folder is listed once. An id is matched as a whole: it may hold dots and start with ``-``.

    Args:
        root: local path or fsspec URL. A folder that isn't there is an empty one.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        filesystem, path = fsspec.core.url_to_fs(self.root)
        filesystem.invalidate_cache()
        try:
            entries = filesystem.ls(path, detail=False)
        except FileNotFoundError:
            entries = []
        names = (str(entry).rstrip("/").rpartition("/")[2] for entry in entries)
        self._names = sorted(name for name in names if not name.startswith("."))
        self._names_set = frozenset(self._names)

    def __len__(self) -> int:
        """How many entries the folder has, of whatever kind, but for hidden ones."""
        return len(self._names)

    def files(self, video_id: str, caption_languages: Sequence[str] = ("en",)) -> MediaFiles:
        """The files of one video.

        Args:
            video_id: their common first part.
            caption_languages: in order of preference. Of one language, WebVTT comes before SubRip and json3, and its
                plain name before YouTube's ``en-orig`` and regional ones such as ``en-GB``. Last comes a file without a
                language.
        """
        spelt = (f"{video_id}.{each}" for suffix in VIDEO_SUFFIXES for each in (suffix, suffix.upper()))
        video = next((name for name in spelt if self._has(name)), None)
        captions = tuple(self._captions(video_id, caption_languages))
        info = f"{video_id}.{INFO_SUFFIX}" if self._has(f"{video_id}.{INFO_SUFFIX}") else None
        return MediaFiles(self._path(video), captions, self._path(info))

    def _has(self, name: str) -> bool:
        return name in self._names_set

    def _path(self, name: str | None) -> str | None:
        return None if name is None else f"{self.root}/{name}"

    def _captions(self, video_id: str, languages: Sequence[str]) -> Iterator[CaptionsFile]:
        for language in languages:
            regional = self._starting_with(f"{video_id}.{language}-")
            for suffix in CAPTION_SUFFIXES:
                exact = [f"{video_id}.{language}.{suffix}", f"{video_id}.{language}-orig.{suffix}"]
                matching = [name for name in exact if self._has(name)]
                matching += [name for name in regional if name.endswith(f".{suffix}") and name not in exact]
                for name in matching:
                    of_name = name.removeprefix(f"{video_id}.").removesuffix(f".{suffix}")
                    yield CaptionsFile(f"{self.root}/{name}", of_name, language)
        for suffix in CAPTION_SUFFIXES:
            if self._has(f"{video_id}.{suffix}"):
                yield CaptionsFile(f"{self.root}/{video_id}.{suffix}")

    def _starting_with(self, prefix: str) -> list[str]:
        first = bisect_left(self._names, prefix)
        last = first
        while last < len(self._names) and self._names[last].startswith(prefix):
            last += 1
        return self._names[first:last]


def is_video(name: str) -> bool:
    """Whether a file's name is that of a video that is not hidden."""
    stem, _, suffix = name.rpartition(".")
    return bool(stem) and not name.startswith(".") and suffix.lower() in VIDEO_SUFFIXES


def local_folder(path: str) -> Path:
    """A folder that files are to be written into, made if need be.

    Raises:
        MediaError: it is not on this machine.
    """
    if "://" in path:
        raise MediaError(path, "is a URL, and videos can only be written into a local folder")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_info(path: str) -> VideoInfo:
    """What is wanted of a video's info.json.

    Args:
        path: local path or fsspec URL.

    Raises:
        MediaError: if the file can't be read or holds no JSON object.
    """
    info = _read_object(path)
    title = info.get("title") or info.get("fulltitle")
    languages = (info.get(kind) for kind in ("subtitles", "automatic_captions"))
    uploaded, automatic = (frozenset(each) if isinstance(each, dict) else frozenset() for each in languages)
    return VideoInfo(plain_title(title) if isinstance(title, str) else None, uploaded, automatic)


def choose_captions(captions: Sequence[CaptionsFile], info: VideoInfo) -> CaptionsFile | None:
    """Of the captions in the most wanted language those that somebody wrote, else the first; ``None`` of none."""
    of_language = [file for file in captions if file.serves == captions[0].serves]
    uploaded = [file for file in of_language if file.language in info.uploaded]
    return next(iter(uploaded or of_language), None)


def plain_title(title: str) -> str | None:
    """A title in one line of printable text, cut to a sensible length; ``None`` if nothing is left of it."""
    # Lone surrogates, which JSON and file names can spell, can't be written to any file in UTF-8.
    printable = title.encode("utf-8", errors="replace").decode("utf-8")
    words = "".join(character if character.isprintable() else " " for character in printable).split()
    return " ".join(words)[:_LONGEST_TITLE] or None


def _read_object(path: str) -> dict[str, Any]:
    data = read_whole(path, _MOST_INFO_BYTES)
    try:
        info = json.loads(data.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise MediaError(path, f"is no JSON: {error}") from error
    if not isinstance(info, dict):
        raise MediaError(path, f"is no JSON object but {type(info).__name__}")
    return info

"""What there is to know of a video before it is used: its files, looked into. What is decoded here may be hostile."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from mgn_ma.media.container import MICROSECONDS
from mgn_ma.media.digest import digest
from mgn_ma.media.errors import CaptionsError, MediaError
from mgn_ma.media.folder import CaptionsFile, MediaFiles, VideoInfo, choose_captions, read_info
from mgn_ma.media.probe import probe
from mgn_ma.media.subtitles import Captions, MadeBy, read_captions

logger = logging.getLogger(__name__)

LONGEST_S = 6 * 3600.0
"""What is read of a video if nothing else is said. A file of a kilobyte may claim a year, and gets a row each 1/6 s."""
CaptionsOrigin = Literal["uploaded", "unknown"] | MadeBy
"""Who made captions: a person, a machine, or nobody knows."""
AVAILABLE = "available"
UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """A video that somebody wants; ``split`` is "" where it belongs to none."""

    video_id: str
    split: str
    files: MediaFiles


@dataclass(frozen=True, slots=True)
class VideoRow:
    """A row of the manifest, see `mgn_ma.media.manifest.build_manifest`."""

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
    captions_origin: CaptionsOrigin | None = None
    title: str | None = None


def inspect_video(video: ListedVideo, max_seconds: float | None = None) -> VideoRow:
    """Look into the files of a video; whatever a damaged file provokes becomes the reason why it is unavailable.

    Args:
        video: whose files.
        max_seconds: one whose picture or sound is longer is unavailable; ``None`` for any length.
    """
    path = video.files.video_path
    if path is None:
        return unavailable(video, f"no file {video.video_id}.mp4, nor with the suffix of another video")
    try:
        return _available(video, path, max_seconds)
    except MemoryError:
        raise
    except MediaError as error:
        return unavailable(video, error.reason)
    except Exception as error:
        logger.debug("Looking into %s", path, exc_info=True)
        return unavailable(video, f"can't be read: {type(error).__name__}: {error}")


def unavailable(video: ListedVideo, reason: str) -> VideoRow:
    """The row of a video that can't be used."""
    return VideoRow(video.video_id, video.split, UNAVAILABLE, reason)


def _available(video: ListedVideo, video_path: str, max_seconds: float | None) -> VideoRow:
    files, info = video.files, probe(video_path)
    length_s = max(info.duration_us, info.audio_duration_us) / MICROSECONDS
    if max_seconds is not None and length_s > max_seconds:
        raise MediaError(video_path, f"is {length_s:.0f} s long, and at most {max_seconds:g} s are read (max_seconds)")
    notes = ["the file is cut short: it ends before the time that its header promises"] if info.truncated else []
    if info.audio_duration_us - info.duration_us > MICROSECONDS:
        notes.append(
            f"its picture ends at {info.duration_us / 1e6:.1f} s "
            f"and its sound at {info.audio_duration_us / 1e6:.1f} s: what is heard after that is left out"
        )
    about = VideoInfo()
    captions_digest: str | None = None
    captions_origin: CaptionsOrigin | None = None
    try:
        about = VideoInfo() if files.info_path is None else read_info(files.info_path)
    except MediaError as error:
        notes.append(f"without title: {error}")
    chosen = choose_captions(files.captions, about)
    try:
        if chosen is not None:
            captions_origin = _origin(chosen, _read_speech(chosen.path, notes), about)
            captions_digest = digest(chosen.path)
    except MediaError as error:
        notes.append(f"without captions: {error}")
    return VideoRow(
        video.video_id,
        video.split,
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
        captions_path=None if chosen is None or captions_digest is None else chosen.path,
        captions_digest=captions_digest,
        captions_origin=None if captions_digest is None else captions_origin,
        title=about.title,
    )


def _read_speech(path: str, notes: list[str]) -> Captions:
    captions = read_captions(path)
    if captions.dropped:
        n_cues = len(captions) + captions.merged + captions.dropped
        notes.append(f"{captions.dropped} of {n_cues} captions have no readable time and are left out")
    if not captions.speech:
        raise CaptionsError(path, "holds no speech")
    if n_sounds := len(captions) - len(captions.speech):
        notes.append(f"{n_sounds} of {len(captions)} captions say what is heard, such as [Music], and are no speech")
    return captions


def _origin(file: CaptionsFile, captions: Captions, info: VideoInfo) -> CaptionsOrigin:
    """Who made captions: they tell it themselves, or their name or info.json does.

    A video that has both kinds in a language has them under one name, and which of the two was fetched isn't said.
    """
    if captions.made_by is not None:
        return captions.made_by
    if file.language in info.uploaded:
        return "uploaded"
    return "automatic" if file.language in info.automatic or file.language.endswith("-orig") else "unknown"

"""What came of each video that was asked for: the video, its captions and its info.json, each with its status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mgn_ma.files import write_atomically
from mgn_ma.media.folder import MediaFolder

RECORDS = ".download"
"""Folder beside the videos with what came of each one that was asked for, and with unfinished files."""

Status = Literal["present", "none", "unavailable", "failed", "not tried"]


@dataclass(frozen=True, slots=True)
class Part:
    """What came of a video itself, of its captions or of its info.json; ``reason`` is empty if it is present.

    Captions are ``none`` where the video has none in the wanted languages.
    """

    status: Status
    reason: str = ""


PRESENT = Part("present")
_NOT_TRIED = Part("not tried", "no run has asked for it yet")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one video, in three parts that fail each by itself."""

    video_id: str
    video: Part
    captions: Part = _NOT_TRIED
    info: Part = _NOT_TRIED

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        """The video, its captions and its info.json."""
        return self.video, self.captions, self.info


def read_outcomes(
    video_ids: Iterable[str], folder: MediaFolder, caption_languages: Sequence[str] = ("en",)
) -> list[Outcome]:
    """What came of each video so far: the files decide, then the records of earlier runs."""
    return [_read_outcome(video_id, folder, caption_languages) for video_id in video_ids]


def _read_outcome(video_id: str, folder: MediaFolder, caption_languages: Sequence[str]) -> Outcome:
    try:
        record = json.loads(_record_path(Path(folder.root), video_id).read_text(encoding="utf-8"))
        recorded = [Part(**record[name]) for name in ("video", "captions", "info")]
    except (OSError, ValueError, KeyError, TypeError):
        recorded = [_NOT_TRIED] * 3
    files = folder.files(video_id, caption_languages)
    there = (files.video_path, files.captions, files.info_path)
    return Outcome(video_id, *(_now(part, bool(found)) for part, found in zip(recorded, there, strict=True)))


def _now(recorded: Part, is_there: bool) -> Part:
    if is_there:
        return PRESENT
    return Part("not tried", "it was fetched, and is no longer there") if recorded == PRESENT else recorded


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Keep what came of a video for later runs."""
    write_atomically(_record_path(folder, outcome.video_id), json.dumps(asdict(outcome)).encode())


def tried_at(folder: Path, video_id: str) -> float:
    """When a run last asked for a video, in seconds since 1970; 0 if none has."""
    try:
        return _record_path(folder, video_id).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _record_path(folder: Path, video_id: str) -> Path:
    return folder / RECORDS / f"{video_id}.json"

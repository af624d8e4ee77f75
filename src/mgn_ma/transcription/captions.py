"""What transcription leaves beside a video: captions that tell where they come from, and a record for later runs."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mgn_ma import __version__
from mgn_ma.files import write_atomically
from mgn_ma.media.subtitles import TRANSCRIBED, Cue, webvtt_time

RECORDS = ".transcription"
"""Folder beside the videos with what came of each one that was listened to, by language."""


@dataclass(frozen=True, slots=True)
class Record:
    """What came of listening to a video.

    Attributes:
        status: ``transcribed``, ``no audio``, ``no speech`` or ``failed``.
        reason: why it has no captions, else "".
        video_digest: of the video that was listened to; ``None`` where it could not be read.
        fingerprint: of the settings and the weights.
        captions_sha256: of the captions that were written; "" where none were.
        seconds: that it took.
    """

    status: str
    reason: str
    video_digest: str | None
    fingerprint: str
    captions_sha256: str = ""
    seconds: float = 0.0


def read_record(captions: Path) -> Record | None:
    """What came of the video that captions are to lie beside; ``None``: no run has tried, or its record is damaged."""
    try:
        return Record(**json.loads(_record_path(captions).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(captions: Path, record: Record) -> None:
    """Keep what came of a video for later runs."""
    write_atomically(_record_path(captions), json.dumps(asdict(record)).encode())


def _record_path(captions: Path) -> Path:
    return captions.parent / RECORDS / f"{captions.stem}.json"


def is_as_written(captions: Path, record: Record | None) -> bool:
    """Whether a file is what transcription wrote there, and nobody has changed it since."""
    if record is None or not captions.is_file():
        return False
    return hashlib.sha256(captions.read_bytes()).hexdigest() == record.captions_sha256


def webvtt(cues: Iterable[Cue], language: str, provenance: Mapping[str, str]) -> bytes:
    """A WebVTT file of cues.

    Args:
        cues: in order of their start.
        language: of the text, by its code.
        provenance: what the file's note says of where it comes from, a line each.
    """
    lines = (f"{name}: {' '.join(value.replace('-->', '->').split())}" for name, value in provenance.items())
    note = "\n".join((f"NOTE\n{TRANSCRIBED} {__version__}", *lines))
    blocks = [f"WEBVTT\nKind: captions\nLanguage: {language}", note]
    for cue in cues:
        times = f"{webvtt_time(cue.start_us)} --> {webvtt_time(cue.end_us)}"
        blocks.append(f"{times}\n{html.escape(cue.text, quote=False)}")
    return ("\n\n".join(blocks) + "\n").encode()

"""What is known of one video before anything is decoded: its files, its title, its digests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VideoSource:
    """One row of the manifest, as the extractors see it.

    Paths are local paths or fsspec URLs. A path is ``None`` where the file is absent. A digest is the
    hex SHA-256 of what a track of that source depends on, and ``None`` where the source is absent.
    """

    video_id: str
    video_path: str | None = None
    video_digest: str | None = None
    duration_us: int | None = None
    has_audio: bool = False
    captions_path: str | None = None
    captions_digest: str | None = None
    title: str | None = None

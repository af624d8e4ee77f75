"""A feature track: the rows of one modality of one video, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from mgn_ma.extractors.base import Clock, TrackRows


@dataclass(frozen=True, slots=True)
class TrackHeader:
    """What a track was made of: enough to know whether it is still the one that is wanted."""

    video_id: str
    modality: str
    clock: Clock
    fingerprint: str
    """Extractor name, settings and weights, hashed."""
    source_digest: str
    """Digest of the file (or text) that the track was made from."""


@dataclass(frozen=True, slots=True)
class Track:
    """Rows of one modality of one video with their origin."""

    header: TrackHeader
    rows: TrackRows

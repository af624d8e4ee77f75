"""A feature track: rows of one modality of one video, where they come from, and what is kept where there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from mgn_ma.errors import MGNMAError
from mgn_ma.extractors.base import Clock, TrackRows


class TrackError(MGNMAError):
    """A stored track can't be used: it is damaged, or not the one that is wanted. The message names the file."""


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
    made_from: Mapping[str, str] = field(default_factory=dict)
    """What a learned modality was made from: name of a modality -> `digest` of the video's track of it, empty where it
    had none; and ``labels`` -> digest of those that were learned from."""
    seconds: float = field(default=0.0, compare=False)
    """How long the extraction took; says nothing about what the track is."""

    def digest(self) -> str:
        """Hex digest of all that the track was made of."""
        made_of = (self.fingerprint, self.source_digest, sorted(self.made_from.items()))
        return hashlib.sha256(repr(made_of).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Track:
    """Rows of one modality of one video with their origin."""

    header: TrackHeader
    rows: TrackRows

    @property
    def width(self) -> int:
        """Length of a vector."""
        return int(self.rows.vectors.shape[1])


@dataclass(frozen=True, slots=True)
class TrackFailure:
    """Why a video has no track of a modality although it has what the modality reads.

    Attributes:
        reason: what the account says.
        transient: whether the same source may succeed on another try; if not, it is not tried again until the source,
            the extractor or the user's mind changes.
    """

    video_id: str
    modality: str
    fingerprint: str
    source_digest: str
    reason: str
    transient: bool = False
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """The tracks of one modality that are wanted now: one extractor, and one source digest a video.

    A store may hold tracks of earlier settings, of files that have changed since, and of videos that have left the
    manifest. None of them is in a selection.

    Attributes:
        wanted: video -> digest of the source that its track must be made from, in the order of the manifest.
    """

    modality: str
    fingerprint: str
    wanted: Mapping[str, str]

    @classmethod
    def from_absent(cls, modality: str) -> Selection:
        """Of a modality that no video is to have."""
        return cls(modality, fingerprint="", wanted={})

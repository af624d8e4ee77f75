"""The part of an extraction that is sent to where the work is done; it imports no more than that needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mgn_ma.extractors.base import Extractor, ExtractorConfig, TrackRows
from mgn_ma.extractors.registry import build
from mgn_ma.features.arrow import Dtype, narrow
from mgn_ma.features.track import Selection, Track, TrackHeader
from mgn_ma.media.source import VideoSource


@dataclass(frozen=True, slots=True)
class ExtractionTask:
    """Builds an extractor where the work is done, and hands on its rows as a track a video."""

    config: ExtractorConfig
    selection: Selection
    dtype: Dtype

    def __call__(self) -> Callable[[VideoSource], Track]:
        """Build the extractor, which may load a network."""
        return partial(self._track, build(self.config))

    def _track(self, extractor: Extractor, video: VideoSource) -> Track:
        rows = extractor.extract(video)
        header = TrackHeader(
            video_id=video.video_id,
            modality=self.selection.modality,
            clock=extractor.clock,
            fingerprint=self.selection.fingerprint,
            source_digest=self.selection.wanted[video.video_id],
        )
        # Narrowed here, so that half as much travels between processes.
        return Track(header, TrackRows(rows.timestamps_us, rows.ends_us, narrow(rows.vectors, self.dtype)))

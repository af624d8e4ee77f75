"""The part of an extraction that is sent to where the work is done; it imports no more than that needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from mgn_ma.execution.work import Worker
from mgn_ma.extractors.base import ExtractionError, Extractor, ExtractorConfig, TrackRows
from mgn_ma.extractors.registry import build
from mgn_ma.features.arrow import Dtype, narrow
from mgn_ma.features.track import Selection, Track, TrackError, TrackFailure, TrackHeader
from mgn_ma.media.source import VideoSource


@dataclass(frozen=True, slots=True)
class MakeTracks:
    """Builds an extractor where the work is done, and hands on its rows as tracks."""

    config: ExtractorConfig
    selection: Selection
    dtype: Dtype

    def __call__(self) -> Worker[VideoSource, Track | TrackFailure]:
        """Build the extractor, which may load a network."""
        return partial(self._tracks, build(self.config))

    def _tracks(self, extractor: Extractor, videos: Iterable[VideoSource]) -> Iterator[Track | TrackFailure]:
        for video, rows in extractor.extract(videos):
            if isinstance(rows, ExtractionError):
                yield failure(self.selection, video.video_id, str(rows), transient=rows.transient)
                continue
            try:
                yield self._track(extractor, video, rows)
            except TrackError as error:
                yield failure(self.selection, video.video_id, str(error), transient=False)

    def _track(self, extractor: Extractor, video: VideoSource, rows: TrackRows) -> Track:
        # Narrowed here, so that half as much travels between processes.
        vectors = narrow(rows.vectors, self.dtype)
        selection = self.selection
        header = TrackHeader(
            video_id=video.video_id,
            modality=selection.modality,
            clock=extractor.clock,
            fingerprint=selection.fingerprint,
            source_digest=selection.wanted[video.video_id],
        )
        return Track(header, TrackRows(rows.timestamps_us, rows.ends_us, vectors))


def failure(selection: Selection, video_id: str, reason: str, *, transient: bool) -> TrackFailure:
    """The record of a video that was wanted and can't be had."""
    digest = selection.wanted[video_id]
    return TrackFailure(video_id, selection.modality, selection.fingerprint, digest, reason, transient)

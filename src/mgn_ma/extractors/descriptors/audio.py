"""An audio vector without a network: statistics of VGGish's own log-mel patches (paper, section 2.1.1)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from mgn_ma.extractors.audio_patches import MEL_BANDS, PATCH_US, Patch, log_mel_patches
from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, ExtractorConfig, Source, TrackRows
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.source import VideoSource


class AudioDescriptorConfig(ExtractorConfig):
    """Settings of :class:`AudioDescriptorExtractor`; there are none."""

    source: ClassVar[Source] = "audio"

    name: Literal["audio_descriptor"] = "audio_descriptor"


class AudioDescriptorExtractor(Extractor):
    """Mean, deviation and mean absolute change of each mel band over a 960 ms patch, and its loudness, (N, 196)."""

    width = 3 * MEL_BANDS + 4
    clock: ClassVar[Clock] = "patches"

    def __init__(self, config: AudioDescriptorConfig) -> None:
        del config

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each whole patch."""
        if video.video_path is None:
            raise ExtractionError("there is no video file")
        vectors = [describe(patch) for patch in log_mel_patches(iter_audio(video.video_path))]
        if not vectors:
            raise ExtractionError("its sound is shorter than the 0.975 s that one audio vector is made from")
        starts = np.arange(len(vectors), dtype=np.int64) * PATCH_US
        return TrackRows(starts, starts + PATCH_US, np.stack(vectors))


def describe(patch: Patch) -> Patch:
    """(96, 64) log-mel energies to (196,): means, deviations, changes by band; mean, deviation, range, trend of all."""
    loudness = patch.mean(axis=1)
    halves = loudness[len(loudness) // 2 :].mean() - loudness[: len(loudness) // 2].mean()
    overall = np.array([loudness.mean(), loudness.std(), np.ptp(loudness), halves])
    bands = [patch.mean(axis=0), patch.std(axis=0), np.abs(np.diff(patch, axis=0)).mean(axis=0)]
    return np.concatenate([*bands, overall]).astype(np.float32)

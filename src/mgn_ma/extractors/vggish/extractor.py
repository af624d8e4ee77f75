"""One VGGish vector for each 960 ms of sound (paper, section 2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from mgn_ma.extractors.audio_patches import PATCH_US, SAMPLE_RATE, Patch, log_mel_patches
from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.batching import Batches, vectors_of
from mgn_ma.extractors.device import dtype_of, place, resolve_device
from mgn_ma.extractors.vggish.config import VGGishConfig
from mgn_ma.extractors.vggish.network import WIDTH, load_network
from mgn_ma.media.audio import iter_audio
from mgn_ma.media.source import VideoSource


class VGGishExtractor(Extractor):
    """Frozen VGGish; row i holds for ``i * 960 ms <= t < (i + 1) * 960 ms``."""

    width = WIDTH
    clock: ClassVar[Clock] = "patches"

    def __init__(self, config: VGGishConfig) -> None:
        self._device = resolve_device(config.device)
        self._dtype = dtype_of(config.precision)
        network, postprocessor = load_network(
            *config.weights_needed(), final_relu=config.final_relu, postprocess=config.postprocess
        )
        self._network = place(network, self._device, config.precision, torch.channels_last)
        self._postprocess = torch.nn.Identity() if postprocessor is None else postprocessor.to(self._device)
        self._batches = Batches(config.batch_size, self._device, "patch")

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each whole patch."""
        if video.video_path is None or not video.has_audio:
            raise ExtractionError("the video has no sound")
        patches = log_mel_patches(iter_audio(video.video_path, SAMPLE_RATE))
        lacking = "its sound is shorter than the 0.975 s that one audio vector is made from"
        vectors = vectors_of(patches, self.forward, self._batches, lacking=lacking)
        starts = np.arange(len(vectors), dtype=np.int64) * PATCH_US
        return TrackRows(starts, starts + PATCH_US, vectors)

    def forward(self, patches: Sequence[Patch]) -> torch.Tensor:
        """B patches (96, 64) float32 to (B, 128)."""
        batch = torch.from_numpy(np.stack(patches)).to(self._device, self._dtype)
        with torch.inference_mode():
            embedding = self._network(batch.unsqueeze(1).contiguous(memory_format=torch.channels_last))
            vectors: torch.Tensor = self._postprocess(embedding)
        return vectors

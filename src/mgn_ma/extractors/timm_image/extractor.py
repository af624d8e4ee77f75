"""One vector of a network of timm for the image shown at each timestamp of the 6 Hz grid (paper, section 2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from mgn_ma.extractors.base import Clock, Extractor, TrackRows
from mgn_ma.extractors.batching import Batches, batch_of, grid_vectors
from mgn_ma.extractors.cuda_frames import reader
from mgn_ma.extractors.device import dtype_of, place, resolve_device
from mgn_ma.extractors.timm_image.config import TimmConfig
from mgn_ma.extractors.timm_image.network import Pictures, fold_batch_norms
from mgn_ma.media.source import VideoSource


class TimmImageExtractor(Extractor):
    """A frozen network of timm; a row holds until the next timestamp of the grid."""

    clock: ClassVar[Clock] = "grid"

    def __init__(self, config: TimmConfig) -> None:
        self._device = resolve_device(config.device)
        self._read = reader(config.decoder, self._device)
        self._dtype = dtype_of(config.precision)
        network = config.load()
        self.pictures = Pictures.of(network)
        self.width = self.pictures.width_of(network)
        fold_batch_norms(network)
        self._network = place(network, self._device, config.precision, torch.channels_last)
        self._batches = Batches(config.batch_size, self._device, "frame")

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp at which a frame is shown."""
        return grid_vectors(video, self.pictures.geometry, self.forward, self._batches, read=self._read)

    def forward(self, frames: Sequence[Any]) -> torch.Tensor:
        """B frames (H, W, 3) uint8 RGB of the network's size to (B, D)."""
        batch = batch_of(frames, self._device)
        with torch.inference_mode():
            vectors: torch.Tensor = self._network(self.pictures.normalised(batch, self._dtype))
        return vectors


InceptionResnetV2Extractor = TimmImageExtractor

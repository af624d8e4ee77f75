"""One Inception-ResNet-v2 vector for the image shown at each timestamp of the 6 Hz grid (paper, section 2.1.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch

from mgn_ma.extractors.base import Clock, Extractor, TrackRows
from mgn_ma.extractors.batching import Batches, vectors_of
from mgn_ma.extractors.device import dtype_of, place, resolve_device
from mgn_ma.extractors.inception_resnet_v2.config import InceptionResnetV2Config
from mgn_ma.extractors.inception_resnet_v2.network import (
    INPUT_SIZE,
    RESIZE_SHORTER,
    WIDTH,
    fold_batch_norms,
    load_network,
    preprocess,
)
from mgn_ma.extractors.reading import decoder_threads, grid_rows, path_and_duration
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.geometry import FrameGeometry, Image
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

GEOMETRY = FrameGeometry(
    kind="shorter_side_centre_crop", size=INPUT_SIZE, resize_shorter=RESIZE_SHORTER, interpolation="bicubic"
)


class InceptionResnetV2Extractor(Extractor):
    """Frozen Inception-ResNet-v2; a row holds until the next timestamp of the grid."""

    width = WIDTH
    clock: ClassVar[Clock] = "grid"

    def __init__(self, config: InceptionResnetV2Config) -> None:
        self._device = resolve_device(config.device)
        self._dtype = dtype_of(config.precision)
        network = load_network(config.weights_needed()[0])
        fold_batch_norms(network)
        self._network = place(network, self._device, config.precision, torch.channels_last)
        self._batches = Batches(config.batch_size, self._device, "frame")

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp at which a frame is shown."""
        path, duration_us = path_and_duration(video)
        timestamps_us: list[int] = []

        def frames() -> Iterator[Image]:
            times_us = grid_timestamps_us(duration_us).tolist()
            for time_us, frame in iter_frames_at(path, times_us, GEOMETRY, threads=decoder_threads()):
                timestamps_us.append(time_us)
                yield frame

        vectors = vectors_of(frames(), self.forward, self._batches, lacking="no frame is shown at any timestamp")
        return grid_rows(np.array(timestamps_us, dtype=np.int64), vectors)

    def forward(self, frames: Sequence[Image]) -> torch.Tensor:
        """B frames (299, 299, 3) uint8 RGB to (B, 1536)."""
        batch = torch.from_numpy(np.stack(frames)).to(self._device, non_blocking=True)
        with torch.inference_mode():
            vectors: torch.Tensor = self._network(preprocess(batch, self._dtype))
        return vectors

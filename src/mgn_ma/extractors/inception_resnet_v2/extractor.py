"""One Inception-ResNet-v2 vector for the image shown at each timestamp of the 6 Hz grid (paper, section 2.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, TrackRows
from mgn_ma.extractors.batching import Batches, extract_in_batches
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
from mgn_ma.extractors.reading import Unit
from mgn_ma.grid import grid_time, grid_timestamps_us
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.probe import probe
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

GEOMETRY = FrameGeometry(
    kind="shorter_side_centre_crop", size=INPUT_SIZE, resize_shorter=RESIZE_SHORTER, interpolation="bicubic"
)


class InceptionResnetV2Extractor(Extractor):
    """Frozen Inception-ResNet-v2; a row holds until the next timestamp of the grid.

    Args:
        config: its settings; the weights are loaded here.

    Raises:
        WeightsError: if the weights are absent or don't fit.
        ValueError: if the device isn't there.
    """

    width = WIDTH
    clock: ClassVar[Clock] = "grid"

    def __init__(self, config: InceptionResnetV2Config) -> None:
        self._device = resolve_device(config.device)
        self._dtype = dtype_of(config.precision)
        self._readers = config.readers
        network = load_network(config.weights_needed()[0])
        fold_batch_norms(network)
        self._network = place(network, self._device, config.precision, torch.channels_last)
        self._batches = Batches(self.forward, config.batch_size, self._device)

    def extract(self, videos: Iterable[VideoSource]) -> Iterator[tuple[VideoSource, TrackRows | ExtractionError]]:
        """See :meth:`Extractor.extract`."""
        return extract_in_batches(videos, self._read, self._batches, readers=self._readers)

    def forward(self, frames: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
        """B frames (299, 299, 3) uint8 RGB to (B, 1536)."""
        batch = torch.from_numpy(np.stack(frames)).to(self._device, non_blocking=True)
        with torch.inference_mode():
            vectors: torch.Tensor = self._network(preprocess(batch, self._dtype))
        return vectors

    def _read(self, video: VideoSource) -> Iterator[Unit]:
        if video.video_path is None:
            raise ExtractionError("there is no video file")
        duration_us = video.duration_us if video.duration_us is not None else probe(video.video_path).duration_us
        starts_us = grid_timestamps_us(duration_us)
        next_us = grid_time(np.arange(1, len(starts_us) + 1, dtype=np.int64))
        ends_us = dict(zip(starts_us.tolist(), next_us.tolist(), strict=True))
        # Torch was told how many cores this worker has; each reader decodes with its share of them.
        threads = max(1, torch.get_num_threads() // self._readers)
        for start_us, frame in iter_frames_at(video.video_path, starts_us.tolist(), GEOMETRY, threads=threads):
            yield Unit(start_us, ends_us[start_us], frame)

"""An image vector without a network: colour, luminance, edges and layout of the frame shown at each 6 Hz timestamp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, ExtractorConfig, Source, TrackRows
from mgn_ma.extractors.descriptors.statistics import AnyFloats, Floats, cell_means, histograms
from mgn_ma.extractors.reading import decoder_threads, grid_rows, path_and_duration
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

CELLS = 3
COLOUR_LEVELS = 4
ORIENTATIONS = 8
PERCENTILES = (5, 25, 50, 75, 95)
CHUNK = 64

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class ImageDescriptorConfig(ExtractorConfig):
    """Settings of :class:`ImageDescriptorExtractor`.

    Attributes:
        size: longer side, in pixels, of the picture that is described.
    """

    source: ClassVar[Source] = "video"

    name: Literal["image_descriptor"] = "image_descriptor"
    size: int = Field(default=64, ge=16, le=512)


class ImageDescriptorExtractor(Extractor):
    """Statistics of colour, luminance, edges and layout, (N, 132), all of them about 0 to 1.

    - 64: square root of the joint histogram of 4 x 4 x 4 colours;
    - 6: mean and deviation of red, green and blue; 5: percentiles of luminance; 2: mean and deviation of saturation;
    - 8: share of each edge orientation, 2: mean and deviation of edge strength;
    - 45: mean colour, deviation of luminance and mean edge strength in each cell of a 3 x 3 grid.
    """

    width = COLOUR_LEVELS**3 + 6 + len(PERCENTILES) + 2 + ORIENTATIONS + 2 + CELLS * CELLS * 5
    clock: ClassVar[Clock] = "grid"

    def __init__(self, config: ImageDescriptorConfig) -> None:
        self._geometry = FrameGeometry(kind="fit", size=config.size, interpolation="area")

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp at which a frame is shown."""
        path, duration_us = path_and_duration(video)
        times = grid_timestamps_us(duration_us).tolist()
        shown = iter_frames_at(path, times, self._geometry, threads=decoder_threads())
        timestamps, vectors = [], []
        for times, frames in _chunks(shown):
            timestamps.extend(times)
            vectors.append(describe(frames))
        if not timestamps:
            raise ExtractionError("no frame is shown at any timestamp")
        return grid_rows(np.array(timestamps, dtype=np.int64), np.concatenate(vectors))


def _chunks(
    shown: Iterator[tuple[int, npt.NDArray[np.uint8]]],
) -> Iterator[tuple[list[int], npt.NDArray[np.uint8]]]:
    """Stack frames of one shape; a video may change its size on the way."""
    times: list[int] = []
    frames: list[npt.NDArray[np.uint8]] = []
    for time_us, frame in shown:
        if frames and (len(frames) == CHUNK or frame.shape != frames[0].shape):
            yield times, np.stack(frames)
            times, frames = [], []
        times.append(time_us)
        frames.append(frame)
    if frames:
        yield times, np.stack(frames)


def describe(frames: npt.NDArray[np.uint8]) -> Floats:
    """(B, H, W, 3) uint8 RGB to (B, 132) float32."""
    rgb = frames.astype(np.float32) / np.float32(255)
    luma = rgb @ _LUMA
    pixels = luma.reshape(len(luma), -1)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    brightest, darkest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    saturation = (brightest - darkest).reshape(len(luma), -1)
    orientations, strength = _edges(luma)
    cell_luma = cell_means(luma[..., None], CELLS)
    cell_deviation = np.sqrt(np.maximum(cell_means(luma[..., None] ** 2, CELLS) - cell_luma**2, 0.0))
    parts = [
        _colour_histogram(frames),
        *(rgb.mean(axis=(1, 2)), rgb.std(axis=(1, 2))),
        np.percentile(pixels, PERCENTILES, axis=1).T,
        *(saturation.mean(axis=1, keepdims=True), saturation.std(axis=1, keepdims=True)),
        *(orientations, strength.mean(axis=(1, 2))[:, None], strength.std(axis=(1, 2))[:, None]),
        *(cell_means(rgb, CELLS), cell_deviation, cell_means(strength[..., None], CELLS)),
    ]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _colour_histogram(frames: npt.NDArray[np.uint8]) -> AnyFloats:
    """Square roots of the shares of 64 colours: differences of small shares count, too."""
    levels = (frames // (256 // COLOUR_LEVELS)).astype(np.int64)
    colours = (levels[..., 0] * COLOUR_LEVELS + levels[..., 1]) * COLOUR_LEVELS + levels[..., 2]
    shares: AnyFloats = np.sqrt(histograms(colours, COLOUR_LEVELS**3) / colours[0].size)
    return shares


def _edges(luma: AnyFloats) -> tuple[AnyFloats, AnyFloats]:
    """Shares of the edge orientations, (B, 8), and the strength of edges, (B, H, W)."""
    rows, columns = np.gradient(luma, axis=(1, 2))
    strength = np.hypot(rows, columns)
    # An edge and its negative have one orientation: angles modulo half a turn.
    angle = np.mod(np.arctan2(rows, columns), np.pi)
    bins = np.minimum((angle * (ORIENTATIONS / np.pi)).astype(np.int64), ORIENTATIONS - 1)
    shares = histograms(bins, ORIENTATIONS, strength)
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-6), strength

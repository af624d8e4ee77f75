"""An action vector without a network: how the picture moves in the 32 frames at 10 fps around each 6 Hz timestamp.

It is the clip of the paper's section 2.1.2. Windows overlap almost wholly, so what happens between two steps is
computed once, and every window that holds it takes it from cumulative sums. Nothing in it tells how a picture looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from mgn_ma.extractors.base import Clock, ExtractionError, Extractor, ExtractorConfig, Source, TrackRows
from mgn_ma.extractors.descriptors.motion import BLOCKS, N_GLOBAL, N_MOTION, motion
from mgn_ma.extractors.descriptors.statistics import Floats
from mgn_ma.extractors.reading import decoder_threads, grid_rows, path_and_duration
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.media.geometry import FrameGeometry
from mgn_ma.media.source import VideoSource
from mgn_ma.media.video import iter_frames_at

FRAMES = 32
STEP_US = 100_000
PARTS = (0, 10, 21, FRAMES - 1)
"""Bounds of the thirds of a clip, in transitions."""
CHUNK = 128

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32) / np.float32(255)


class ActionDescriptorConfig(ExtractorConfig):
    """Settings of :class:`ActionDescriptorExtractor`.

    Attributes:
        size: longer side, in pixels, of the pictures that are compared.
    """

    source: ClassVar[Source] = "video"
    VERSION: ClassVar[int] = 2

    name: Literal["action_descriptor"] = "action_descriptor"
    size: int = Field(default=64, ge=16, le=512)


class ActionDescriptorExtractor(Extractor):
    """Statistics of motion over a clip, (N, 160).

    Of what concerns the whole picture (16 numbers a step) mean and deviation over the clip, and the mean over its
    first, second and last third, which tells what comes before what; of each of 16 blocks its mean difference and the
    deviation of that, its mean flow, and the share of the flow that does not cancel out: travel, and not trembling.
    """

    width = N_GLOBAL * (2 + 3) + BLOCKS * BLOCKS * 4 + BLOCKS * BLOCKS
    clock: ClassVar[Clock] = "grid"

    def __init__(self, config: ActionDescriptorConfig) -> None:
        self._geometry = FrameGeometry(kind="fit", size=config.size, interpolation="area")

    def extract(self, video: VideoSource) -> TrackRows:
        """One row for each grid timestamp within the steps that have a frame."""
        path, duration_us = path_and_duration(video)
        # The last window wants frames from up to 1.6 s after the last timestamp; those that exist are decoded.
        steps_us = np.arange(0, duration_us, STEP_US)
        shown = iter_frames_at(path, steps_us.tolist(), self._geometry, threads=decoder_threads())
        n_steps, transitions = _transitions(shown)
        if n_steps == 0:
            raise ExtractionError("no frame is shown at any timestamp")
        timestamps = grid_timestamps_us(min(duration_us, n_steps * STEP_US))
        return grid_rows(timestamps, windows(transitions, timestamps))


def _transitions(shown: Iterator[tuple[int, npt.NDArray[np.uint8]]]) -> tuple[int, Floats]:
    """Number of steps S, and (S - 1, 64) motion between them; only a run of pictures is held at a time."""
    n_steps = 0
    run: list[Floats] = []
    moved = [np.zeros((0, N_MOTION), dtype=np.float32)]
    for _, frame in shown:
        n_steps += 1
        luma = frame @ _LUMA
        if run and luma.shape != run[0].shape:
            # Of the step at which a video changes its size nothing can be said: as if nothing had moved.
            moved += [motion(np.stack(run)), np.zeros((1, N_MOTION), dtype=np.float32)]
            run = []
        run.append(luma)
        if len(run) == CHUNK:
            moved.append(motion(np.stack(run)))
            run = run[-1:]
    if run:
        moved.append(motion(np.stack(run)))
    return n_steps, np.concatenate(moved)


def windows(steps: Floats, timestamps_us: npt.NDArray[np.int64]) -> Floats:
    """Aggregate transitions over the clip around each timestamp.

    Args:
        steps: (S - 1, 64), what happens from step k to k + 1.
        timestamps_us: (N,).

    Returns:
        (N, 160). A clip is the 32 steps centred on the timestamp; beyond the ends the edge frame is repeated, where
        nothing moves.
    """
    sums = _cumulative(steps)
    squares = _cumulative(steps**2)
    lengths = _cumulative(np.hypot(*_flow(steps)))
    # 32 frames, the 17th of which is the step nearest to the timestamp, and the 31 transitions between them.
    first = (timestamps_us + STEP_US // 2) // STEP_US - FRAMES // 2
    bounds = first[:, None] + np.array(PARTS)
    n = FRAMES - 1
    mean = _between(sums, bounds[:, 0], bounds[:, -1]) / n
    deviation = np.sqrt(np.maximum(_between(squares, bounds[:, 0], bounds[:, -1]) / n - mean**2, 0.0))
    thirds = [
        _between(sums, bounds[:, i], bounds[:, i + 1])[:, :N_GLOBAL] / (PARTS[i + 1] - PARTS[i]) for i in range(3)
    ]
    n_blocks = BLOCKS * BLOCKS
    changes = slice(N_GLOBAL, N_GLOBAL + n_blocks)
    net = np.hypot(*_flow(mean))
    gross = _between(lengths, bounds[:, 0], bounds[:, -1]) / n
    travel = net / np.maximum(gross, 1e-4)
    parts = [mean, deviation[:, :N_GLOBAL], *thirds, deviation[:, changes], travel]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _flow(steps: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """(right, down) of every block, each (…, 16)."""
    flow = steps[:, N_GLOBAL + BLOCKS * BLOCKS : N_MOTION].reshape(len(steps), BLOCKS * BLOCKS, 2)
    return flow[..., 0], flow[..., 1]


def _cumulative(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Sums of the first k rows for k = 0 … S - 1, in float64: a difference of two must not lose digits."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    return sums


def _between(
    sums: npt.NDArray[np.float64], start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Sums over rows start … stop - 1, where rows beyond either end are zero."""
    last = len(sums) - 1
    between: npt.NDArray[np.float64] = sums[np.clip(stop, 0, last)] - sums[np.clip(start, 0, last)]
    return between

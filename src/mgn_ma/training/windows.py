"""Which ranges of its frames a video is read in, by a network that looks along time.

Training reads windows that begin elsewhere in every epoch, or whole videos. Prediction has one way for validation, for
a split and for a new video, so that a frame's value depends on its video's frames alone: windows on a fixed grid, with
as much context around the frames that are kept as the network looks at (`TemporalConfig.context_steps`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mgn_ma.grid import frames_before
from mgn_ma.models.config import TemporalConfig
from mgn_ma.models.sequences import Sequences
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.order import Frames, ranges

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """S ranges of frames, none empty, each within one video.

    Attributes:
        starts: (S,) first frame of each; ``ends`` (S,) that after the last.
        kept_starts: (S,) and ``kept_ends``, the frames that it is read for; what else it has is context.
    """

    starts: Integers
    ends: Integers
    kept_starts: Integers
    kept_ends: Integers

    @property
    def frames(self) -> Frames:
        """(N,) the frames of all windows, one window after the other."""
        return ranges(self.starts, self.ends)

    @property
    def offsets(self) -> Integers:
        """(S + 1,) where each window begins among them, then N."""
        return np.append(0, np.cumsum(self.ends - self.starts))

    @property
    def kept(self) -> Integers:
        """Which of the N are kept, as positions."""
        first = self.offsets[:-1] - self.starts
        return ranges(first + self.kept_starts, first + self.kept_ends)

    def sequences(self, timestamps_us: Integers, device: torch.device) -> Sequences:
        """How the frames stand in time; ``timestamps_us`` (F,) of all of them."""
        return Sequences.from_steps(self.offsets, frames_before(np.asarray(timestamps_us[self.frames])), device)

    def chosen(self, which: Integers) -> Windows:
        """Some of them."""
        return Windows(self.starts[which], self.ends[which], self.kept_starts[which], self.kept_ends[which])


def prediction_windows(
    config: TemporalConfig, timestamps_us: Integers, offsets: Integers, batch_frames: int = 4096
) -> list[Windows]:
    """Windows that keep every frame once, in their order, in groups of about ``batch_frames``.

    Args:
        config: of the network.
        timestamps_us: (F,) of the frames.
        offsets: (V + 1,) first frame of every video, then F.
        batch_frames: how many frames go through the network at once.

    Raises:
        TrainingError: a video has two frames at one step of the grid.
    """
    if config.kind == "none":
        starts = np.arange(0, offsets[-1], batch_frames)
        ends = np.minimum(starts + batch_frames, offsets[-1])
        whole = Windows(starts, ends, starts, ends)
        return [whole.chosen(np.array([number])) for number in range(len(starts))]
    stride = config.stride_steps or batch_frames
    before, after = config.context_steps
    found: list[list[Integers]] = [[], [], [], []]
    for start, stop in pairwise(offsets.tolist()):
        steps = grid_steps(timestamps_us[start:stop])
        first = np.unique(steps // stride) * stride
        limits = (first - before, first + stride + after, first, first + stride)
        for positions, limit in zip(found, limits, strict=True):
            positions.append(start + np.searchsorted(steps, limit))
    windows = Windows(*(np.concatenate(positions) for positions in found))
    return [windows.chosen(group) for group in _groups(windows.ends - windows.starts, batch_frames)]


class TrainingWindows:
    """Epochs of windows of the videos that have any frame to train on, each frame once an epoch.

    They depend on ``seed`` and the epoch's number alone, so that training resumes anywhere.

    Args:
        timestamps_us: (F,) of the frames.
        offsets: (V + 1,) first frame of every video, then F.
        trained_on: (F,) bool, the frames that the loss counts; the others are input only.
        window_steps: how long a window is; ``None``: as long as its video.
        batch_frames: how many frames a batch has at least, and ``batch_windows``, how many windows.
        whole_videos: let all windows of a video go into one batch, which then counts videos.
        seed: of the cuts and of their order.

    Raises:
        TrainingError: a video has two frames at one step of the grid.
    """

    def __init__(
        self,
        timestamps_us: Integers,
        offsets: Integers,
        trained_on: npt.NDArray[np.bool_],
        *,
        window_steps: int | None,
        batch_frames: int,
        batch_windows: int,
        whole_videos: bool,
        seed: int,
    ) -> None:
        self._steps = np.concatenate([grid_steps(timestamps_us[a:b]) for a, b in pairwise(offsets.tolist())])
        self._offsets = offsets
        self._trained_on = trained_on
        self._window_steps = window_steps
        self._batch = batch_frames, batch_windows
        self._whole_videos = whole_videos
        self._seed = seed

    def epoch(self, number: int) -> list[Windows]:
        """A batch each, shuffled for the epoch ``number``."""
        random = np.random.default_rng([self._seed, number])
        starts = self._cuts(random)
        ends = np.append(starts[1:], self._offsets[-1])
        windows = Windows(starts, ends, starts, ends)
        windows = windows.chosen(np.flatnonzero(np.add.reduceat(self._trained_on, starts, dtype=np.int64)))
        units = np.arange(len(windows.starts))
        if self._whole_videos:
            videos = np.searchsorted(self._offsets, windows.starts, side="right")
            _, units = np.unique(videos, return_inverse=True)
        order = random.permutation(int(units[-1]) + 1)
        lengths = np.bincount(units, windows.ends - windows.starts).astype(np.int64)
        group_of_unit = np.empty_like(order)
        for number, group in enumerate(_groups(lengths[order], *self._batch)):
            group_of_unit[order[group]] = number
        group_of_window = group_of_unit[units]
        # In a batch windows ascend, so that those of a video are neighbours.
        by_group = np.argsort(group_of_window, kind="stable")
        return [windows.chosen(some) for some in np.split(by_group, np.cumsum(np.bincount(group_of_window))[:-1])]

    def _cuts(self, random: np.random.Generator) -> Integers:
        if self._window_steps is None:
            return self._offsets[:-1]
        lengths = np.diff(self._offsets)
        shifts = random.integers(self._window_steps, size=len(lengths))
        cells = (self._steps + np.repeat(shifts, lengths)) // self._window_steps
        is_first = np.append(True, np.diff(cells) != 0)
        is_first[self._offsets[:-1]] = True
        return np.flatnonzero(is_first)


def grid_steps(timestamps_us: npt.NDArray[np.integer[Any]]) -> Integers:
    """The step of the 6 Hz grid that each of a video's frames (n,) stands at.

    Raises:
        TrainingError: two stand at one.
    """
    steps = frames_before(np.asarray(timestamps_us, dtype=np.int64))
    if np.any(np.diff(steps) < 1):
        row = int(np.argmax(np.diff(steps) < 1))
        raise TrainingError(
            f"a network that looks along time needs frames on the 6 Hz grid: those at {timestamps_us[row]} and "
            f"{timestamps_us[row + 1]} us are less than a step apart"
        )
    return steps


def _groups(lengths: Integers, least_total: int, least_number: int = 1) -> list[Integers]:
    """Positions of neighbours, in groups as large as asked, together and in number; the rest joins the last."""
    groups, first, total = [], 0, 0
    for position, length in enumerate(lengths.tolist(), start=1):
        total += length
        if total >= least_total and position - first >= least_number:
            groups.append(np.arange(first, position))
            first, total = position, 0
    rest = np.arange(first, len(lengths))
    if not groups:
        return [rest]
    groups[-1] = np.append(groups[-1], rest)
    return groups

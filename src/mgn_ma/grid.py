"""The 6 Hz grid on which EEV is annotated and videos are predicted: 0, 166666, 333333, 500000, … microseconds.

All of it is whole numbers, rounded down as in the data set. The functions take a number or an array of numbers.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

RATE_HZ = 6

IntegerT = TypeVar("IntegerT", int, npt.NDArray[np.int64])


def grid_time(index: IntegerT, ticks_per_second: int = 1_000_000) -> IntegerT:
    """When the frame number ``index`` is shown, in microseconds or in another unit, rounded down."""
    return index * ticks_per_second // RATE_HZ


def frames_before(end: IntegerT, ticks_per_second: int = 1_000_000) -> IntegerT:
    """How many frames lie in 0 <= t < ``end``, which is the number of the first frame that is not before ``end``."""
    # A frame's exact time is before a whole `end` exactly if the time rounded down is.
    return -(-end * RATE_HZ // ticks_per_second)


def grid_timestamps_us(duration_us: int) -> npt.NDArray[np.int64]:
    """(N,) int64 microseconds of the frames that lie in 0 <= t < ``duration_us``."""
    return grid_time(np.arange(frames_before(duration_us), dtype=np.int64))

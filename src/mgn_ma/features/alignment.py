"""Which row of a track serves a labelled frame: the one that holds at its time, else the nearest close enough."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


def locate(timestamps_us: Times, ends_us: Times, query_us: Times, tolerance_us: int) -> npt.NDArray[np.int64]:
    """Point every query time into the rows of a track.

    A row holds for ``timestamps_us <= t < ends_us``. Where several rows hold, the latest-starting one serves (of
    those that start together, the last); where none does, the row whose last or first microsecond is nearest to t, the
    earlier row on a tie, if it is no further than the tolerance.

    Args:
        timestamps_us: (N,) ascending starts; N may be 0.
        ends_us: (N,) ends, each after its start, in any order.
        query_us: (Q,) times in any order.
        tolerance_us: how far from a row a time may be and still be served by it; 0 for rows that hold only.

    Returns:
        (Q,) row numbers, -1 where no row serves.

    Raises:
        ValueError: the tolerance is negative.
    """
    if tolerance_us < 0:
        raise ValueError(f"a tolerance can't be negative: {tolerance_us}")
    query = np.asarray(query_us, dtype=np.int64)
    n_rows = len(timestamps_us)
    if n_rows == 0:
        return np.full(query.shape, -1, dtype=np.int64)
    last_started = np.searchsorted(timestamps_us, query, side="right") - 1
    rows = _latest_holding(ends_us, last_started, query)
    absent = np.flatnonzero(rows < 0)
    if tolerance_us > 0 and len(absent):
        rows[absent] = _nearest(timestamps_us, ends_us, last_started[absent], query[absent], tolerance_us)
    return rows


def _latest_holding(ends_us: Times, last_started: Times, query: Times) -> Times:
    """Walk left from the last row that has started, over rows that have ended, by powers of two.

    ``furthest[k][i]`` is the latest end among the 2**k rows up to i, so a whole block that has ended is one step:
    O(log N) vectorised steps whatever the overlaps.
    """
    rows = last_started.copy()
    if not np.any(np.diff(ends_us) < 0):  # no row outlives a later one: the last that has started holds, or none does
        rows[(rows >= 0) & (ends_us[rows] <= query)] = -1
        return rows
    furthest = [ends_us]
    while 2 ** len(furthest) <= len(ends_us):
        half = 2 ** (len(furthest) - 1)
        block = furthest[-1].copy()
        block[half:] = np.maximum(block[half:], furthest[-1][:-half])
        furthest.append(block)
    for k in reversed(range(len(furthest))):
        ended = (rows >= 0) & (furthest[k][rows] <= query)
        rows[ended] -= 2**k
    rows[rows < 0] = -1
    return rows


def _nearest(starts: Times, ends_us: Times, last_started: Times, query: Times, tolerance_us: int) -> Times:
    """Row next to each query, where no row holds: the one that ended last before it or the first to start after it."""
    n_rows = len(starts)
    latest_end = np.maximum.accumulate(ends_us)
    is_new = np.concatenate([[True], ends_us[1:] >= latest_end[:-1]])
    ended_last = np.maximum.accumulate(np.where(is_new, np.arange(n_rows), 0))
    far = np.int64(tolerance_us) + 1
    has_left, has_right = last_started >= 0, last_started + 1 < n_rows
    left = ended_last[np.maximum(last_started, 0)]
    right = np.minimum(last_started + 1, n_rows - 1)
    # A row's last microsecond is the one before its end.
    to_left = np.where(has_left, query - (ends_us[left] - 1), far)
    to_right = np.where(has_right, starts[right] - query, far)
    rows = np.where(to_left <= to_right, left, right)
    return np.where(np.minimum(to_left, to_right) <= tolerance_us, rows, -1)

"""Windows of a stream that may overlap: of sound, by samples, and of frames.

Rows at a hop: row i holds for ``i * hop_us <= t < (i + 1) * hop_us``, and its window is centred on the middle of that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.base import TrackRows

Samples = npt.NDArray[np.float32]
T = TypeVar("T")

_TWICE_A_SECOND_US = 2_000_000


def hop_rows(vectors: npt.NDArray[np.floating[Any]], hop_us: int) -> TrackRows:
    """Rows that follow each other at a hop from t = 0 on."""
    starts_us = np.arange(len(vectors), dtype=np.int64) * hop_us
    return TrackRows(starts_us, starts_us + hop_us, vectors)


def sample_windows(blocks: Iterable[Samples], length: int, starts: Iterable[int]) -> Iterator[Samples]:
    """The windows of a stream of samples that start at the samples named, whatever the lengths of its blocks.

    Args:
        blocks: consecutive samples.
        length: of a window.
        starts: ascending, maybe endless.

    Yields:
        (length,) samples; what would reach beyond the last sample is dropped.
    """
    remaining = iter(blocks)
    waiting: list[Samples] = []
    n_waiting = first = 0
    for start in starts:
        while first + n_waiting < start + length:
            block = next(remaining, None)
            if block is None:
                return
            waiting.append(block)
            n_waiting += len(block)
        samples = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        samples = samples[start - first :]
        yield samples[:length]
        waiting, n_waiting, first = [samples], len(samples), start


def centred_windows(blocks: Iterable[Samples], rate: int, window_us: int, hop_us: int) -> Iterator[Samples]:
    """The window of each row at a hop that begins before the sound ends; silence stands in beyond both ends.

    Each window starts at the last sample that is not after its own start, so that no rounding adds up.

    Args:
        blocks: consecutive mono samples.
        rate: samples a second.
        window_us: of sound, for one row.
        hop_us: from one row to the next.

    Yields:
        (window_us * rate / 10^6,) float32.
    """
    length = window_us * rate * 2 // _TWICE_A_SECOND_US
    lead = max(0, -((hop_us - window_us) * rate // _TWICE_A_SECOND_US))
    n_samples = 0

    def padded() -> Iterator[Samples]:
        nonlocal n_samples
        yield np.zeros(lead, np.float32)
        for block in blocks:
            n_samples += len(block)
            yield block
        yield np.zeros(length + hop_us * rate // 1_000_000 + 1, np.float32)

    starts = (lead + (2 * row * hop_us + hop_us - window_us) * rate // _TWICE_A_SECOND_US for row in count())
    for row, window in enumerate(sample_windows(padded(), length, starts)):
        if row * hop_us * rate >= n_samples * 1_000_000:
            return
        yield window


def clips(frames: Iterator[T], length: int, starts: Iterable[int]) -> Iterator[list[T]]:
    """The clips of a stream of frames that start at the frames named; one that lacks a frame is dropped.

    Args:
        frames: read once.
        length: of a clip.
        starts: ascending, maybe endless.
    """
    held: deque[T] = deque()
    first = 0
    for start in starts:
        while first + len(held) < start + length:
            try:
                held.append(next(frames))
            except StopIteration:
                return
            if first < start:
                held.popleft()
                first += 1
        while first < start:
            held.popleft()
            first += 1
        yield list(held)[:length]

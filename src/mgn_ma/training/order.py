"""In which order an epoch visits the frames: a full shuffle, or shuffled blocks where random reads are slow.

**Full** is a uniform permutation. **Blocks** is for matrices beyond the page cache, where a random row costs a disk
access: runs of ``block_frames`` neighbours, one read each, are permuted over the whole split; windows of
``window_frames`` of them are read, and shuffled again in memory. Each frame still comes once an epoch, and the cuts
between the blocks move from epoch to epoch.

What is lost is that a frame meets its neighbours in a batch more often than by chance. By how much the variance of a
batch's mean grows, at most, follows from cluster sampling::

    1 + batch_size (block_frames - 1) / window_frames

which is 1.08 for blocks of 8 in windows of 131,072 and the paper's batches of 1,536. The bound assumes neighbours that
are equal; where they differ it is less.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.int64]


def block_windows(
    frames: Frames, random: np.random.Generator, *, block_frames: int, window_frames: int
) -> Iterator[tuple[Frames, Frames]]:
    """Cut ascending ``frames`` into windows of randomly chosen blocks.

    Yields:
        The frames of a window in ascending order, which is how they are read, and the order in which they are visited,
        as positions in the former. Windows hold ``window_frames`` frames, the last one what is left.
    """
    if len(frames) == 0:
        return
    # A moving first cut, lest the same neighbours travel together in every epoch.
    first = int(random.integers(1, block_frames + 1))
    starts = np.concatenate([[0], np.arange(first, len(frames), block_frames)])
    ends = np.append(starts[1:], len(frames))
    blocks = random.permutation(len(starts))
    per_window = max(1, window_frames // block_frames)
    for position in range(0, len(blocks), per_window):
        chosen = np.sort(blocks[position : position + per_window])
        window = frames[ranges(starts[chosen], ends[chosen])]
        yield window, random.permutation(len(window))


def batch_sizes(n_frames: int, batch_size: int) -> list[int]:
    """Sizes of an epoch's batches: full ones and a rest, which joins the last full one if it is a single frame.

    Batch norm has no variance of a single frame.
    """
    n_full, rest = divmod(n_frames, batch_size)
    sizes = [batch_size] * n_full
    if rest == 1 and sizes:
        sizes[-1] += 1
    elif rest:
        sizes.append(rest)
    return sizes


def ranges(starts: Frames, ends: Frames) -> Frames:
    """Concatenation of ``arange(start, end)`` for every pair."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    joined: Frames = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return joined

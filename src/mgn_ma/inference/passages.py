"""Which passages two cuts of a video share, and which only one of them has, told from their pictures.

A cut removes and inserts: what both cuts have runs at the same speed in both. So a shared passage is a *run* of pairs
(i, j), (i + 1, j + 1), … of pictures, and runs follow one another in both cuts. Of all sequences of runs the best is
taken: a pair gains the more, the more alike its pictures are, and loses where they are not; a run costs a fixed price,
which keeps chance likenesses out; what is skipped costs nothing. The best one is found exactly, by dynamic programming
over all pairs, as in the alignment of sequences (Needleman and Wunsch 1970; Smith and Waterman 1981), with a price for
each run in place of one for each gap (Gotoh 1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mgn_ma.media.pictures import MOST_PICTURES, PictureTrack

Pictures = npt.NDArray[np.uint8]

SHORTEST_S = 0.5
"""What a shared passage costs, in seconds of equal pictures: a shorter one is not told from chance."""

DIFFERENT = 0.5
"""Distance from which on two pictures lose: the root mean square over the pixels, each picture with its mean taken
away and divided by its deviation. It is that of pictures that correlate by 0.875."""
_LEAST_DEVIATION = 5.0
"""Of 255. A plainer picture is divided by this, so that its noise is not taken for a picture."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of both cuts, or of one: then it is empty, start and end at one time, in the other.

    Attributes:
        a_start_us: microseconds in A; the end is outside.
        b_start_us: likewise in B. A stretch of both runs at one speed, ``b_start_us - a_start_us`` apart.
    """

    a_start_us: int
    a_end_us: int
    b_start_us: int
    b_end_us: int

    @property
    def is_shared(self) -> bool:
        """Whether both cuts have it."""
        return self.a_start_us < self.a_end_us and self.b_start_us < self.b_end_us


def find_passages(a: PictureTrack, b: PictureTrack, a_us: int, b_us: int) -> tuple[list[Passage], int]:
    """All of two cuts in passages, in order, and how exact their ends are, in microseconds.

    Between shared passages what only A has comes before what only B has. The ends are exact to a picture of the slower
    of both, where the pictures around them are not alike.

    Args:
        a: pictures of A.
        b: pictures of B.
        a_us: length of A in microseconds.
        b_us: length of B.
    """
    rate_hz = min(max(a.rate_hz, b.rate_hz), MOST_PICTURES * 1e6 / max(a_us, b_us))
    of_a, of_b = a.at_rate(rate_hz), b.at_rate(rate_hz)

    def time_us(number: int, n_pictures: int, length_us: int) -> int:
        return length_us if number == n_pictures else min(round(number * 1e6 / rate_hz), length_us)

    shared = [
        Passage(
            time_us(run.a_start, len(of_a), a_us),
            time_us(run.a_start + run.length, len(of_a), a_us),
            time_us(run.b_start, len(of_b), b_us),
            time_us(run.b_start + run.length, len(of_b), b_us),
        )
        for run in shared_runs(of_a, of_b, SHORTEST_S * rate_hz)
    ]
    passages = []
    for before, after in pairwise([Passage(0, 0, 0, 0), *shared, Passage(a_us, a_us, b_us, b_us)]):
        if before.a_end_us < after.a_start_us:
            passages.append(Passage(before.a_end_us, after.a_start_us, before.b_end_us, before.b_end_us))
        if before.b_end_us < after.b_start_us:
            passages.append(Passage(after.a_start_us, after.a_start_us, before.b_end_us, after.b_start_us))
        if after.is_shared:
            passages.append(after)
    return passages, round(1e6 / min(a.rate_hz, b.rate_hz, rate_hz))


@dataclass(frozen=True, slots=True)
class Run:
    """``length`` pairs of pictures, the first of number ``a_start`` in A and ``b_start`` in B."""

    a_start: int
    b_start: int
    length: int


def shared_runs(a: Pictures, b: Pictures, shortest: float) -> list[Run]:
    """The best sequence of runs, in order; both cuts go forward in it.

    Args:
        a: (N, D) pictures of A at even times.
        b: (M, D) pictures of B, as far apart in time.
        shortest: what a run costs, in pairs of equal pictures: a shorter one never pays.

    Takes a time that grows with N x M, and N x M x 3 / 8 bytes.
    """
    gains = _Gains(a, b)
    n, m = len(a), len(b)
    continues, from_left, ends = (np.empty((n, -(-m // 8)), dtype=np.uint8) for _ in range(3))
    # Of pairs (i, j): what the best sequence is worth that ends with it; of corners: the best one before them.
    with_pair = np.full(m + 1, -np.inf)
    best = np.zeros(m + 1)
    for i in range(n):
        opened = best[:-1] - shortest
        goes_on = with_pair[:-1] >= opened
        with_pair[1:] = np.where(goes_on, with_pair[:-1], opened) + gains.of(i)
        with_pair[0] = -np.inf
        improved = with_pair[1:] > best[1:]
        here = np.where(improved, with_pair[1:], best[1:])
        best = np.concatenate(([0.0], np.maximum(np.maximum.accumulate(here), 0.0)))
        continues[i] = np.packbits(goes_on)
        from_left[i] = np.packbits(best[1:] > here)
        ends[i] = np.packbits(improved)
    return _traced(continues, from_left, ends, n, m)


def _traced(continues: Pictures, from_left: Pictures, ends: Pictures, n: int, m: int) -> list[Run]:
    def is_set(bits: Pictures, i: int, j: int) -> bool:
        return bool(bits[i, j >> 3] >> (7 - (j & 7)) & 1)

    runs: list[Run] = []
    i, j = n - 1, m - 1
    while i >= 0 and j >= 0:
        if is_set(from_left, i, j):
            j -= 1
        elif not is_set(ends, i, j):
            i -= 1
        else:
            last = i
            while is_set(continues, i, j):
                i, j = i - 1, j - 1
            runs.append(Run(i, j, last - i + 1))
            i, j = i - 1, j - 1
    return runs[::-1]


class _Gains:
    """What each pair gains: 1 for equal pictures, 0 at the distance ``DIFFERENT``, less beyond."""

    _ROWS = 256

    def __init__(self, a: Pictures, b: Pictures) -> None:
        self._a, self._b = _standardised(a), _standardised(b)
        self._squares_of_b = np.einsum("nd,nd->n", self._b, self._b)
        self._rows = np.empty((0, len(b)))
        self._first = 0

    def of(self, i: int) -> npt.NDArray[np.float64]:
        """(M,) for the picture number ``i`` of A; asked for in ascending order."""
        if i >= self._first + len(self._rows):
            part = self._a[i : i + self._ROWS]
            squares = np.einsum("nd,nd->n", part, part)[:, None] + self._squares_of_b - 2 * (part @ self._b.T)
            distances = np.sqrt(np.maximum(squares, 0.0) / part.shape[1])
            self._rows, self._first = 1.0 - distances.astype(np.float64) / DIFFERENT, i
        return np.asarray(self._rows[i - self._first])


def _standardised(pictures: Pictures) -> npt.NDArray[np.float32]:
    values = pictures.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return np.asarray(values / np.maximum(values.std(axis=1, keepdims=True), _LEAST_DEVIATION))

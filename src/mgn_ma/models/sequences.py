"""Flat rows as sequences on the 6 Hz grid, and back: the one place that pads.

Batches are flat, (N, D), with a row for every frame that there is. What looks along time needs a row for every step of
the grid, and sequences of equal length. Steps that no row stands at, in gaps of a video and at its ends, are zeros here
and not ``valid``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mgn_ma.grid import RATE_HZ

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sequences:
    """Where N rows of S sequences stand on grids of T steps.

    A grid begins with a whole second of its video and is of whole seconds, so that steps of any rate line up.

    Attributes:
        places: (N,) which of the S x T steps each row stands at.
        valid: (S, T) bool, the steps that a row stands at.
        first_steps: (S,) the number that the first step of each grid has in its video.
        lengths: (S,) steps until the last row of each sequence; on the host.
    """

    places: Tensor
    valid: Tensor
    first_steps: Tensor
    lengths: Tensor

    @classmethod
    def from_steps(cls, offsets: Integers, steps: Integers, device: torch.device | str = "cpu") -> Sequences:
        """Lay out rows that come one sequence after the other.

        Args:
            offsets: (S + 1,) the first row of every sequence, then N; none is empty.
            steps: (N,) the number of each row's step in its video, ascending in a sequence.
            device: of the rows.
        """
        of_row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        first = steps[offsets[:-1]] // RATE_HZ * RATE_HZ
        lengths = steps[offsets[1:] - 1] - first + 1
        n_steps = -(-int(lengths.max()) // RATE_HZ) * RATE_HZ
        places = of_row * n_steps + steps - first[of_row]
        valid = np.zeros(len(first) * n_steps, dtype=np.bool_)
        valid[places] = True
        return cls(
            torch.from_numpy(places.astype(np.int64)).to(device, non_blocking=True),
            torch.from_numpy(valid.reshape(len(first), n_steps)).to(device, non_blocking=True),
            torch.from_numpy(first.astype(np.int64)).to(device, non_blocking=True),
            torch.from_numpy(lengths.astype(np.int64)),
        )

    @property
    def of_rows(self) -> Tensor:
        """(N,) which sequence each row is of."""
        return self.places // self.valid.shape[1]

    @property
    def seconds(self) -> Tensor:
        """(N,) how far into its video each row is."""
        n_steps = self.valid.shape[1]
        return (self.first_steps[self.of_rows] + self.places % n_steps) / RATE_HZ

    def pad(self, x: Tensor) -> Tensor:
        """Rows ``x`` (N, D) as (S, T, D), zeros where none stands."""
        padded = x.new_zeros(self.valid.numel(), x.shape[1]).index_copy(0, self.places, x)
        return padded.view(*self.valid.shape, x.shape[1])

    def unpad(self, padded: Tensor) -> Tensor:
        """The rows (N, D) of ``padded`` (S, T, D)."""
        return padded.flatten(0, 1)[self.places]

"""Rows on their grids and back, with gaps and unequal lengths."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.models.sequences import Sequences

STEPS = st.lists(st.sets(st.integers(0, 60), min_size=1, max_size=20), min_size=1, max_size=4)


def layout(sets: list[set[int]]) -> tuple[Sequences, np.ndarray]:
    steps = np.concatenate([sorted(of_one) for of_one in sets])
    return Sequences.from_steps(np.append(0, np.cumsum([len(of_one) for of_one in sets])), steps), steps


@given(STEPS)
def test_each_row_stands_at_its_step_and_comes_back(sets: list[set[int]]) -> None:
    sequences, steps = layout(sets)
    x = torch.randn(len(steps), 3)
    padded = sequences.pad(x)
    assert padded.shape[1] % 6 == 0
    row = 0
    for number, of_one in enumerate(sets):
        first = min(of_one) // 6 * 6
        assert sequences.first_steps[number] == first
        assert sequences.lengths[number] == max(of_one) - first + 1
        for step in range(padded.shape[1]):
            there = first + step in of_one
            assert sequences.valid[number, step] == there
            assert torch.equal(padded[number, step], x[row] if there else torch.zeros(3))
            row += there
    assert torch.equal(sequences.unpad(padded), x)
    np.testing.assert_allclose(sequences.seconds.numpy(), steps / 6, rtol=1e-6)
    assert torch.equal(sequences.of_rows, torch.from_numpy(np.repeat(np.arange(len(sets)), [len(s) for s in sets])))

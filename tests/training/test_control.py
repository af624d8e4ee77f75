"""The exchange of labels between videos."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.training.control import shuffled_label_rows
from mgn_ma.training.errors import TrainingError


@given(lengths=st.lists(st.integers(1, 30), min_size=2, max_size=12), seed=st.integers(0, 20))
def test_every_video_gets_the_labels_of_one_other_in_their_order(lengths: list[int], seed: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = shuffled_label_rows(offsets, seed)
    assert len(rows) == offsets[-1]
    donors = []
    for video in range(len(lengths)):
        given_rows = rows[offsets[video] : offsets[video + 1]]
        (donor,) = set((np.searchsorted(offsets, given_rows, side="right") - 1).tolist())
        assert donor != video
        donors.append(donor)
        position = given_rows - offsets[donor]
        assert np.all(np.diff(position) % lengths[donor] == 1 % lengths[donor])
    assert sorted(donors) == list(range(len(lengths)))


def test_depends_on_the_seed_alone() -> None:
    offsets = np.array([0, 10, 25, 40, 44])
    assert np.array_equal(shuffled_label_rows(offsets, 1), shuffled_label_rows(offsets, 1))
    assert not np.array_equal(shuffled_label_rows(offsets, 1), shuffled_label_rows(offsets, 2))


def test_one_video_has_nobody_to_exchange_with() -> None:
    with pytest.raises(TrainingError, match="only one"):
        shuffled_label_rows(np.array([0, 10]), 0)

"""Validation videos that are held out: whole ones, by share and seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgn_ma.eev.holdout import carve_holdout


def table(n_videos: int, n_frames: int = 3) -> pd.DataFrame:
    ids = np.repeat([f"v{number}" for number in range(n_videos)], n_frames)
    return pd.DataFrame({"video_id": ids, "timestamp_us": np.tile(np.arange(n_frames), n_videos)})


@given(st.integers(0, 40), st.floats(0, 1, exclude_max=True), st.integers(0, 5))
def test_every_frame_goes_to_one_of_both_and_videos_stay_whole(n_videos: int, share: float, seed: int) -> None:
    labels = table(n_videos)
    validation, holdout = carve_holdout(labels, share, seed)
    assert holdout["video_id"].nunique() == int(share * n_videos)
    assert not set(validation["video_id"]) & set(holdout["video_id"])
    both = pd.concat([validation, holdout]).sort_values(["video_id", "timestamp_us"])
    pd.testing.assert_frame_equal(
        both.reset_index(drop=True),
        labels.sort_values(["video_id", "timestamp_us"]).reset_index(drop=True),
    )


def test_the_seed_draws_the_videos() -> None:
    labels = table(30)
    drawn = [tuple(carve_holdout(labels, 0.3, seed)[1]["video_id"].unique()) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(("n_videos", "share"), [(1, 0.9), (8, 0.0), (3, 0.3)])
def test_what_is_less_than_a_video_is_none(n_videos: int, share: float) -> None:
    validation, holdout = carve_holdout(table(n_videos), share, 0)
    assert holdout.empty and list(holdout) == list(validation)
    assert validation["video_id"].nunique() == n_videos

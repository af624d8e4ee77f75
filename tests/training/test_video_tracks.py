"""Video vectors of every kind and seed: who made them, how they are named, and that they pack as tracks do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US
from mgn_ma.training.config import VideoLevelSettings
from mgn_ma.training.packing import PackPlan, pack
from mgn_ma.training.video_level import FULL, embed, labelled_videos, train_networks
from mgn_ma.training.video_tracks import IN_SAMPLE, UNALIGNED, read_with_seed, vector_tracks, vectors_of_kinds

Plans = Callable[..., PackPlan]
SETTINGS = VideoLevelSettings.model_validate(
    {"single": [], "items": 10, "folds": 3, "epochs": 2, "learning_rate": 1e-2, "batch_size": 4}
    | {"architecture": {"clusters": {"image": 3, "audio": 2}, "tower_width": 6, "hidden": 8}}
)


def test_every_kind_is_made_by_the_network_that_it_says(plan_of: Plans) -> None:
    plan = plan_of(7)
    tracks = {name: plan.tracks[name] for name in ("image", "audio")}
    videos = labelled_videos("train", plan.frames, plan.targets, tracks, SETTINGS, "left_out")
    networks = {name: network.checkpoint for name, network in train_networks(videos, videos, SETTINGS).items()}
    table = vectors_of_kinds(networks, SETTINGS, tracks, seed=4)
    kinds = {name: rows.set_index("video_id") for name, rows in table.groupby("modality", sort=False)}
    assert set(kinds) == {"video_seed_4", f"{IN_SAMPLE}_seed_4", f"{UNALIGNED}_seed_4"}
    assert all(set(of_kind.index) == set(videos.items.video_ids) for of_kind in kinds.values())
    left_out = networks["fold_2"].description.training["left_out"]
    rows = videos.items.rows(left_out)
    fold, full = (networks[name].build_video_level() for name in ("fold_2", FULL))

    def of(kind: str) -> np.ndarray:
        return np.stack(kinds[f"{kind}_seed_4"].loc[left_out, "vector"].tolist())

    np.testing.assert_array_equal(of("video"), embed(fold, videos.items, rows, SETTINGS))
    np.testing.assert_array_equal(of(IN_SAMPLE), embed(full, videos.items, rows, SETTINGS))
    fold.set_motion(np.eye(8), np.zeros(8))
    np.testing.assert_array_equal(of(UNALIGNED), embed(fold, videos.items, rows, SETTINGS))
    assert table.groupby("modality")["fingerprint"].nunique().eq(1).all() and table["fingerprint"].nunique() == 3


def test_a_table_of_vectors_packs_as_tracks_do(plan_of: Plans, tmp_path: Path) -> None:
    plan = plan_of(2)
    first, second = plan.frames["video_id"].unique()
    table = pd.DataFrame(
        {
            "video_id": [first, second, first],
            "source_digest": "digest",
            "vector": [np.full(3, number, np.float32) for number in (1, 2, 5)],
            "modality": ["video_seed_0", "video_seed_0", "video_seed_1"],
            "fingerprint": ["a" * 64, "a" * 64, "b" * 64],
        }
    )
    table.to_parquet(tmp_path / "vectors.parquet")
    zero, one = vector_tracks(pd.read_parquet(tmp_path / "vectors.parquet"))
    assert (zero.width, zero.clock, zero.fingerprint, list(one)) == (3, "whole", "a" * 64, [first])
    rows = one.read(first).rows
    assert (rows.timestamps_us[0], rows.ends_us[0]) == (START_OF_TIME_US, END_OF_TIME_US)
    tracks = {view.modality: view for view in (zero, one)}
    split = pack(PackPlan("train", plan.frames, plan.targets, tracks, dict.fromkeys(tracks, 0)), tmp_path / "train")
    assert split.matrices["video_seed_0"].tolist() == [[1, 1, 1], [2, 2, 2]]
    assert (split.index[split.offsets[1] :, 1] == -1).all(), "the second video has no vector of the second seed"


@pytest.mark.parametrize(("seed", "packed"), [(1, "video_seed_1"), (10, "video_seed_10")])
def test_a_network_may_read_the_vectors_of_its_seed_and_all_other_modalities(seed: int, packed: str) -> None:
    there = ["image", "video_seed_1", "video_seed_10", "video_in_sample_seed_1"]
    expected = {"image": "image", "video": packed} | ({IN_SAMPLE: there[3]} if seed == 1 else {})
    assert read_with_seed(there, seed) == expected

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.frames import KEY_COLUMNS
from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.predictions import PredictionError, SplitPredictions, frame_table


def test_members_become_matrices_over_the_same_frames(world):
    world = world()
    predictions = SplitPredictions.from_table(world.predictions_table(), "validation")
    assert list(predictions.members) == ["member_0", "member_1", "member_2", "member_3"]
    assert predictions.video_ids == [f"v{video}" for video in range(8)]
    assert predictions.offsets.tolist() == world.offsets.tolist()
    for name, values in world.members.items():
        np.testing.assert_array_equal(predictions.members[name], values)
    np.testing.assert_array_equal(predictions.control, world.shuffled)


def test_another_order_of_rows_and_categories_change_nothing(world):
    world = world()
    table = world.predictions_table()
    n_frames = len(world.frames)
    reordered = pd.concat([table[:n_frames], table[n_frames:].sample(frac=1, random_state=0)], ignore_index=True)
    reordered = reordered.astype({"member": "category", "split": "category", "video_id": "category"})
    predictions = SplitPredictions.from_table(reordered, "validation")
    for name, values in world.members.items():
        np.testing.assert_array_equal(predictions.members[name], values)


def test_members_that_predict_other_frames_are_refused(world):
    table = world().predictions_table()
    with pytest.raises(PredictionError, match="'member_0' and 'member_2' predict different frames"):
        SplitPredictions.from_table(table.drop(index=table.index[table["member"] == "member_2"][5]), "validation")
    moved = table.copy()
    moved.loc[moved["member"] == "member_1", "timestamp_us"] += 1
    with pytest.raises(PredictionError, match="'member_0' and 'member_1' predict different frames"):
        SplitPredictions.from_table(moved, "validation")


def test_a_split_without_members_is_refused(world):
    table = world().predictions_table()
    with pytest.raises(PredictionError, match="no member has predictions for the test split"):
        SplitPredictions.from_table(table, "test")
    with pytest.raises(PredictionError, match="no member"):
        SplitPredictions.from_table(table[table["member"] == "shuffled"], "validation")


def test_labels_come_in_the_order_of_the_predictions(world):
    world = world()
    labels = world.labels_table()
    predictions = SplitPredictions.from_table(world.predictions_table(), "validation")
    others = labels.assign(video_id="gone_" + labels["video_id"])
    found = predictions.labels(pd.concat([others, labels.sample(frac=1, random_state=1)], ignore_index=True))
    np.testing.assert_array_equal(found, world.labels.astype(np.float32))
    with pytest.raises(PredictionError, match="'v2' has a prediction at 0 us but no label there"):
        predictions.labels(labels.drop(index=65))


def test_a_frame_table_has_exactly_the_published_columns(world):
    world = world()
    table = frame_table(world.frames, EEV.names, world.labels)
    assert tuple(table.columns) == (*KEY_COLUMNS, *EEV.names)
    assert table["timestamp_us"].dtype == np.int64
    assert table["anger"].dtype == np.float32

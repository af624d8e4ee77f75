from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.metrics import (
    SCORE_COLUMNS,
    calibration_errors,
    calibration_table,
    dispersion,
    expression_means,
    score_rows,
    undefined,
)


def test_a_row_for_each_video_with_scipys_correlations(world):
    world = world()
    predictions = world.members["member_1"]
    rows = score_rows(
        predictions,
        world.labels,
        [f"v{n}" for n in range(8)],
        world.offsets,
        EEV.names,
        split="validation",
        predictor="member_1",
        themes={"v0": "calm", "v1": "storm"},
    )
    assert tuple(rows.columns) == (*SCORE_COLUMNS, *EEV.names)
    for video in range(8):
        part = slice(world.offsets[video], world.offsets[video + 1])
        expected = [pearsonr(predictions[part, c].astype(float), world.labels[part, c]).statistic for c in range(15)]
        np.testing.assert_allclose(rows.loc[video, list(EEV.names)].to_numpy(float), expected, atol=1e-9)
        assert rows.loc[video, "score"] == pytest.approx(np.mean(expected))
        assert rows.loc[video, "n_frames"] == part.stop - part.start
    assert rows["theme"].fillna("?").tolist() == ["calm", "storm"] + ["?"] * 6
    assert expression_means(rows)["pain"] == pytest.approx(rows["pain"].mean())


def test_undefined_pairs_are_counted():
    labels = np.random.default_rng(0).random((7, 15))
    predictions = labels.copy()
    labels[:3, 4] = 0
    predictions[3:6, 5] = 0.5
    rows = score_rows(
        predictions, labels, ["a", "b", "c"], np.array([0, 3, 6, 7]), EEV.names, split="validation", predictor="x"
    )
    assert undefined(rows) == {
        "pairs": 45,
        "constant_truth": 16,
        "constant_prediction": 1,
        "single_frame_videos": 1,
        "videos_left_out": 1,
    }
    # Perfect but for the constant prediction, which counts 0 in its video.
    assert rows["score"].mean() == pytest.approx((1 + 14 / 15) / 2)


def test_calibration_by_hand():
    # Two values of prediction: for 0.2 the label is 0.1 or 0.3 (right in the mean), for 0.6 it is 0.4 (0.2 too high).
    predictions = np.tile(np.array([[0.2], [0.2], [0.6], [0.6]]), 15)
    labels = np.tile(np.array([[0.1], [0.3], [0.4], [0.4]]), 15)
    table = calibration_table(predictions, labels, EEV.names, 4)
    doubt = table[table["expression"] == "doubt"]
    assert doubt["n_frames"].tolist() == [2, 2]
    np.testing.assert_allclose(doubt["mean_prediction"], [0.2, 0.6])
    np.testing.assert_allclose(doubt["mean_label"], [0.2, 0.4])
    errors = calibration_errors(table)
    assert list(errors.index) == list(EEV.names)
    np.testing.assert_allclose(errors["bias"], 0.1)
    np.testing.assert_allclose(errors["calibration_error"], 0.1)


def test_a_calibrated_prediction_has_no_error_and_a_scaled_one_has():
    random = np.random.default_rng(1)
    chances = random.random((20_000, 15))
    labels = (random.random((20_000, 15)) < chances).astype(np.float32)
    errors = calibration_errors(calibration_table(chances, labels, EEV.names, 10))
    assert (errors["calibration_error"] < 0.015).all()
    halved = calibration_errors(calibration_table(chances / 2, labels, EEV.names, 10))
    np.testing.assert_allclose(halved["bias"], -0.25, atol=0.02)
    np.testing.assert_allclose(halved["calibration_error"], 0.25, atol=0.02)
    bins = calibration_table(chances, labels, EEV.names, 10)
    assert (bins["n_frames"].between(1_900, 2_100)).all()
    assert (bins.groupby("expression").size() == 10).all()


def test_a_constant_prediction_has_one_bin():
    table = calibration_table(np.full((50, 15), 0.3), np.full((50, 15), 0.1), EEV.names, 10)
    assert len(table) == 15
    np.testing.assert_allclose(table["mean_prediction"] - table["mean_label"], 0.2)


def test_dispersion_tells_within_from_between():
    random = np.random.default_rng(2)
    levels = np.repeat(random.normal(size=(20, 15)), 30, axis=0)
    courses = random.normal(size=(600, 15))
    offsets = np.arange(0, 601, 30)
    ratios = dispersion(0.25 * levels + 0.5 * courses, levels + courses, EEV.names, offsets)
    centred = pd.DataFrame(courses).groupby(np.repeat(np.arange(20), 30)).transform(lambda video: video - video.mean())
    assert centred.std().between(0.9, 1.1).all()
    np.testing.assert_allclose(ratios["within_videos"], 0.5, rtol=1e-9)
    assert ratios["between_videos"].between(0.2, 0.35).all()
    flat = dispersion(levels, np.zeros((600, 15)), EEV.names, offsets)
    assert flat.isna().all(axis=None)

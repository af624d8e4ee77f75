from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.metrics import SCORE_COLUMNS
from mgn_ma.evaluation.report import comparisons, counts, json_values, split_report

CONFIG = BootstrapConfig(resamples=500)


def scores(**of_predictor):
    """A score table in which all expressions of a video score the same."""
    tables = []
    for predictor, values in of_predictor.items():
        table = pd.DataFrame({"video_id": [f"v{n}" for n in range(len(values))], "score": values})
        table = table.assign(split="validation", predictor=predictor, theme=None, n_frames=10)
        table = table.assign(constant_truth=0, constant_prediction=0, **dict.fromkeys(EEV.names, values))
        tables.append(table[[*SCORE_COLUMNS, *EEV.names]])
    return pd.concat(tables, ignore_index=True)


def test_by_hand():
    table = scores(member_0=[0.1, 0.3], member_1=[0.2, 0.2], ensemble=[0.4, np.nan], time_only=[0.0, 0.1])
    report = split_report(table, CONFIG)
    assert report["members"] == pytest.approx([0.2, 0.2])
    assert report["ensemble"] == pytest.approx(0.4)
    assert report["oracle"] is None
    assert report["time_only"] == pytest.approx(0.05)
    assert report["per_expression"]["awe"] == pytest.approx(0.4)
    assert report["expressions"]["awe"] == {
        "time_only": pytest.approx(0.05),
        "ensemble": pytest.approx(0.4),
        "members": pytest.approx([0.2, 0.2]),
        "interval": None,
    }
    assert report["per_theme"] is None
    assert report["intervals"]["ensemble"]["n_videos"] == 1


def test_the_ensemble_is_compared_with_the_median_and_the_best_of_its_members():
    levels = {"member_0": 0.1, "member_1": 0.4, "member_2": 0.2, "member_3": 0.3, "ensemble": 0.5, "oracle": 0.9}
    videos = np.random.default_rng(0).normal(scale=0.2, size=30)
    found = comparisons(scores(**{name: level + videos for name, level in levels.items()}), CONFIG)
    assert set(found) == {"ensemble_over_oracle", "ensemble_over_median_member", "ensemble_over_best_member"}
    assert found["ensemble_over_oracle"]["difference"] == pytest.approx(-0.4)
    # Of four members the median is the third: the comparison is not made easier than it is.
    assert found["ensemble_over_median_member"]["difference"] == pytest.approx(0.2)
    assert found["ensemble_over_best_member"]["difference"] == pytest.approx(0.1)
    assert found["ensemble_over_best_member"]["p_not_higher"] < 0.01


def test_videos_are_paired_by_id_and_not_by_row():
    ours = scores(ensemble=[0.5, 0.1])
    theirs = scores(member_0=[0.1, 0.5])
    theirs["video_id"] = ["v1", "v0"]
    found = comparisons(pd.concat([ours, theirs], ignore_index=True), CONFIG)["ensemble_over_median_member"]
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)


def test_counts_are_the_named_predictors():
    table = scores(ensemble=[0.4, np.nan, 0.2], member_0=[0.1] * 3)
    assert counts(table, "ensemble")["n_frames"] == 30
    assert counts(table, "ensemble")["undefined"]["videos_left_out"] == 1
    assert counts(table, "member_0")["undefined"]["videos_left_out"] == 0


def test_a_report_is_strict_json():
    report = {"a": np.float32(0.5), "b": [np.nan, {"c": (np.int64(3), float("inf"))}], 4: "text", "t": True}
    assert json.loads(json.dumps(json_values(report), allow_nan=False)) == {
        "a": 0.5,
        "b": [None, {"c": [3, None]}],
        "4": "text",
        "t": True,
    }

"""The evaluation pipeline on made-up members: what it reports, with a truth and without."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from current_data import beside
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.metrics import SCORE_COLUMNS
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.features.settings import Modalities
from mgn_ma.grid import grid_time
from mgn_ma.pipelines.evaluation import create_pipeline
from mgn_ma.pipelines.evaluation.nodes import report_members, score_members

CONF = Path(__file__).parents[2] / "conf" / "base"
TRUTHS = ("truth_validation", "truth_test", "truth_test_labels", "truth_videos")
N_FRAMES = 60


def frame_table(video_ids, values):
    frames = pd.DataFrame(
        [(video_id, grid_time(index)) for video_id in video_ids for index in range(N_FRAMES)],
        columns=["video_id", "timestamp_us"],
    )
    return frames.assign(**{name: values[:, c].astype(np.float32) for c, name in enumerate(EEV.names)})


@pytest.fixture(scope="module")
def inputs():
    """Labels = a signal of the video + a course over time + noise; members see more or less of the signal."""
    random = np.random.default_rng(1)
    ids = {split: [f"-{split}_{n:02d}" for n in range(24)] for split in ("train", "validation", "test", "holdout")}
    time = np.tile(np.linspace(1, 0, N_FRAMES), 24)[:, None] * np.ones(15)
    signal = {split: random.random((24 * N_FRAMES, 15)) for split in ids}
    clean = {split: 0.2 + 0.4 * signal[split] + 0.15 * time for split in ids}
    labels = {split: np.clip(clean[split] + 0.05 * random.normal(size=time.shape), 0, 1) for split in ids}
    members = []
    for split in ("validation", "holdout", "test"):
        for name, noise in (("member_0", 0.1), ("member_1", 0.3), ("member_2", 0.2)):
            values = 0.3 * signal[split] + noise * random.random(time.shape)
            members.append(frame_table(ids[split], values).assign(member=name, split=split))
        members.append(frame_table(ids[split], random.random(time.shape)).assign(member="shuffled", split=split))
    return {
        "member_predictions": pd.concat(members, ignore_index=True),
        "labels_train": frame_table(ids["train"], labels["train"]),
        "labels_validation": pd.concat(
            [
                frame_table(["unavailable"], labels["train"][:N_FRAMES]),
                frame_table(ids["validation"], labels["validation"]),
            ]
        ),
        "labels_holdout": frame_table(ids["holdout"], labels["holdout"]),
        "truth_validation": frame_table(
            ids["validation"] + ids["holdout"], np.concatenate([clean["validation"], clean["holdout"]])
        ),
        "truth_test": frame_table(ids["test"], clean["test"]),
        "truth_test_labels": frame_table(ids["test"], labels["test"]),
        "truth_videos": pd.DataFrame(
            [(video_id, split, "calm" if n % 3 else "storm") for split in ids for n, video_id in enumerate(ids[split])],
            columns=["video_id", "split", "theme"],
        ),
    }


def run(inputs):
    scores = score_members(
        **inputs, targets=EEV, evaluation=EvaluationConfig(), data_fingerprint={}, modalities=Modalities({})
    )
    return report_members(scores, EvaluationConfig()), scores


def test_predictors_come_in_the_order_that_they_deserve(inputs):
    report, scores = run(inputs)
    assert set(report) == {"validation", "holdout", "test"}
    for split, found in report.items():
        assert found["oracle"] > max(found["members"])
        assert found["members"][0] > found["members"][2] > found["members"][1] > found["time_only"] > 0.1, split
        shuffled = found["intervals"]["shuffled"]
        assert shuffled["low"] <= 0 <= shuffled["high"]
        assert shuffled["estimate"] == found["shuffled"]
        assert set(found["expressions"]) == set(EEV.names)
        assert len(found["expressions"]["awe"]["members"]) == 3
    assert tuple(scores.columns) == (*SCORE_COLUMNS, *EEV.names)
    assert len(scores) == 3 * 6 * 24
    assert "unavailable" not in set(scores["video_id"])
    assert set(scores["theme"]) == {"calm", "storm"}
    json.dumps(report, allow_nan=False)


def test_the_report_is_the_mean_of_the_scores(inputs):
    report, scores = run(inputs)
    rows = scores[(scores["split"] == "validation") & (scores["predictor"] == "member_1")]
    assert report["validation"]["members"][1] == pytest.approx(rows["score"].mean())
    assert report["validation"]["expressions"]["pain"]["members"][1] == pytest.approx(rows["pain"].mean())
    assert rows["score"].iloc[3] == pytest.approx(rows[list(EEV.names)].iloc[3].mean())


def test_without_a_truth_there_is_no_oracle_no_theme_and_no_test(inputs):
    report, scores = run(inputs | dict.fromkeys(TRUTHS))
    assert set(report) == {"validation", "holdout"}
    assert report["validation"]["oracle"] is None
    assert report["validation"]["shuffled"] is not None
    assert scores["theme"].isna().all()


def test_without_a_hold_out_nothing_is_said_of_it(inputs):
    members, none = inputs["member_predictions"], inputs["labels_holdout"].iloc[:0]
    report, _ = run(inputs | {"labels_holdout": none, "member_predictions": members[members["split"] != "holdout"]})
    assert set(report) == {"validation", "test"}


def test_without_the_control_its_row_is_null(inputs):
    members = inputs["member_predictions"]
    report, _ = run(inputs | {"member_predictions": members[members["member"] != "shuffled"]})
    assert report["validation"]["shuffled"] is None


def test_only_oracle_and_test_scores_depend_on_the_truth(inputs):
    with_truth, _ = run(inputs)
    without, _ = run(inputs | dict.fromkeys(TRUTHS))
    for key in ("time_only", "shuffled", "members"):
        assert with_truth["validation"][key] == without["validation"][key]


def test_the_pipeline_runs_where_nobody_has_written_a_truth(inputs, tmp_path):
    entries = {}
    for name in ("evaluation", "sample_data"):
        text = (CONF / name / "catalog.yml").read_text().replace("${globals:data}", str(tmp_path))
        entries |= yaml.safe_load(text)
    used = {"truth_{part}", *create_pipeline().all_outputs()}
    catalog = DataCatalog.from_config({name: entry for name, entry in entries.items() if name in used})
    for name in set(inputs) - set(TRUTHS):
        catalog[name] = MemoryDataset(inputs[name])
    for name, data in beside(inputs["member_predictions"]).items():
        catalog[name] = MemoryDataset(data)
    catalog["params:evaluation"] = MemoryDataset(EvaluationConfig())
    catalog["params:targets"] = MemoryDataset(EEV)
    SequentialRunner().run(create_pipeline(), catalog)
    assert catalog["member_evaluation"].load() == run(inputs | dict.fromkeys(TRUTHS))[0]

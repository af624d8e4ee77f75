"""The evaluation pipeline on made-up members: what it reports, with a truth and without."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from current_data import beside
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.evaluation.errors import EvaluationError
from mgn_ma.evaluation.metrics import SCORE_COLUMNS
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.inspection import inspect_videos
from mgn_ma.features.settings import Modalities
from mgn_ma.grid import grid_time
from mgn_ma.inference.videos import VideoInput, VideoPredictor
from mgn_ma.inference.zero_shot.config import ZeroShotSettings
from mgn_ma.media.folder import MediaFolder
from mgn_ma.media.manifest import manifest_of_files
from mgn_ma.pipelines.evaluation import create_pipeline
from mgn_ma.pipelines.evaluation.nodes import predict_zero_shot, report_members, score_members

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
        "zero_shot_predictions": pd.DataFrame({"split": []}),
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


def test_the_model_without_training_is_one_more_row_where_it_has_predicted(inputs):
    tables = [inputs[f"labels_{split}"].assign(split=split) for split in ("validation", "holdout")]
    report, scores = run(inputs | {"zero_shot_predictions": pd.concat(tables)})
    for split in ("validation", "holdout"):
        assert report[split]["zero_shot"] == pytest.approx(1.0)
        assert report[split]["intervals"]["zero_shot"]["n_videos"] == 24
        assert report[split]["expressions"]["awe"]["zero_shot"] == pytest.approx(1.0)
        assert len(report[split]["members"]) == 3
    assert report["test"]["zero_shot"] is None
    assert set(scores[scores["predictor"] == "zero_shot"]["split"]) == {"validation", "holdout"}


def test_nothing_is_read_for_it_unless_the_parameter_says_so(tmp_path):
    settings = ZeroShotSettings(prompts="no such file")
    none = pd.DataFrame()
    arguments = EEV, ExecutionConfig(), none, str(tmp_path), none, none, None
    assert predict_zero_shot(settings, EvaluationConfig(), *arguments).empty


def test_prompts_for_other_targets_than_the_labels_are_refused(tmp_path):
    none = pd.DataFrame()
    arguments = Targets(names=("valence",)), ExecutionConfig(), none, str(tmp_path), none, none, None
    with pytest.raises(EvaluationError, match=r"the prompts are for amusement, .*, and the targets are valence"):
        predict_zero_shot(ZeroShotSettings(), EvaluationConfig(zero_shot=True), *arguments)


@pytest.mark.slow
def test_it_predicts_the_annotated_frames_of_films_as_it_predicts_new_videos(films, zero_shot, prompts_file, tmp_path):
    folder = MediaFolder(str(films))
    files = {path.stem: folder.files(path.stem) for path in sorted(films.glob("*.mp4"))}
    inspect = partial(inspect_videos, execution=ExecutionConfig(), max_seconds=None)
    manifest = manifest_of_files(files, inspect).assign(title="")
    one, other = files
    labels = frame_table([one], np.zeros((N_FRAMES, 15))).iloc[3:20]
    known = frame_table(["no video"], np.zeros((N_FRAMES, 15)))
    settings = ZeroShotSettings(prompts=str(prompts_file)), EvaluationConfig(zero_shot=True), EEV, ExecutionConfig()
    found = predict_zero_shot(*settings, manifest, str(tmp_path), labels, labels.iloc[:0], known)
    assert found["split"].value_counts().to_dict() == {"validation": 17, "test": N_FRAMES}
    of_test = found.loc[found["split"] == "test", list(EEV.names)]
    assert (of_test == 0.5).all(axis=None)
    assert not list(tmp_path.rglob(f"*{other}*"))
    (outcome,) = VideoPredictor(zero_shot).predict([VideoInput(one, files[one].video_path)], tmp_path)
    # Smoothed and scaled over the frames that have labels: of the same course, not of the same size.
    whole, of_labels = outcome.prediction.values[3:20], found.loc[found["split"] == "validation", list(EEV.names)]
    moves = whole.std(axis=0) > 0.01
    r = [np.corrcoef(whole[:, c], of_labels.iloc[:, c])[0, 1] for c in np.flatnonzero(moves)]
    assert np.median(r) > 0.9


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
    used = {"truth_{part}", "zero_shot_tracks_folder", *create_pipeline().all_outputs()}
    catalog = DataCatalog.from_config({name: entry for name, entry in entries.items() if name in used})
    for name in set(inputs) - set(TRUTHS) - {"zero_shot_predictions"}:
        catalog[name] = MemoryDataset(inputs[name])
    for name, data in beside(inputs["member_predictions"]).items():
        catalog[name] = MemoryDataset(data)
    catalog["params:evaluation"] = MemoryDataset(EvaluationConfig())
    catalog["params:targets"] = MemoryDataset(EEV)
    catalog["params:zero_shot"] = MemoryDataset(ZeroShotSettings())
    catalog["params:execution"] = MemoryDataset(ExecutionConfig())
    catalog["manifest"] = MemoryDataset(pd.DataFrame())
    SequentialRunner().run(create_pipeline(), catalog)
    assert catalog["member_evaluation"].load() == run(inputs | dict.fromkeys(TRUTHS))[0]

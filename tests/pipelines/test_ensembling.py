"""The ensembling pipeline, through the files of the real catalog: what is published, and that the numbers agree."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from current_data import beside
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.eev.correlation import challenge_score, frames_to_offsets, video_correlations
from mgn_ma.eev.frames import KEY_COLUMNS, expression_matrix
from mgn_ma.eev.submission import SUBMISSION_KEYS
from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.ensembling import METHODS, EnsemblingConfig
from mgn_ma.evaluation.predictions import PredictionError
from mgn_ma.evaluation.reaction import REACTIONS
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.execution import ExecutionConfig
from mgn_ma.grid import grid_time
from mgn_ma.inference.zero_shot.config import ZeroShotSettings
from mgn_ma.pipelines import ensembling, evaluation, reporting
from mgn_ma.training.config import EnsembleConfig

CONF = Path(__file__).parents[2] / "conf" / "base"
N_FRAMES = 40
# IDs that a careless reader takes for an option, a missing value or a number.
VALIDATION = ["-a_1", "NA", "1e5", "007", "v4", "v5", "v6", "v7", "v8", "v9"]
TEST = ["-t", "null", "t2"]
HOLDOUT = ["h0", "h1"]


def frame_table(video_ids, values):
    frames = pd.DataFrame(
        [(video_id, grid_time(index)) for video_id in video_ids for index in range(N_FRAMES)],
        columns=["video_id", "timestamp_us"],
    )
    return frames.assign(**{name: values[:, c].astype(np.float32) for c, name in enumerate(EEV.names)})


@pytest.fixture(scope="module")
def inputs():
    random = np.random.default_rng(1)
    labels = {
        name: random.random((len(ids) * N_FRAMES, 15)) for name, ids in (("v", VALIDATION), ("t", TEST), ("h", HOLDOUT))
    }
    members = [
        frame_table(ids, 0.6 * labels[key] + 0.4 * noise * random.random(labels[key].shape)).assign(
            member=name, split=split
        )
        for split, key, ids in (("validation", "v", VALIDATION), ("test", "t", TEST), ("holdout", "h", HOLDOUT))
        for name, noise in (("member_1", 1.0), ("member_2", 0.6), ("member_3", 0.9), ("shuffled", 2.5))
    ]
    members[3][list(EEV.names)] = random.random((len(members[3]), 15))
    rows = [("gone", 0), *[(video, grid_time(index)) for video in TEST[::-1] for index in range(N_FRAMES)]]
    return {
        "member_predictions": pd.concat(members, ignore_index=True),
        "labels_train": frame_table([f"train{n}" for n in range(10)], random.random((10 * N_FRAMES, 15))),
        "labels_validation": frame_table(VALIDATION, labels["v"]),
        "labels_holdout": frame_table(HOLDOUT, labels["h"]),
        "labels_test": pd.DataFrame(rows, columns=["video_id", "timestamp_us"]),
        "truth_validation": frame_table(VALIDATION + HOLDOUT, np.concatenate([labels["v"], labels["h"]]) + 0.01),
        "truth_test": frame_table(TEST, labels["t"]),
        "truth_test_labels": frame_table(TEST, labels["t"]),
        "truth_videos": pd.DataFrame({"video_id": VALIDATION + TEST, "split": "x", "theme": "calm"}),
    }


def run(folder, inputs, config=None, members=None):
    """Both pipelines with every result going through its file as the catalog says; the catalog, to look at them."""
    entries = {}
    for name in ("evaluation", "ensembling", "reporting"):
        text = (CONF / name / "catalog.yml").read_text().replace("${globals:data}", str(folder))
        entries |= yaml.safe_load(text)
    catalog = DataCatalog.from_config(entries)
    for name, data in {**inputs, **beside(inputs["member_predictions"])}.items():
        catalog[name] = MemoryDataset(data)
    catalog["params:evaluation"] = MemoryDataset(EvaluationConfig())
    catalog["params:targets"] = MemoryDataset(EEV)
    catalog["params:zero_shot"] = MemoryDataset(ZeroShotSettings())
    catalog["params:execution"] = MemoryDataset(ExecutionConfig())
    catalog["manifest"] = MemoryDataset(pd.DataFrame())
    catalog["params:ensemble_members"] = MemoryDataset(members or EnsembleConfig(count=3))
    catalog["params:ensembling"] = MemoryDataset(config or EnsemblingConfig())
    report = reporting.create_pipeline().only_nodes("reporting.report_evaluation")
    pipeline = evaluation.create_pipeline() + ensembling.create_pipeline() + report
    SequentialRunner().run(pipeline, catalog)
    return catalog


@pytest.fixture(scope="module")
def catalog(inputs, tmp_path_factory):
    return run(tmp_path_factory.mktemp("data"), inputs)


def test_the_report_has_what_others_look_for(catalog):
    report = json.loads(json.dumps(catalog["evaluation"].load(), allow_nan=False))
    validation = report["validation"]
    assert {"oracle", "time_only", "shuffled", "members", "ensemble", "per_expression"} <= set(validation)
    assert len(validation["members"]) == 3
    assert set(validation["per_expression"]) == set(EEV.names)
    assert (report["n_videos"], report["n_frames"]) == (10, 400)
    assert report["undefined"]["constant_truth"] == 0
    assert validation["oracle"] == pytest.approx(1, abs=1e-6)
    assert validation["ensemble"] > max(validation["members"]) > validation["time_only"]
    assert validation["per_theme"]["calm"]["score"] == pytest.approx(validation["ensemble"])
    assert np.mean(list(validation["per_expression"].values())) == pytest.approx(validation["ensemble"])
    assert report["test"]["ensemble"] > 0.8
    assert (report["test"]["n_videos"], report["test"]["n_frames"]) == (3, 120)
    assert report["holdout"]["n_videos"] == 2
    assert report["holdout"]["ensemble"] > report["holdout"]["time_only"]
    interval = validation["intervals"]["ensemble"]
    assert interval["low"] < validation["ensemble"] < interval["high"]
    assert report["comparisons"]["ensemble_over_time_only"]["low"] > 0
    assert report["comparisons"]["ensemble_over_median_member"]["low"] > 0
    assert set(report["calibration"]) == set(EEV.names)


def test_the_hold_out_chooses_nothing(catalog, inputs, tmp_path):
    random = np.random.default_rng(5)
    other = frame_table(HOLDOUT, random.random((len(HOLDOUT) * N_FRAMES, 15)))
    again = run(tmp_path, inputs | {"labels_holdout": other})
    for name in ("ensemble_recipe", "ensembling_methods", "ensembling_reactions", "ensemble_predictions"):
        now, before = again[name].load(), catalog[name].load()
        assert now.equals(before) if isinstance(now, pd.DataFrame) else now == before, name
    now, before = again["evaluation"].load(), catalog["evaluation"].load()
    assert now["holdout"]["ensemble"] != before["holdout"]["ensemble"]
    assert {**now, "holdout": None} == {**before, "holdout": None}


def test_without_a_hold_out_the_report_has_none(inputs, tmp_path):
    members = inputs["member_predictions"]
    left = {
        "labels_holdout": inputs["labels_holdout"].iloc[:0],
        "member_predictions": members[members["split"] != "holdout"],
    }
    assert run(tmp_path, inputs | left)["evaluation"].load()["holdout"] is None


def test_the_predictions_are_the_mean_and_score_what_is_reported(catalog, inputs):
    predictions = catalog["ensemble_predictions"].load()
    assert tuple(predictions.columns) == (*KEY_COLUMNS, *EEV.names)
    assert set(predictions["video_id"]) == {*VALIDATION, *HOLDOUT, *TEST}
    members = inputs["member_predictions"]
    of_members = [expression_matrix(members[members["member"] == f"member_{n}"], EEV.names) for n in (1, 2, 3)]
    np.testing.assert_allclose(expression_matrix(predictions, EEV.names), np.mean(of_members, axis=0), atol=1e-6)
    validation = predictions[predictions["video_id"].isin(VALIDATION)]
    _, offsets = frames_to_offsets(validation["video_id"])
    labels = expression_matrix(inputs["labels_validation"], EEV.names)
    score = challenge_score(video_correlations(expression_matrix(validation, EEV.names), labels, offsets))
    assert catalog["evaluation"].load()["validation"]["ensemble"] == pytest.approx(score, abs=1e-9)


def test_the_submission_has_every_row_of_the_test_table_in_its_order(catalog, inputs):
    submission = catalog["submission"].load()
    assert tuple(submission.columns) == (*SUBMISSION_KEYS, *EEV.names)
    assert submission["Video ID"].tolist() == inputs["labels_test"]["video_id"].tolist()
    assert submission["Timestamp (milliseconds)"].tolist() == inputs["labels_test"]["timestamp_us"].tolist()
    assert (submission.iloc[0, 2:] == 0).all()
    assert (submission.iloc[1:, 2:] > 0).all(axis=None)


def test_every_method_is_scored_with_weights_and_an_interval(catalog):
    methods = catalog["evaluation"].load()["methods"]
    assert set(methods) == set(METHODS)
    for name, method in methods.items():
        assert sum(method["weights"].values()) == pytest.approx(1), name
        assert method["interval"]["low"] < method["score"] < method["interval"]["high"]
    assert methods["mean"]["score"] == pytest.approx(catalog["evaluation"].load()["validation"]["ensemble"], abs=1e-6)
    assert methods["mean"]["over_mean"]["difference"] == 0


@pytest.mark.parametrize("method", METHODS[1:])
def test_the_chosen_method_makes_the_predictions(inputs, tmp_path, method):
    report = run(tmp_path, inputs, EnsemblingConfig(method=method))["evaluation"].load()
    assert report["method"] == method
    # The validation predictions are the cross-validated ones: they score what the method's cross-validation says.
    assert report["validation"]["ensemble"] == pytest.approx(report["methods"][method]["score"], abs=1e-5)


@pytest.mark.parametrize(("better", "worse"), [("base", "late"), ("late", "base")])
@pytest.mark.parametrize("reaction", ["none", "causal"])
def test_the_better_ensemble_on_validation_predicts_and_all_are_scored(inputs, tmp_path, better, worse, reaction):
    """Two of the members make an ensemble, and the same with more noise another; the hold-out says the contrary."""
    given = inputs["member_predictions"]
    random = np.random.default_rng(3)
    members = {"base": ["member_1", "member_2"], "late": ["late_1", "late_2"]}
    rows = [given[(given["member"] == "shuffled").to_numpy()]]
    for number in (1, 2):
        as_given = given[(given["member"] == f"member_{number}").to_numpy()]
        noisy = as_given.copy()
        noisy[list(EEV.names)] += random.normal(0, 0.3, (len(noisy), 15)).astype(np.float32)
        holdout = (as_given["split"] == "holdout").to_numpy()
        for name, on_holdout, elsewhere in ((better, noisy, as_given), (worse, as_given, noisy)):
            of_member = elsewhere.copy()
            of_member[holdout] = on_holdout[holdout]
            rows.append(of_member.assign(member=members[name][number - 1]))
    several = EnsembleConfig.model_validate({"count": 2, "alternatives": {"late": {}}})
    predictions = pd.concat(rows, ignore_index=True)
    config = EnsemblingConfig(reaction=reaction)
    catalog = run(tmp_path, inputs | {"member_predictions": predictions}, config, several)
    recipe, report = catalog["ensemble_recipe"].load(), catalog["evaluation"].load()
    assert recipe["ensemble"] == report["ensemble"] == better
    assert recipe == catalog["ensemble_recipes"].load()[better]
    assert recipe["members"] == members[better]
    assert len(report["validation"]["members"]) == 4
    for split in ("validation", "holdout", "test"):
        scores = {name: row["estimate"] for name, row in report[split]["intervals"].items()}
        assert scores["ensemble"] == pytest.approx(scores[f"ensemble {better}"], abs=1e-6)
        assert (scores[f"ensemble {better}"] > scores[f"ensemble {worse}"]) == (split != "holdout")
    # Alone it is the same ensemble.
    alone = predictions.replace({"member": dict(zip(members["late"], members["base"], strict=True))})
    alone = alone[predictions["member"].isin([*members[better], "shuffled"])]
    catalog = run(tmp_path / "alone", inputs | {"member_predictions": alone}, config, EnsembleConfig(count=2))
    again = catalog["evaluation"].load()["validation"]["ensemble"]
    assert report["validation"]["ensemble"] == pytest.approx(again, abs=1e-9)


def test_an_ensemble_whose_members_were_not_trained_is_refused(inputs, tmp_path):
    several = EnsembleConfig.model_validate({"count": 3, "alternatives": {"late": {}}})
    with pytest.raises(PredictionError, match=r"late_1 has no predictions.*kedro run --pipelines training"):
        run(tmp_path, inputs, members=several)


def test_every_reaction_is_scored_and_none_is_what_the_predictions_have(catalog):
    report = catalog["evaluation"].load()
    assert set(report["reactions"]) == set(REACTIONS)
    for name, found in report["reactions"].items():
        assert set(found["fitted"]) == (set(EEV.names) if name.endswith("by_expression") else {"all"})
        assert found["interval"]["low"] < found["score"] < found["interval"]["high"]
    assert report["reactions"]["none"]["score"] == pytest.approx(report["validation"]["ensemble"], abs=1e-6)
    assert report["reactions"]["none"]["over_none"]["difference"] == 0


@pytest.mark.parametrize("reaction", REACTIONS[1:])
def test_the_chosen_reaction_makes_the_predictions(inputs, tmp_path, reaction):
    report = run(tmp_path, inputs, EnsemblingConfig(method="stacking", reaction=reaction))["evaluation"].load()
    assert report["validation"]["ensemble"] == pytest.approx(report["reactions"][reaction]["score"], abs=1e-5)


def test_scores_keep_ids_as_they_are_written(catalog):
    scores = catalog["video_scores"].load()
    assert set(scores.loc[scores["split"] == "validation", "video_id"]) == set(VALIDATION)


def test_configuration_files_say_the_defaults(inputs):
    for name, config in (("evaluation", EvaluationConfig), ("ensembling", EnsemblingConfig)):
        stated = yaml.safe_load((CONF / name / "parameters.yml").read_text())[name]
        assert config.model_validate(stated) == config()
        with pytest.raises(ValueError, match="Extra inputs are not permitted"):
            config.model_validate(stated | {"resample": 3})

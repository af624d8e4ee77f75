"""A data set with other targets than EEV's: valence and arousal in -1..1, from ingestion to the page of a new video."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from tiny_project import kedro, make_project, newest

from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.finding import find_videos
from mgn_ma.reporting.prediction import PredictionSettings, predict_videos
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.signature import signature
from mgn_ma.tracking.versions import CHALLENGER

pytestmark = pytest.mark.slow

AFFECT = Targets(names=("valence", "arousal"), minimum=-1.0, zero_rows_mean_no_face=False)
TINY = {
    "sample": {"videos": 8, "shortest_seconds": 4.0, "longest_seconds": 5.0, "awkward": False},
    "targets": {"names": ["valence", "arousal"], "minimum": -1.0, "zero_rows_mean_no_face": False},
    "execution": {"workers": 1},
    "video_level": {"epochs": 1, "folds": 2},
    "model": {"hidden": 16},
    "training": {"epochs": 20, "learning_rate": 1.0e-2, "batches": {"batch_size": 32}},
    "training_execution": {"workers": 1},
    "ensemble_members": {"count": 2},
    "ensembling": {"method": "standardised_mean"},
    "evaluation": {"bootstrap": {"resamples": 100}},
}
LONG_NAMES = [name for name in EEV.names if len(name) > 8]
"""Which no script or style happens to hold."""
LABELS = ["labels_train", "labels_validation"]


def make_affective(folder):
    """Replace the sample's fifteen columns by two mixtures of them, and drop its truth, which is of the fifteen."""
    for name in ("train", "val"):
        table = pd.read_csv(folder / f"annotations/{name}.csv", dtype={"YouTube ID": str})
        shown = table[list(EEV.names)]
        pleasant, unpleasant = shown[["amusement", "contentment", "elation"]], shown[["anger", "pain", "sadness"]]
        affect = {
            "valence": pleasant.mean(axis=1) - unpleasant.mean(axis=1),
            "arousal": 2 * shown[["awe", "surprise", "triumph"]].mean(axis=1) - 1,
        }
        table.drop(columns=shown.columns).assign(**affect).to_csv(folder / f"annotations/{name}.csv", index=False)
    for file in (folder / "truth").glob("*.parquet"):
        file.unlink()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("affect"), TINY)
    kedro(project, "run", "--env", "sample", "--pipelines", "sample_data")
    make_affective(project / "data/sample/01_raw")
    kedro(project, "run", "--env", "sample")
    return project


def values_of(table):
    assert [name for name in table.columns if not name.startswith("attention_")] == [
        *("video_id", "timestamp_us"),
        *AFFECT.names,
    ]
    values = table[list(AFFECT.names)].to_numpy()
    assert np.isfinite(values).all() and values.min() >= -1 and values.max() <= 1
    return values


def test_labels_and_predictions_are_of_the_two_and_fall_below_zero(project):
    data = project / "data/sample"
    assert all((values_of(pd.read_parquet(data / f"02_intermediate/{name}.parquet")) < 0).any() for name in LABELS)
    predictions = pd.read_parquet(newest(data / "07_model_output/ensemble_predictions.parquet"))
    assert (values_of(predictions) < 0).any()
    # The level of the labels is out of the reach of shares.
    level = pd.read_parquet(data / "02_intermediate/labels_train.parquet")["arousal"].mean()
    assert level < -0.2 and predictions["arousal"].mean() == pytest.approx(level, abs=0.3)
    submission = pd.read_csv(data / "08_reporting/submission.csv", dtype={"Video ID": str})
    assert list(submission.columns) == ["Video ID", "Timestamp (milliseconds)", *AFFECT.names]


def test_the_report_and_the_figures_know_no_other_targets(project):
    reporting = project / "data/sample/08_reporting"
    evaluation = json.loads(newest(reporting / "evaluation.json").read_text())
    for by_expression in (
        evaluation["validation"]["expressions"],
        evaluation["validation"]["per_expression"],
        evaluation["calibration"],
    ):
        assert list(by_expression) == list(AFFECT.names)
    assert evaluation["undefined"]["pairs"] == 2 * evaluation["n_videos"]
    assert np.isfinite([evaluation["validation"][name] for name in ("ensemble", "time_only", "shuffled")]).all()
    figures = "".join(file.read_text() for file in reporting.glob("*_figure.json"))
    assert "value (-1..1)" in figures and "valence" in figures
    assert not any(name in figures for name in LONG_NAMES)


def test_the_registered_model_predicts_a_new_video_to_its_page(project, tmp_path):
    registry = ModelRegistry(f"sqlite:///{project}/mlflow.db")
    bundle = registry.bundle(registry.holder(CHALLENGER).uri)
    assert bundle.description.targets == AFFECT
    assert all(member.description.targets == AFFECT for member in bundle.members.values())
    assert signature(bundle).outputs.input_names()[:4] == ["video_id", "timestamp_us", *AFFECT.names]
    video = min((project / "data/sample/01_raw/videos").glob("*.mp4"))
    predicted = predict_videos(
        bundle,
        find_videos(str(video)),
        PredictionSettings(),
        execution=ExecutionConfig(),
        tracks=tmp_path / "tracks",
        pages=tmp_path,
        model="the challenger",
    )
    assert (values_of(predicted.curves) < 0).any()
    page = (tmp_path / f"pages/{video.stem}.html").read_text()
    shown = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
    assert list(shown["curves"]) == list(AFFECT.names) and shown["curve_range"] == [-1, 1]
    assert {moment["expression"] for moment in shown["moments"]} <= set(AFFECT.names)
    assert not any(name in page for name in LONG_NAMES)

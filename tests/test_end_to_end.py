"""The whole chain on a tiny sample, as a user runs it: killed in the middle, run again, run a third time."""

import json
import os
import signal
import subprocess
import sys
import time

import mlflow
import nbformat
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from nbclient import NotebookClient
from tiny_project import CHAIN, ROOT, TINY, kedro, make_project, newest, start

from mgn_ma.eev.targets import EEV
from mgn_ma.features.store import TrackStore
from mgn_ma.features.view import TrackView
from mgn_ma.inference.predictor import Predictor
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.versions import CHALLENGER
from mgn_ma.training.packed import PackedSplit

pytestmark = pytest.mark.slow


def tracks(project):
    return sorted((project / "data/sample/04_feature").glob("*/*/*.arrow"))


def account(project):
    return pd.read_csv(
        project / "data/sample/04_feature/extraction_account.csv", dtype={"video_id": str}, keep_default_na=False
    )


def table(path):
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A project whose first run was killed while it extracted, after its second run; with what was there between."""
    project = make_project(tmp_path_factory.mktemp("resumed"), TINY)
    process = start(project, *CHAIN)
    deadline = time.monotonic() + 300
    while len(tracks(project)) < 14:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no extraction within five minutes"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in tracks(project)}
    return project, before, kedro(project, *CHAIN)


def test_a_killed_run_ends_as_an_undisturbed_one_and_keeps_what_it_had(undisturbed, resumed):
    project, before, _ = resumed
    assert all(path.stat().st_mtime_ns == written for path, written in before.items())
    extracted = account(project)
    present = extracted[extracted["status"] == "present"]
    assert 0 < len(before) < len(present)
    assert (present["reason"] == "kept from an earlier run").sum() == len(before)
    made = {path.relative_to(project): path for path in tracks(project)}
    reference = {path.relative_to(undisturbed[0]): path for path in tracks(undisturbed[0])}
    assert made.keys() == reference.keys()
    assert all(table(made[name]).equals(table(reference[name])) for name in made)
    file = "data/sample/07_model_output/ensemble_predictions.parquet"
    pd.testing.assert_frame_equal(
        pd.read_parquet(newest(project / file)), pd.read_parquet(newest(undisturbed[0] / file))
    )


def test_the_files_that_others_look_for(undisturbed):
    project, _ = undisturbed
    reporting = project / "data/sample/08_reporting"
    evaluation = json.loads(newest(reporting / "evaluation.json").read_text())
    assert evaluation["validation"].keys() >= {
        "oracle",
        "time_only",
        "shuffled",
        "members",
        "ensemble",
        "per_expression",
    }
    assert len(evaluation["validation"]["members"]) == 4
    assert set(evaluation["validation"]["per_expression"]) == set(EEV.names)
    assert evaluation.keys() >= {"undefined", "n_videos", "n_frames"}
    assert list(account(project).columns) == ["video_id", "modality", "status", "reason", "seconds"]
    predictions = pd.read_parquet(newest(project / "data/sample/07_model_output/ensemble_predictions.parquet"))
    assert list(predictions.columns) == ["video_id", "timestamp_us", *EEV.names]


def test_the_submission_has_every_row_of_the_test_table_in_its_order(undisturbed):
    project, _ = undisturbed
    columns = ["Video ID", "Timestamp (milliseconds)"]
    asked = pd.read_csv(project / "data/sample/01_raw/annotations/test.csv", dtype={"Video ID": str})
    given = pd.read_csv(project / "data/sample/08_reporting/submission.csv", dtype={"Video ID": str})
    assert list(given.columns) == [*columns, *EEV.names]
    pd.testing.assert_frame_equal(given[columns], asked[columns])
    assert given[list(EEV.names)].to_numpy().min() >= 0


def test_run_again_it_extracts_nothing_and_an_earlier_version_can_be_loaded(resumed):
    project, _, _ = resumed
    output = kedro(project, *CHAIN)
    again = account(project)
    assert (again["seconds"] == 0).all()
    assert not (again["reason"] == "computed in this run").any()
    assert "0 videos to render" in output
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    (registered,) = client.search_model_versions("name = 'mgn-ma'")
    assert client.get_registered_model("mgn-ma").aliases == {"challenger": registered.version}
    versions = sorted(p.name for p in (project / "data/sample/08_reporting/evaluation.json").iterdir())
    assert len(versions) == 2
    kedro(project, "run", "--env", "sample", "--pipelines", "reporting", "--load-versions", f"evaluation:{versions[0]}")


def test_the_ablation_stands_behind_the_chain_and_tracks_every_network(resumed):
    project, _, _ = resumed
    output = kedro(project, "run", "--env", "sample", "--pipelines", "ablation")
    assert "4 networks for 4 variants x 1 seeds; 0 kept from before, 4 to train" in output
    reporting = project / "data/sample/08_reporting"
    tables = [pd.read_csv(reporting / f"ablation_{name}.csv") for name in ("table_1", "table_2", "other")]
    assert [table["variant"].tolist() for table in tables] == [["audio"], ["ensemble"], ["in_sample_vectors"]]
    assert all(table[["validation", "test", "test_of_oracle"]].notna().all(axis=None) for table in tables)
    assert tables[1]["test_step"].notna().all()
    assert len(pd.read_csv(reporting / "ablation_runs.csv")) == 4
    for name in ("ablation_figure.json", "ablation.html", "ablation.md"):
        assert (reporting / name).stat().st_size > 200
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("mgn_ma").experiment_id])
    (parent,) = (run for run in runs if run.info.run_name == "ablation [sample]")
    nested = {r.info.run_name for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert {name for name in nested if not name.startswith("video_level_")} == {
        *("audio_seed_0", "moe_attention_seed_0", "moe_attention_seed_1000", "in_sample_vectors_seed_0"),
    }


def test_the_run_is_tracked_with_a_nested_run_a_member(undisturbed):
    project, _ = undisturbed
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("mgn_ma").experiment_id])
    members = {r.data.tags["mlflow.runName"]: r for r in runs if "mlflow.parentRunId" in r.data.tags}
    (parent,) = (r for r in runs if "mlflow.parentRunId" not in r.data.tags)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["training.epochs"] == "2"
    assert members.keys() >= {"member_1", "member_2", "temporal_1", "temporal_2"}
    curve = client.get_metric_history(members["member_1"].info.run_id, "validation_correlation")
    assert [point.step for point in curve] == [1, 2]
    evaluation = json.loads(newest(project / "data/sample/08_reporting/evaluation.json").read_text())
    assert parent.data.metrics["validation/ensemble"] == pytest.approx(evaluation["validation"]["ensemble"], abs=1e-12)


def test_the_run_says_which_data_it_read_and_how_each_video_is_predicted(undisturbed):
    project, _ = undisturbed
    uri = f"sqlite:///{project}/mlflow.db"
    (run,) = (run for run in mlflow.MlflowClient(uri).search_runs(["1"]) if "env" in run.data.tags)
    read = {entry.dataset.name: entry for entry in run.inputs.dataset_inputs}
    assert read.keys() == {"train_input", "validation_input", "holdout_input", "test_input"}
    for name, entry in read.items():
        split = PackedSplit(project / mlflow.data.get_source(entry.dataset).uri)
        assert split.folder == project / "data/sample/05_model_input" / name.removesuffix("_input")
        assert split.description.fingerprint.startswith(entry.dataset.digest)
        profile = {"num_rows": len(split.timestamps_us), "num_videos": len(split.offsets) - 1}
        assert json.loads(entry.dataset.profile) == profile
        assert [tag.value for tag in entry.tags] == [split.description.split]
    mlflow.set_tracking_uri(uri)
    table = mlflow.MlflowClient().load_table("1", "ensemble_scores.json", run_ids=[run.info.run_id])
    saved = pd.read_csv(project / "data/sample/08_reporting/ensemble_scores.csv")
    pd.testing.assert_frame_equal(table, saved, check_dtype=False)


def test_the_registered_ensemble_predicts_from_tracks_what_the_chain_predicted(undisturbed):
    project, _ = undisturbed
    uri = f"sqlite:///{project}/mlflow.db"
    (run,) = (run for run in mlflow.MlflowClient(uri).search_runs(["1"]) if "env" in run.data.tags)
    registry = ModelRegistry(uri)
    challenger = registry.holder(CHALLENGER)
    assert challenger.run_id == run.info.run_id
    bundle = registry.bundle(challenger.uri)
    evaluation = json.loads(newest(project / "data/sample/08_reporting/evaluation.json").read_text())
    assert bundle.description.scores["validation"] == evaluation["validation"]["ensemble"]
    predictor = Predictor(bundle)
    store = TrackStore(project / "data/sample/04_feature")
    views = {name: TrackView(store, store.selection(name)) for name in bundle.description.extractors}
    predictions = pd.read_parquet(newest(project / "data/sample/07_model_output/ensemble_predictions.parquet"))
    assert predictions["video_id"].nunique() > 2
    for video_id, frames in predictions.groupby("video_id"):
        tracks = {name: view.read(video_id).rows for name, view in views.items() if video_id in view}
        found = predictor.predict(video_id, tracks, frames["timestamp_us"].to_numpy()).values
        np.testing.assert_allclose(found, frames[list(EEV.names)].to_numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "figures", "said"),
    [
        ("1_the_data_set", 5, "available"),
        ("2_what_the_features_see", 3, "patches"),
        ("3_reading_a_result", 5, "time_only"),
        ("4_comparing_runs", 2, "p_not_higher"),
    ],
)
def test_a_notebook_runs_on_a_finished_run(undisturbed, monkeypatch, name, figures, said):
    project, _ = undisturbed
    monkeypatch.chdir(project / "notebooks")
    # A kernel has none of this process's settings for MLflow.
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = nbformat.read(f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=180, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs) == figures
    assert any(said in str(output.get("data", "")) for output in outputs)
    assert not [output["text"] for output in outputs if output.get("name") == "stderr"]


def test_every_notebook_is_run():
    run = test_a_notebook_runs_on_a_finished_run.pytestmark[0].args[1]
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == [name for name, *_ in run]


def test_predictions_are_probabilities_for_every_frame_of_the_available_videos(undisturbed):
    project, _ = undisturbed
    predictions = pd.read_parquet(newest(project / "data/sample/07_model_output/ensemble_predictions.parquet"))
    values = predictions[list(EEV.names)].to_numpy()
    assert np.isfinite(values).all()
    assert ((values > 0) & (values < 1)).all()
    labels = pd.read_parquet(project / "data/sample/02_intermediate/labels_validation.parquet")
    present = set(account(project).query("modality == 'image' and status == 'present'")["video_id"])
    expected = labels[labels["video_id"].isin(present)]
    both = predictions.merge(expected[["video_id", "timestamp_us"]], on=["video_id", "timestamp_us"])
    assert len(both) == len(expected)


def test_the_registered_model_predicts_a_video_as_the_chain_did(undisturbed, tmp_path):
    project, _ = undisturbed
    predictions = pd.read_parquet(newest(project / "data/sample/07_model_output/ensemble_predictions.parquet"))
    asked = pd.read_csv(project / "data/sample/01_raw/annotations/test.csv", dtype={"Video ID": str})
    video_id = next(name for name in predictions["video_id"].unique() if (asked["Video ID"] == name).any())
    command = [sys.executable, "-c", "from mgn_ma.command import main; main()", "predict", "-o", str(tmp_path)]
    video = project / f"data/sample/01_raw/videos/{video_id}.mp4"
    model = ["--model", "models:/mgn-ma/1", "--tracking-uri", f"sqlite:///{project}/mlflow.db"]
    done = subprocess.run([*command, *model, "--", str(video)], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    curves = pd.read_parquet(tmp_path / "curves.parquet")
    both = curves.merge(predictions, on=["video_id", "timestamp_us"], suffixes=("", "_of_chain"))
    assert len(both) >= len(curves) - 1
    expected = both[[f"{name}_of_chain" for name in EEV.names]].to_numpy()
    np.testing.assert_allclose(both[list(EEV.names)].to_numpy(), expected, atol=1e-5)

"""The search on what a whole run has left: real networks, their runs in MLflow, and a file of the best settings."""

import shutil

import mlflow
import pandas as pd
import pytest
import yaml

SPACE = """{
  training.learning_rate: {low: 0.0001, high: 0.01, log: true},
  model.temporal.kind: {choices: [none, tcn]}
}"""


@pytest.mark.slow
def test_trials_are_trained_tracked_and_the_best_can_be_taken_over(undisturbed, tmp_path, run_here):
    project = shutil.copytree(undisturbed[0], tmp_path / "project")
    path = project / "conf/sample/parameters.yml"
    search = {"trials": 3, "networks": 2, "space": yaml.safe_load(SPACE)}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"search": search}))
    run_here(project, "--pipelines", "search")
    reports = project / "data/sample/08_reporting"
    trials = pd.read_csv(reports / "search_trials.csv")
    assert sorted(trials["trial"]) == [0, 1, 2]
    assert (trials["state"] == "scored").all()
    assert trials["score"].is_monotonic_decreasing
    best = yaml.safe_load((reports / "search_best.yml").read_text())
    assert best["training"]["learning_rate"] == pytest.approx(trials.iloc[0]["training.learning_rate"])
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    (experiment,) = [each for each in client.search_experiments() if each.name == "mgn_ma"]
    runs = client.search_runs([experiment.experiment_id], "attributes.run_name LIKE 'trial_%'")
    scores = {run.info.run_name: run.data.metrics["validation_correlation"] for run in runs}
    assert set(scores) == {f"trial_{trial}_network_{network}" for trial in range(3) for network in (1, 2)}
    run_here(project, "--pipelines", "search")  # nothing is left to try
    pd.testing.assert_frame_equal(pd.read_csv(reports / "search_trials.csv"), trials)

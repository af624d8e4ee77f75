"""`kedro run` as a user sees it: what is tracked, what is printed, and how it stops."""

import json
import signal
import subprocess
import time

import pytest
from mlflow.tracking import MlflowClient
from ports import unused_port

pytestmark = pytest.mark.slow


class TestATrackedRun:
    def test_ends_well_and_is_found_by_its_name(self, tracked):
        project, ended = tracked
        assert ended.code == 0, ended.errors
        (run,) = project.runs
        assert (run.info.status, run.info.run_name) == ("FINISHED", "chain [sample]")
        assert run.data.tags["env"] == "sample"
        assert run.data.tags["kedro_command"] == "kedro run --env sample"
        assert run.data.tags["runner"] == "SequentialRunner"

    def test_has_typed_parameters_flat_and_long_ones_as_tags(self, tracked):
        (run,) = tracked[0].runs
        assert run.data.params == {"training.optimiser.rate": "0.2", "training.optimiser.betas": "[0.9, 0.999]"}
        assert run.data.tags["training.note"] == "x" * 7000

    def test_has_code_and_data(self, tracked):
        project, _ = tracked
        (run,) = project.runs
        head = subprocess.check_output(["git", "-C", str(project.path), "rev-parse", "HEAD"], text=True).strip()
        assert run.data.tags["git_commit"] == run.data.tags["mlflow.source.git.commit"] == head
        assert run.data.tags["git_dirty"] == "false"
        assert run.data.tags["data_fingerprint"] == "0123abcd"

    def test_has_scores_and_reports(self, tracked):
        project, _ = tracked
        (run,) = project.runs
        # A slow machine's run may last long enough for MLflow to measure that machine.
        assert {name: score for name, score in run.data.metrics.items() if not name.startswith("system/")} == {
            "validation/ensemble": 0.3,
            "validation/members/0": 0.1,
            "validation/members/1": 0.2,
            "validation/intervals/ensemble/estimate": 0.3,
            "validation/intervals/ensemble/low": 0.25,
            "validation/intervals/ensemble/high": 0.35,
            "validation/intervals/ensemble/n_videos": 3.0,
            "n_videos": 3.0,
        }
        (kept,) = (project.path / "mlartifacts").glob("*/artifacts/reports/evaluation.json")
        assert json.loads(kept.read_text())["n_videos"] == 3

    def test_has_a_run_with_curves_for_each_member(self, tracked):
        project, _ = tracked
        (run,) = project.runs
        client = MlflowClient(project.uri)
        members = client.search_runs(
            [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'", order_by=["start_time"]
        )
        assert [(m.info.run_name, m.info.status) for m in members] == [
            ("member_0", "FINISHED"),
            ("member_1", "FINISHED"),
        ]
        assert members[1].data.params["training.optimiser.rate"] == "0.2"
        history = client.get_metric_history(members[1].info.run_id, "validation_correlation")
        assert [(point.step, point.value) for point in history] == [(1, 1.1), (2, 1.2), (3, 1.3)]

    def test_ends_with_the_scores_where_the_figures_are_and_what_comes_next(self, tracked):
        _, ended = tracked
        summary = [line[17:].partition("  [mgn_ma.hooks.summary]")[0] for line in ended.output.splitlines()]
        assert "Correlation on 3 validation videos, with 95 % intervals over videos:" in summary
        assert "  ensemble          0.300  [0.250, 0.350]  members 0.100 to 0.200" in summary
        assert "  kedro run --env sample --pipelines promotion" in ended.output
        assert "oracle" not in ended.output  # nobody knows one

    def test_prints_plain_lines_and_no_noise(self, tracked):
        _, ended = tracked
        assert ended.errors == ""
        assert "\x1b[" not in ended.output
        assert "Running node" not in ended.output
        assert ": done, " in ended.output
        assert "Tracked as 'chain [sample]'" in ended.output
        for noise in ("alembic", "Warning", "WARNING", "Loading data from", "params:", "kedro_mlflow"):
            assert noise not in ended.output.replace("params:training;", "")

    def test_tells_nobody(self, tracked):
        project, _ = tracked
        assert project.outbound == []
        assert subprocess.check_output(["git", "-C", str(project.path), "status", "--porcelain"], text=True) == ""


def test_a_run_that_lasts_has_system_metrics(project):
    project.kedro("run", MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="0.05")
    assert "system/cpu_utilization_percentage" in project.runs[0].data.metrics
    project.kedro("run", MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="0.05", MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING="false")
    assert not any(name.startswith("system/") for name in project.runs[0].data.metrics)


def test_kedro_viz_keeps_the_status_of_the_last_whole_run(project):
    status = project.path / ".viz/kedro_pipeline_events.json"
    of_the_chain = status.read_text()
    assert '"dataset": "evaluation"' in of_the_chain
    for part, code in ((["--pipelines", "fails"], 1), (["--namespaces", "stage"], 0)):
        ended = project.kedro("run", *part)
        assert (ended.code, "Workflow tracking" in ended.output) == (code, False)
        assert status.read_text() == of_the_chain
    project.kedro("run", "--pipelines", "fails,__default__")
    assert status.read_text() != of_the_chain


def test_the_guard_would_have_seen_a_call_home(project):
    """The control of the test above: with the switches turned round, libraries do try."""
    on = {"DO_NOT_TRACK": "", "KEDRO_DISABLE_TELEMETRY": "", "MLFLOW_DISABLE_TELEMETRY": "false"}
    project.kedro("run", **on)
    assert project.outbound


def test_a_failed_run_is_marked_with_its_reason(project):
    (project.path / "src/scratch/new.py").touch()
    ended = project.kedro("run", "--pipelines", "fails", cwd="data/01_raw")
    assert ended.code == 1
    assert ended.errors.rstrip().endswith("ValueError: the disk is made of cheese")
    run = project.runs[0]
    assert (run.info.status, run.info.run_name) == ("FAILED", "fails [base]")
    assert run.data.tags["error"] == "ValueError: the disk is made of cheese"
    assert (run.data.tags["git_dirty"], run.data.tags["git_changed_files"]) == ("true", "1")
    # It is kept in the project's database, wherever the run was started; this project was copied from another one.
    assert run.info.artifact_uri.startswith((project.path / "mlartifacts").as_uri())
    assert list((project.path / "data/01_raw").iterdir()) == []
    # The data of a run that does not read it anew are those on disk.
    assert run.data.tags["data_fingerprint"] == "0123abcd"


def test_an_interrupted_run_keeps_others_out_and_is_not_called_finished(project):
    process = project.process("run", "--pipelines", "waits")
    deadline = time.monotonic() + 120
    while not (project.path / "waiting").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    # It reads what a whole run writes, which meanwhile is refused and leaves no run.
    refused = project.kedro("run")
    assert refused.code == 1
    assert f"process {process.pid} on " in refused.errors
    assert "`kedro run --pipelines waits`" in refused.errors
    assert "Traceback" not in refused.errors
    assert len(project.runs) == 2
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert project.runs[0].info.status == "KILLED"


def test_a_server_that_is_down_stops_the_run_before_any_work(project):
    for marker in project.path.glob("epoch_*"):
        marker.unlink()
    uri = f"http://127.0.0.1:{unused_port()}"
    ended = project.kedro("run", MLFLOW_TRACKING_URI=uri)
    assert ended.code == 1
    assert "Traceback" not in ended.errors
    assert f"MLflow can't be used at {uri}" in ended.errors
    assert "unset it to track in this project's own mlflow.db" in ended.errors
    assert ": done, " not in ended.output
    assert list(project.path.glob("epoch_*")) == []
    assert len(project.runs) == 1


def test_no_data_ends_with_the_two_ways_to_come_by_it(project):
    ended = project.kedro("run", "--pipelines", "reads")
    assert ended.code == 1
    assert "Traceback" not in ended.errors
    error = ended.errors.strip().splitlines()
    assert error[0] == "Error: data/01_raw/annotations/train.csv does not exist: there is no data to run on. Either"
    assert error[3].strip() == "kedro run --env sample --pipelines sample_data,__default__"
    assert "data/01_raw" in error[1]
    assert project.runs[0].info.status == "FAILED"


def test_no_data_in_the_sample_says_how_to_render_it(project):
    ended = project.kedro("run", "--env", "sample", "--pipelines", "reads")
    assert "kedro run --env sample --pipelines sample_data,__default__" in ended.errors


def test_an_unknown_parameter_ends_the_run_early_by_name(project):
    ended = project.kedro("run", "--params", "training.optimiser.learning_rate=1")
    assert ended.code == 1
    assert "Traceback" not in ended.errors
    assert "optimiser.learning_rate" in ended.errors
    assert ": done, " not in ended.output


def test_a_runner_that_cannot_be_tracked_is_refused(project):
    ended = project.kedro("run", "--runner", "ParallelRunner")
    assert ended.code == 1
    assert "ParallelRunner can't be tracked" in ended.errors
    assert len(project.runs) == 1

"""MLflow on PostgreSQL: the whole chain, two processes at once, and a server as compose.yaml describes it."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import boto3
import mlflow
import psycopg2
import pytest
import requests
from containers import compose, default_command
from mlflow.tracking import MlflowClient
from object_store import object_store
from parallel_members import write_members
from ports import unused_port
from tiny_project import CHAIN, kedro, make_project, newest

from mgn_ma.tracking.server import TIMEOUT_S, TrackingUnavailableError, check

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SMALLEST = {
    "sample": {"videos": 8, "shortest_seconds": 4.0, "longest_seconds": 4.0, "awkward": False, "workers": 1},
    "execution": {"workers": 1},
    "video_level": {"epochs": 1, "folds": 2},
    "model": {"hidden": 16},
    "training": {"epochs": 2},
    "ensemble_members": {"count": 2, "shuffled_control": False},
    "evaluation": {"bootstrap": {"resamples": 100}},
}


def rows(database, query):
    """What PostgreSQL itself answers, without MLflow."""
    with closing(psycopg2.connect(database.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def chain(database, tmp_path_factory):
    """A project after the whole chain on the smallest sample, and what `kedro run` printed."""
    project = make_project(tmp_path_factory.mktemp("project"), SMALLEST)
    return project, kedro(project, *CHAIN, MLFLOW_TRACKING_URI=database)


class TestChain:
    def test_its_run_and_its_members_are_in_the_database(self, chain, database):
        project, _ = chain
        statuses = dict(rows(database, "SELECT name, status FROM runs"))
        assert statuses.keys() >= {"chain+sample_data [sample]", "member_1", "member_2"}
        assert set(statuses.values()) == {"FINISHED"}
        client = MlflowClient(database)
        runs = client.search_runs([client.get_experiment_by_name("mgn_ma").experiment_id])
        (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
        members = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        assert len(members) == len(runs) - 1 >= 2
        assert parent.data.params["training.epochs"] == "2"
        evaluation = json.loads(newest(project / "data/sample/08_reporting/evaluation.json").read_text())
        assert parent.data.metrics["validation/ensemble"] == pytest.approx(evaluation["validation"]["ensemble"])

    def test_curves_have_a_point_an_epoch(self, chain, database):
        query = """SELECT name, step FROM metrics JOIN runs USING (run_uuid)
                   WHERE key = 'validation_correlation' AND name LIKE 'member%' ORDER BY name, step"""
        assert rows(database, query) == [("member_1", 1), ("member_1", 2), ("member_2", 1), ("member_2", 2)]

    def test_reports_lie_beside_the_project_and_no_other_database_is_made(self, chain):
        project, _ = chain
        assert list((project / "mlartifacts").rglob("evaluation.json"))
        assert not (project / "mlflow.db").exists()

    def test_the_password_is_not_printed(self, chain, database):
        password = urlsplit(database).password
        assert "postgresql+psycopg2://…@127.0.0.1" in chain[1]
        assert password not in chain[1]


def test_two_processes_write_the_members_of_one_run_at_once(database):
    client = MlflowClient(database)
    experiment = client.create_experiment("parallel")
    parent = client.create_run(experiment)
    processes = [
        multiprocessing.get_context("spawn").Process(
            target=write_members, args=(database, experiment, parent.info.run_id, first)
        )
        for first in (0, 3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]
    runs = client.search_runs([experiment], filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert sorted(run.info.run_name for run in runs) == [f"parallel_{index}" for index in range(6)]
    for run in runs:
        seed = int(run.data.params["seed"])
        curve = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")]
        assert curve == [(step, seed + 1 / step) for step in range(1, 11)]


class TestUnusable:
    """What `kedro run` says when PostgreSQL answers, and says no."""

    def reason(self, database, old, new):
        began = time.monotonic()
        with pytest.raises(TrackingUnavailableError) as caught:
            check(database.replace(old, new))
        assert time.monotonic() - began < TIMEOUT_S
        return str(caught.value)

    def test_a_wrong_password(self, database):
        text = self.reason(database, urlsplit(database).password, "wr0ng")
        assert "password authentication failed" in text
        assert "wr0ng" not in text

    def test_a_database_that_is_not_there(self, database):
        text = self.reason(database, "/postgres", "/nowhere")
        assert 'database "nowhere" does not exist' in text
        assert urlsplit(database).password not in text

    def test_a_password_in_the_query_is_not_printed(self, database):
        parts = urlsplit(database)
        uri = f"postgresql+psycopg2://127.0.0.1:{parts.port}/postgres?user=mgn_ma&password=wr0ng"
        with pytest.raises(TrackingUnavailableError) as caught:
            check(uri)
        assert "password authentication failed" in str(caught.value)
        assert "wr0ng" not in str(caught.value)


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    """MLflow's server with the command of its image and the environment of its service: its address, its store's."""
    parts = urlsplit(database)
    with object_store() as store:
        bucket(store).create()
        secrets = {"POSTGRES_PASSWORD": unquote(parts.password), "S3_ACCESS_KEY": "k", "S3_SECRET_KEY": "s"}
        here = {"database:5432/mgn_ma": f"127.0.0.1:{parts.port}/postgres", "http://object-store:8333": store}
        environment = dict(os.environ)
        for name, value in compose(**secrets)["services"]["mlflow"]["environment"].items():
            environment[name] = next((value.replace(old, new) for old, new in here.items() if old in value), value)
        port = unused_port()
        command = [sys.executable, "-m", *default_command("tracking"), "--workers", "1"]
        command[command.index("--host") + 1] = "127.0.0.1"
        command[command.index("--port") + 1] = str(port)
        log = tmp_path_factory.mktemp("server") / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=environment, cwd=log.parent, stdout=output, stderr=output, start_new_session=True
            )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/health", process, log)
            yield address, store
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def bucket(store):
    """The bucket that the server writes to, past the server."""
    session = boto3.Session(aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
    return session.resource("s3", endpoint_url=store).Bucket("mlflow")


def wait_for(url, process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(requests.ConnectionError):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.2)
    pytest.fail(log.read_text())


class TestServer:
    def test_an_artifact_goes_through_it_to_the_object_store_and_back(self, server, database, tmp_path):
        address, store = server
        client = MlflowClient(address)
        run = client.create_run(client.create_experiment("served"))
        client.log_metric(run.info.run_id, "correlation", 0.25)
        (tmp_path / "report.json").write_text('{"n_videos": 3}')
        client.log_artifact(run.info.run_id, str(tmp_path / "report.json"), "reports")
        # Through the server: the client neither knows where the store is nor has its keys.
        assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
        back = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path="reports/report.json", tracking_uri=address, dst_path=str(tmp_path)
        )
        assert Path(back).read_text() == '{"n_videos": 3}'
        (stored,) = bucket(store).objects.all()
        assert stored.key.startswith("artifacts/")
        assert stored.get()["Body"].read() == b'{"n_videos": 3}'
        assert rows(database, f"SELECT value FROM metrics WHERE run_uuid = '{run.info.run_id}'") == [(0.25,)]

    @pytest.mark.parametrize(("host", "status"), [("mlflow:5000", 200), ("localhost:5000", 200), ("evil.example", 403)])
    def test_it_answers_under_the_names_that_compose_gives_it(self, server, host, status):
        url = f"{server[0]}/api/2.0/mlflow/experiments/search?max_results=1"
        assert requests.get(url, headers={"Host": host}, timeout=10).status_code == status

    def test_it_passes_for_usable(self, server):
        check(server[0])

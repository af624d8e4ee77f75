"""What the next run does about runs that were killed."""

import os
import shutil
import socket
import subprocess
import sys

from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from mgn_ma.tracking.run import end_killed_runs


def test_runs_whose_process_is_gone_are_called_killed_and_no_others(empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.create_experiment("mgn_ma", artifact_location=str(tmp_path / "mlartifacts"))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    def begin(host=None, process=None, parent=None):
        tags = {"mgn_ma.host": host, "mgn_ma.process": process, MLFLOW_PARENT_RUN_ID: parent}
        return client.create_run(experiment, tags={k: str(v) for k, v in tags.items() if v}).info.run_id

    killed = begin(socket.gethostname(), gone.pid)
    member, model = begin(parent=killed), client.create_logged_model(experiment, source_run_id=killed)
    others = [begin(socket.gethostname(), os.getpid()), begin("elsewhere", gone.pid), begin()]
    made = client.create_logged_model(experiment, source_run_id=others[0])
    failed = begin()
    client.set_terminated(failed, "FAILED")
    abandoned = client.create_logged_model(experiment, source_run_id=failed)
    end_killed_runs(client, experiment)
    assert [client.get_run(run_id).info.status for run_id in (killed, member)] == ["KILLED", "KILLED"]
    assert {client.get_run(run_id).info.status for run_id in others} == {"RUNNING"}
    statuses = [str(client.get_logged_model(each.model_id).status) for each in (model, abandoned, made)]
    assert statuses == ["FAILED", "FAILED", "PENDING"]

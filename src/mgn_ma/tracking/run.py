"""The MLflow run of one `kedro run`: begun before the first node, and ended however the nodes end."""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, LifecycleStage, LoggedModelStatus
from mlflow.tracking import MlflowClient
from mlflow.tracking.context.default_context import DefaultRunContext
from mlflow.tracking.context.system_environment_context import SystemEnvironmentContext
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID

from mgn_ma.redaction import redacted
from mgn_ma.temporary import temporary_folder
from mgn_ma.tracking.outage import ask, ask_again, limit_retries
from mgn_ma.tracking.records import flatten_metrics, log_metrics, log_parameters
from mgn_ma.tracking.server import artifact_location, check

if TYPE_CHECKING:
    import pandas as pd

    from mgn_ma.training.packed import PackedSplit

logger = logging.getLogger(__name__)

LARGEST_ARTIFACT_BYTES = 64 * 1024**2
_HOST_TAG, _PROCESS_TAG = "mgn_ma.host", "mgn_ma.process"


class TrackedRun:
    """A run that is the active one of this process; a server that goes away meanwhile costs warnings, not the run.

    One that is ``adopted`` was begun by somebody else, who then ends it, too.
    """

    def __init__(self, run_id: str, experiment_id: str, name: str, *, adopted: bool) -> None:
        self.run_id = run_id
        self.experiment_id = experiment_id
        self.name = name
        self._adopted = adopted
        # An interrupt (Ctrl-C) is no end that Kedro reports; MLflow would call the run finished.
        atexit.register(self.end, "KILLED")

    def activate(self) -> None:
        """Make it the active run of this thread, too."""
        if mlflow.active_run() is None:
            # Its system metrics are those of the process, and are taken in the thread that began it.
            ask("in which thread it works", lambda: mlflow.start_run(run_id=self.run_id, log_system_metrics=False))

    def log_parameters(self, values: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
        """Keep what is known before the first node."""
        ask("the run's parameters", lambda: log_parameters(MlflowClient(), self.run_id, values))
        ask("the run's versions", lambda: mlflow.set_tags({key: redacted(str(value)) for key, value in tags.items()}))

    def log_report(self, report: Mapping[str, Any], leave_out: frozenset[str]) -> None:
        """Keep the numbers of a report as metrics, but for what stands under the keys ``leave_out``."""
        ask("the scores", lambda: log_metrics(MlflowClient(), self.run_id, flatten_metrics(report, leave_out)))

    def set_tag(self, name: str, value: str) -> None:
        """Keep one tag."""
        ask(f"the tag {name}", lambda: MlflowClient().set_tag(self.run_id, name, redacted(value)))

    def log_file(self, filesystem: Any, path: str) -> None:
        """Keep a copy of a file of an fsspec file system, if it is not too large."""
        size = filesystem.size(path)
        if size > LARGEST_ARTIFACT_BYTES:
            logger.warning("%s (%d MiB) is too large to be copied to MLflow", path, size // 1024**2)
            return
        with temporary_folder("report") as folder:
            local = folder / Path(path).name
            filesystem.get_file(path, str(local))
            ask(path, lambda: MlflowClient().log_artifact(self.run_id, str(local), "reports"))

    def log_input(self, name: str, split: PackedSplit, place: str) -> None:
        """Say that the run reads a packed split: its digest, where it stands, how large it is; no data are copied.

        Args:
            name: in the catalog.
            place: of its folder.
        """
        described = split.description
        profile = {"num_rows": split.n_frames, "num_videos": len(described.video_ids)}
        dataset = Dataset(name, described.arrays, "local", json.dumps({"uri": place}), profile=json.dumps(profile))
        read = DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, described.split)])
        ask(f"the input {name}", lambda: MlflowClient().log_inputs(self.run_id, [read]))

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Keep a table that MLflow's page shows, and compares between runs."""
        ask(f"the table {name}", lambda: MlflowClient().log_table(self.run_id, table, f"{name}.json"))

    def end(self, status: str) -> None:
        """Close the run, and any that was left open under it, as FINISHED, FAILED or KILLED."""
        atexit.unregister(self.end)
        if self._adopted:
            return
        ask("the end of the run", lambda: self._end(status), always=True)

    def _end(self, status: str) -> None:
        ended = set()
        while (active := mlflow.active_run()) is not None:
            ended.add(active.info.run_id)
            mlflow.end_run(status)
        if self.run_id not in ended:  # it was begun in another thread
            MlflowClient().set_terminated(self.run_id, status)

    def address(self) -> str:
        """Where a reader finds the run: its page on a server, else the database and what shows it."""
        uri = mlflow.get_tracking_uri()
        if uri.startswith("http"):
            return f"{redacted(uri)}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
        return f"run {self.run_id} (`mlflow ui --backend-store-uri {redacted(uri)}` shows it)"


def start_run(uri: str, experiment: str, name: str, project_path: Path) -> TrackedRun:
    """Begin a run, or go on in the one that is active.

    Args:
        experiment: made where it is not there, restored where it was deleted.
        project_path: where artifacts go, unless a server decides.

    Raises:
        TrackingUnavailableError: MLflow can't be used there.
    """
    active = mlflow.active_run()
    if active is not None:
        return TrackedRun(active.info.run_id, active.info.experiment_id, active.info.run_name, adopted=True)
    limit_retries()
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # with the password that may be in it
    check(uri)
    ask_again()
    mlflow.set_tracking_uri(uri)
    # As mlflow.start_run makes one, without its search for notebooks and repositories, which imports IPython.
    given = SystemEnvironmentContext()
    tags = DefaultRunContext().tags() | (given.tags() if given.in_context() else {})  # type: ignore[no-untyped-call]
    experiment_id = _experiment_id(experiment, uri, project_path)
    ask("the end of runs that were killed", lambda: end_killed_runs(MlflowClient(), experiment_id))
    tags |= {_HOST_TAG: socket.gethostname(), _PROCESS_TAG: str(os.getpid())}
    run = MlflowClient().create_run(experiment_id, tags=tags, run_name=name)
    # What MLflow does not get is told by `ask`; the thread of the system metrics would tell it with the password in it.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    mlflow.start_run(run_id=run.info.run_id)
    return TrackedRun(run.info.run_id, experiment_id, name, adopted=False)


def end_killed_runs(client: MlflowClient, experiment_id: str) -> None:
    """Mark as KILLED the runs whose process on this machine is gone, and members of runs that have ended.

    Models that no run works on any more and that still stand as PENDING are marked as FAILED.
    """
    running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'")
    ended = {run.info.run_id for run in running if _is_gone(run.data.tags)}
    alive = {run.info.run_id for run in running} - ended
    parents = {run.info.run_id: run.data.tags.get(MLFLOW_PARENT_RUN_ID) for run in running}
    ended |= {run_id for run_id, parent in parents.items() if parent is not None and parent not in alive}
    for run_id in ended:
        client.set_terminated(run_id, "KILLED")
    alive -= ended
    for model in client.search_logged_models([experiment_id]):  # the newest; MLflow's filter finds no status
        pending = model.status == LoggedModelStatus.PENDING
        if pending and model.source_run_id is not None and model.source_run_id not in alive:
            client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)


def _is_gone(tags: Mapping[str, str]) -> bool:
    if tags.get(_HOST_TAG) != socket.gethostname() or sys.platform == "win32":
        return False
    try:
        os.kill(int(tags[_PROCESS_TAG]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, and alive
        pass
    return False


def _experiment_id(name: str, uri: str, project_path: Path) -> str:
    client = MlflowClient()
    found = client.get_experiment_by_name(name)
    if found is None:
        location = artifact_location(uri, project_path)
        return str(client.create_experiment(name, artifact_location=location and Path(location).as_uri()))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)

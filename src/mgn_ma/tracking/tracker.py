"""The far end of the training loop's callback: a nested MLflow run a member, with curves that grow while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import mlflow
from mlflow.entities import Metric, RunStatus
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from mgn_ma.tracking.outage import ask
from mgn_ma.tracking.records import log_parameters

MetricLogger = Callable[[Mapping[str, float], int], None]
"""``log(metrics, step)``: the numbers of one epoch, by name."""


class NullTracker:
    """Keeps nothing: for notebooks, tests and runs with tracking switched off."""

    def member(self, name: str, params: Mapping[str, object]) -> AbstractContextManager[MetricLogger]:
        """A logger that drops what it is given."""
        return nullcontext(_drop)


def _drop(metrics: Mapping[str, float], step: int) -> None:
    """Accept and forget."""


class MlflowTracker:
    """Nested runs under the run ``parent_run_id`` of the MLflow at ``tracking_uri``.

    It addresses runs by id and never the process-wide active run, so several members may report at once, from threads
    as well as from other processes (it pickles).
    """

    def __init__(self, tracking_uri: str, experiment_id: str, parent_run_id: str) -> None:
        self.tracking_uri = tracking_uri
        self.experiment_id = experiment_id
        self.parent_run_id = parent_run_id

    @contextmanager
    def member(self, name: str, params: Mapping[str, object]) -> Iterator[MetricLogger]:
        """A nested run called ``name``: FINISHED on a normal exit, FAILED on an error, KILLED on an interrupt."""
        run_id = self._start(name, params)
        if run_id is None:
            yield _drop
            return
        status = RunStatus.KILLED
        try:
            yield MemberLog(self.tracking_uri, run_id)
            status = RunStatus.FINISHED
        except Exception:
            status = RunStatus.FAILED
            raise
        finally:
            ended = RunStatus.to_string(status)
            ask(f"the end of member {name}", lambda: self._client().set_terminated(run_id, ended))

    def _start(self, name: str, params: Mapping[str, object]) -> str | None:
        tags = {MLFLOW_PARENT_RUN_ID: self.parent_run_id}
        run = ask(f"member {name}", lambda: self._client().create_run(self.experiment_id, run_name=name, tags=tags))
        if run is None:
            return None
        run_id = str(run.info.run_id)
        ask(f"the parameters of member {name}", lambda: log_parameters(self._client(), run_id, params))
        return run_id

    def _client(self) -> MlflowClient:
        return MlflowClient(self.tracking_uri)


class MemberLog:
    """Writes one member's metrics to its run at once, so that MLflow's page shows the curve while it grows.

    What a server that does not answer has missed is in the learning curves' table anyway.
    """

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self.tracking_uri = tracking_uri
        self.run_id = run_id

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        """Log the ``metrics`` of epoch ``step``."""
        now = int(time.time() * 1000)
        batch = [Metric(name, float(value), now, step) for name, value in metrics.items()]
        ask(
            f"the curves of run {self.run_id} from step {step} on",
            lambda: MlflowClient(self.tracking_uri).log_batch(self.run_id, batch),
        )


Tracker = MlflowTracker | NullTracker


def current_tracker() -> Tracker:
    """A tracker under the active MLflow run, or one that keeps nothing when there is none."""
    active = mlflow.active_run()
    if active is None:
        return NullTracker()
    return MlflowTracker(mlflow.get_tracking_uri(), active.info.experiment_id, active.info.run_id)

"""Every `kedro run` is an MLflow run: parameters, code, data, numbers, figures and tables, and how it ended."""

from __future__ import annotations

import atexit
import logging
import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import mlflow
from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from mlflow.entities import RunStatus
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_GIT_BRANCH, MLFLOW_GIT_COMMIT

from mgn_ma.errors import MGNMAError
from mgn_ma.hooks.catalog_files import layer, metadata, saved_file
from mgn_ma.hooks.quiet import MlflowHook
from mgn_ma.tracking.code_version import code_version
from mgn_ma.tracking.outage import limit_patience, surviving_outage
from mgn_ma.tracking.records import flatten_metrics, log_metrics, log_parameters
from mgn_ma.tracking.server import SQLITE, artifact_location, check, redacted, resolve_uri

logger = logging.getLogger(__name__)

URI_VARIABLE = "MLFLOW_TRACKING_URI"
METRICS_REPORT = "evaluation"
"""The dataset whose numbers become the run's metrics."""
DETAILS = frozenset({"expressions", "calibration", "methods"})
"""Its tables by expression and by method: hundreds of numbers, which are read in the report and not compared by run."""
FINGERPRINT = "data_fingerprint"
"""The dataset that says by a hash which data a run was made with."""
LARGEST_ARTIFACT_BYTES = 64 * 1024**2
_ERROR_LENGTH = 2000


class TrackedRunnerError(MGNMAError):
    """The runner that was asked for can't be tracked."""


class TrackingHooks(MlflowHook):  # type: ignore[misc]
    """kedro-mlflow's hook, with what this project wants otherwise.

    It checks that MLflow answers before anything else happens; logs typed parameters flat and all at once, before the
    first node; opens a thread's run only where it is missing (kedro-mlflow stacks it up once a node); and puts every
    dataset of the reporting layer beside the run's numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._context: KedroContext | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._own_uri: str | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Settle where to track and make sure that it answers.

        Raises:
            TrackingUnavailableError: MLflow can't be used there.
        """
        self._context = context
        limit_patience()
        if mlflow.active_run() is None:
            uri = self._settle_uri(context)
            check(uri)
            self._own_uri = uri
        super().after_context_created(context)

    def _settle_uri(self, context: KedroContext) -> str:
        """``MLFLOW_TRACKING_URI`` if the user has set it, else mlflow.yml's; written back for kedro-mlflow."""
        loader = cast(OmegaConfigLoader, context.config_loader)
        loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
        given = os.environ.get(URI_VARIABLE)
        if given == self._own_uri:  # MLflow leaves there what an earlier session of this process has settled
            given = None
        try:
            configured = loader["mlflow"]
        except MissingConfigException:
            configured = {}
        loader["mlflow"] = settled(configured, given, Path(context.project_path))
        uri = str(loader["mlflow"]["server"]["mlflow_tracking_uri"])
        if uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists():
            logger.info("Creating the tracking database %s (once, takes some seconds)", uri.removeprefix(SQLITE))
        return uri

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Start the run, named by its pipelines and environment, with all that is known before the first node.

        Raises:
            TrackedRunnerError: Kedro's ParallelRunner, whose processes would each start runs of their own.
        """
        if "ParallelRunner" in str(run_params.get("runner")):
            raise TrackedRunnerError(
                "ParallelRunner can't be tracked: each of its processes would start a run of its own. Use the default "
                "runner; the parameters `execution` set how many processes extraction and training use."
            )
        self._catalog = catalog
        run = self.mlflow_config.tracking.run
        run.name = run.name or run_name(run_params)
        # Kedro gives the runner's repr, with an address in memory.
        runner = str(run_params.get("runner")).partition(" object")[0].rpartition(".")[2]
        super().before_pipeline_run(run_params | {"runner": runner}, pipeline, catalog)
        if not self._is_mlflow_enabled:
            return
        atexit.register(self._close_killed)
        with surviving_outage("the run's parameters and versions"):
            log_parameters(MlflowClient(), self.run_id, parameters(pipeline, catalog))
            mlflow.set_tags(
                self._versions() | {"env": run_params.get("env") or "base", "kedro_command": command(run_params)}
            )
            if FINGERPRINT in catalog and FINGERPRINT not in pipeline.all_outputs() and catalog.exists(FINGERPRINT):
                self._tag_fingerprint(catalog[FINGERPRINT].load())

    def _versions(self) -> dict[str, str]:
        version = code_version(Path(self._context.project_path)) if self._context else None
        if version is None:
            return {"git_commit": "unknown"}
        return {
            MLFLOW_GIT_COMMIT: version.commit,
            MLFLOW_GIT_BRANCH: version.branch,
            "git_commit": version.commit,
            "git_dirty": str(version.dirty).lower(),
            "git_changed_files": str(version.changed_files),
        }

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: CatalogProtocol[Any, Any], inputs: dict[str, Any], is_async: bool
    ) -> None:
        """Make the run the active one in this thread; parameters are logged already."""
        if self._is_mlflow_enabled and mlflow.active_run() is None:
            super().before_node_run(node, catalog, {}, is_async)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep what belongs beside the run: the data's fingerprint, the scores, and each report as a file."""
        if not (self._is_mlflow_enabled and self.run_id and self._catalog is not None):
            return
        with surviving_outage(dataset_name):
            if dataset_name == FINGERPRINT:
                self._tag_fingerprint(data)
            if dataset_name == METRICS_REPORT:
                log_metrics(MlflowClient(), self.run_id, flatten_metrics(data, leave_out=DETAILS))
            if is_report(self._catalog.get(dataset_name)):
                self._log_file(dataset_name)

    def _tag_fingerprint(self, data: Mapping[str, Any]) -> None:
        MlflowClient().set_tag(self.run_id, FINGERPRINT, str(data.get("fingerprint", "unknown")))

    def _log_file(self, dataset_name: str) -> None:
        file = saved_file(self._catalog.get(dataset_name) if self._catalog else None)
        if file is None:
            return
        size = file.filesystem.size(file.path)
        if size > LARGEST_ARTIFACT_BYTES:
            logger.warning("%s (%d MiB) is too large to be copied to MLflow", dataset_name, size // 1024**2)
            return
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / file.name
            file.filesystem.get_file(file.path, str(local))
            MlflowClient().log_artifact(self.run_id, str(local), "reports")

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Close the run and say where it is."""
        atexit.unregister(self._close_killed)
        with surviving_outage("the end of the run"):
            super().after_pipeline_run(run_params, pipeline, catalog)
            if self._is_mlflow_enabled:
                logger.info("Tracked as '%s': %s", self.mlflow_config.tracking.run.name, self._address())

    @hook_impl
    def on_pipeline_error(
        self, error: Exception, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Mark the run FAILED, with the reason."""
        atexit.unregister(self._close_killed)
        if not self._is_mlflow_enabled:
            return
        with surviving_outage("the run's failure"):
            MlflowClient().set_tag(self.run_id, "error", f"{type(error).__name__}: {error}"[:_ERROR_LENGTH])
            super().on_pipeline_error(error, run_params, pipeline, catalog)

    def _close_killed(self) -> None:
        """An interrupt (Ctrl-C) is no end that Kedro reports; MLflow would call the run finished."""
        with surviving_outage("the run's interruption"):
            while mlflow.active_run() is not None:
                mlflow.end_run(RunStatus.to_string(RunStatus.KILLED))

    def _address(self) -> str:
        """Where a reader finds the run: its page on a server, else the database and what shows it."""
        uri = str(self.mlflow_config.server.mlflow_tracking_uri)
        if uri.startswith("http"):
            experiment = self.mlflow_config.tracking.experiment._experiment.experiment_id
            return f"{redacted(uri)}/#/experiments/{experiment}/runs/{self.run_id}"
        return f"run {self.run_id} in {redacted(uri)} (look at it with `make mlflow-ui`)"


def parameters(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, Any]:
    """All parameters that some node of ``pipeline`` reads, by name."""
    names = sorted(name for name in pipeline.inputs() if name.startswith("params:"))
    everything = catalog["parameters"].load() if "parameters" in pipeline.inputs() else {}
    return everything | {name.removeprefix("params:"): catalog[name].load() for name in names}


def settled(configured: Mapping[str, Any], given: str | None, project_path: Path) -> dict[str, Any]:
    """The content of mlflow.yml with the address that holds, ``given`` before configured, and a place for artifacts."""
    server = dict(configured.get("server") or {})
    uri = resolve_uri(given or server.get("mlflow_tracking_uri") or f"{SQLITE}mlflow.db", project_path)
    tracking = dict(configured.get("tracking") or {})
    experiment = dict(tracking.get("experiment") or {})
    location = artifact_location(uri, project_path)
    if location is not None:
        experiment.setdefault("create_experiment_kwargs", {"artifact_location": location})
    return {
        **configured,
        "server": server | {"mlflow_tracking_uri": uri},
        "tracking": tracking | {"experiment": experiment},
    }


def is_report(dataset: Any) -> bool:
    """Whether a run keeps what ``dataset`` writes: its ``metadata.mgn_ma.track``, else whether it is a report."""
    wish = (metadata(dataset).get("mgn_ma") or {}).get("track")
    return layer(dataset) == "reporting" if wish is None else bool(wish)


def run_name(run_params: Mapping[str, Any]) -> str:
    """What a run is found by: its pipelines and its environment, and whether it was a part of them."""
    # Kedro gives them in an order that changes from one process to the next.
    pipelines = "+".join(sorted(run_params.get("pipeline_names") or ["__default__"]))
    part = any(run_params.get(key) for key in _SLICES)
    return f"{pipelines}{' (part)' if part else ''} [{run_params.get('env') or 'base'}]"


_SLICES = {
    "tags": "--tags",
    "from_nodes": "--from-nodes",
    "to_nodes": "--to-nodes",
    "node_names": "--nodes",
    "from_inputs": "--from-inputs",
    "to_outputs": "--to-outputs",
    "namespaces": "--namespaces",
}


def command(run_params: Mapping[str, Any]) -> str:
    """The command line that starts such a run again, without ``--params`` (they are the run's parameters)."""
    words = ["kedro", "run"]
    if run_params.get("env"):
        words += ["--env", str(run_params["env"])]
    if run_params.get("pipeline_names"):
        words += ["--pipelines", ",".join(sorted(run_params["pipeline_names"]))]
    for key, option in _SLICES.items():
        if run_params.get(key):
            words += [option, ",".join(run_params[key])]
    if run_params.get("load_versions"):
        words += [
            "--load-versions",
            ",".join(f"{name}:{version}" for name, version in run_params["load_versions"].items()),
        ]
    return shlex.join(words)

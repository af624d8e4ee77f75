"""Every `kedro run` is an MLflow run: parameters, code, data, numbers, figures and tables, and how it ended.

MLflow takes seconds to import, so that happens when a run starts.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import ValidationError

from mgn_ma.configuration import Configuration
from mgn_ma.errors import MGNMAError
from mgn_ma.hooks.catalog_files import metadata, saved_file
from mgn_ma.tracking.code_version import code_version
from mgn_ma.tracking.server import resolve_uri

if TYPE_CHECKING:
    from mgn_ma.tracking.run import TrackedRun

logger = logging.getLogger(__name__)

URI_VARIABLE = "MLFLOW_TRACKING_URI"
METRICS_REPORT = "evaluation"
"""The dataset whose numbers become the run's metrics."""
DETAILS = frozenset({"expressions", "calibration", "methods", "reactions"})
"""Its tables by expression and by method: hundreds of numbers, which are read in the report and not compared by run."""
FINGERPRINT = "data_fingerprint"
"""The dataset that says by a hash which data a run was made with."""
VIDEO_TABLE = "ensemble_scores"
"""The dataset with a row a video, which MLflow's page shows as a table."""
_ERROR_LENGTH = 2000


class TrackingConfigError(MGNMAError):
    """``mlflow.yml`` can't be used; the message says why."""


class TrackedRunnerError(MGNMAError):
    """The runner that was asked for can't be tracked."""


class TrackingConfig(Configuration):
    """What ``mlflow.yml`` holds.

    Attributes:
        tracking_uri: a relative SQLite file is meant from the project's root.
        experiment: name of the experiment that all runs are in.
        run_name: of every run; by default a run is named by its pipelines and its environment.
    """

    tracking_uri: str = "sqlite:///mlflow.db"
    experiment: str = "mgn_ma"
    run_name: str | None = None


class TrackingHooks:
    """Begins an MLflow run with all that is known before the first node, keeps files and scores, and ends it."""

    def __init__(self) -> None:
        self._config = TrackingConfig()
        self._project_path = Path()
        self._own_uri: str | None = None
        self._run: TrackedRun | None = None
        self._catalog: CatalogProtocol[Any, Any] | None = None
        self._inputs: set[str] = set()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Settle where MLflow is: ``MLFLOW_TRACKING_URI`` if the user has set it, else ``mlflow.yml``'s address.

        Raises:
            TrackingConfigError: ``mlflow.yml`` has an entry that is not known, or a wrong value.
        """
        self._project_path = Path(context.project_path)
        try:
            self._config = TrackingConfig.model_validate(context.config_loader["mlflow"])
        except MissingConfigException:
            self._config = TrackingConfig()
        except ValidationError as error:
            raise TrackingConfigError(f"mlflow.yml: {error}") from error
        given = os.environ.get(URI_VARIABLE)
        if given == self._own_uri:  # set by an earlier session of this process
            given = None
        self._own_uri = resolve_uri(given or self._config.tracking_uri, self._project_path)
        os.environ[URI_VARIABLE] = self._own_uri

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Start the run, named by its pipelines and environment.

        Raises:
            TrackedRunnerError: Kedro's ParallelRunner, whose processes would each start runs of their own.
            TrackingUnavailableError: MLflow can't be used.
        """
        if "ParallelRunner" in str(run_params.get("runner")):
            raise TrackedRunnerError(
                "ParallelRunner can't be tracked: each of its processes would start a run of its own. Use the default "
                "runner; the parameters `execution` set how many processes extraction and training use."
            )
        from mgn_ma.tracking.run import start_run

        name = self._config.run_name or run_name(run_params)
        self._catalog = catalog
        self._inputs.clear()
        self._run = start_run(os.environ[URI_VARIABLE], self._config.experiment, name, self._project_path)
        # Kedro gives the runner's repr, with an address in memory.
        runner = str(run_params.get("runner")).partition(" object")[0].rpartition(".")[2]
        about = {key: value for key, value in run_params.items() if value}
        about |= {"runner": runner, "env": run_params.get("env") or "base", "kedro_command": command(run_params)}
        self._run.log_parameters(parameters(pipeline, catalog), about | self._versions())
        if FINGERPRINT in catalog and FINGERPRINT not in pipeline.all_outputs() and catalog.exists(FINGERPRINT):
            self._run.set_tag(FINGERPRINT, _fingerprint(catalog[FINGERPRINT].load()))

    def _versions(self) -> dict[str, str]:
        version = code_version(self._project_path)
        if version is None:
            return {"git_commit": "unknown"}
        return {
            "mlflow.source.git.commit": version.commit,
            "mlflow.source.git.branch": version.branch,
            "git_commit": version.commit,
            "git_dirty": str(version.dirty).lower(),
            "git_changed_files": str(version.changed_files),
        }

    @hook_impl
    def before_node_run(self) -> None:
        """Make the run the active one in this thread."""
        if self._run is not None:
            self._run.activate()

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Say which packed splits the run reads."""
        if self._run is None or dataset_name in self._inputs:
            return
        from mgn_ma.training.packed import PackedSplit  # with numpy, which a start can do without

        if isinstance(data, PackedSplit):
            self._inputs.add(dataset_name)
            place = str(data.folder).removeprefix(f"{self._project_path}/")
            self._run.log_input(dataset_name, data, place)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep what belongs beside the run: the data's fingerprint, the scores, and each file that is tracked."""
        if self._run is None or self._catalog is None:
            return
        if dataset_name == FINGERPRINT:
            self._run.set_tag(FINGERPRINT, _fingerprint(data))
        if dataset_name == METRICS_REPORT:
            self._run.log_report(data, leave_out=DETAILS)
        if dataset_name == VIDEO_TABLE:
            self._run.log_table(data, VIDEO_TABLE)
        dataset = self._catalog.get(dataset_name)
        file = saved_file(dataset) if (metadata(dataset).get("mgn_ma") or {}).get("track") else None
        if file is not None:
            self._run.log_file(file.filesystem, file.path)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Close the run and say where it is."""
        if self._run is not None:
            self._run.end("FINISHED")
            logger.info("Tracked as '%s': %s", self._run.name, self._run.address())

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Mark the run FAILED, with the reason."""
        if self._run is not None:
            self._run.set_tag("error", f"{type(error).__name__}: {error}"[:_ERROR_LENGTH])
            self._run.end("FAILED")


def _fingerprint(data: Mapping[str, Any]) -> str:
    return str(data.get("fingerprint", "unknown"))


def parameters(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, Any]:
    """All parameters that some node of ``pipeline`` reads, by name."""
    names = sorted(name for name in pipeline.inputs() if name.startswith("params:"))
    everything = catalog["parameters"].load() if "parameters" in pipeline.inputs() else {}
    return everything | {name.removeprefix("params:"): catalog[name].load() for name in names}


def run_name(run_params: Mapping[str, Any]) -> str:
    """What a run is found by: its pipelines and its environment, and whether it was a part of them.

    The default pipeline is called the chain.
    """
    # Kedro gives them in an order that changes from one process to the next.
    pipelines = "+".join(sorted(run_params.get("pipeline_names") or ["__default__"])).replace("__default__", "chain")
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

"""Kedro's project settings: configuration environments, how they merge, and the hooks that every run has."""

from __future__ import annotations

import os
import warnings

from mgn_ma.garbage import collect_rarely
from mgn_ma.telemetry import disable_telemetry

collect_rarely()
disable_telemetry()  # before Kedro loads its plugins, which read the switches on import
# What Kedro's and MLflow's insides say about themselves helps nobody who reads a run's output.
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Processors, memory, disk and network while a run works, every ten seconds: a shorter run has none.
os.environ.setdefault("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
# To find out that this is no job of Databricks, MLflow would import IPython with every run.
os.environ.setdefault("MLFLOW_ENABLE_SGC_RUN_RESUMPTION_FOR_DATABRICKS_JOBS", "false")
warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated")
# A dot means a modality's namespace here too: image.tracks is read by nodes outside of it.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.' characters")

from kedro.config import OmegaConfigLoader  # noqa: E402

from mgn_ma.hooks import ErrorHooks, OneWriterHooks, SummaryHooks, TrackingHooks, VizStatusHooks  # noqa: E402

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*"]},
    # An environment states only what differs from base; parameters merge key by key.
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
}
# The last one registered is asked first: a run that is refused is not tracked, tracking is checked before work, and the
# summary is what a run ends with.
HOOKS = (VizStatusHooks(), SummaryHooks(), TrackingHooks(), ErrorHooks(), OneWriterHooks())
# Where kedro-mlflow is installed beside this project, a run must not be two.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry", "kedro_mlflow")

"""The one place that keeps every library of this project from sending usage statistics.

Kedro, MLflow, Ray and the Hugging Face hub each have a switch of their own, read from the environment when they are
imported. Importing :mod:`mgn_ma.settings`, which Kedro does before it loads any plugin, sets them all; a value that the
user has set stands.
"""

from __future__ import annotations

import os

SWITCHES = {
    # kedro-telemetry looks here before it writes an id into pyproject.toml; MLflow wants the word, not a number.
    "DO_NOT_TRACK": "true",
    "KEDRO_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Not HF_HUB_OFFLINE: extractors look into the local cache only as it is, and the pipeline `weights` has to fetch.
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def disable_telemetry() -> None:
    """Switch usage statistics off in this process and in those that it starts."""
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)

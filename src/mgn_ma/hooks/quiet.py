"""kedro-mlflow, imported without the lines that it and MLflow print about each other."""

from __future__ import annotations

import logging
import warnings

with warnings.catch_warnings():
    # MLflow finds kedro-mlflow's own model class untyped and says so on every `kedro run`; it puts its filter before
    # any that was set earlier.
    warnings.showwarning = lambda *_arguments, **_options: None
    from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook

# It sets its own level on import, over what conf/logging.yml says.
logging.getLogger("kedro_mlflow").setLevel(logging.WARNING)

__all__ = ["MlflowHook"]

"""A registry in a database of its own, and ensembles to register."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))

from mgn_ma.tracking.registry import ModelRegistry


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables and nothing in it; making them takes seconds, a copy none."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def registry(empty_database, tmp_path):
    """The registry of a run that goes on."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.create_experiment("mgn_ma", artifact_location=str(tmp_path / "mlartifacts"))
    run = client.create_run(experiment, tags={"git_commit": "0123abcd", "git_dirty": "false"})
    return ModelRegistry(uri, run_id=run.info.run_id)

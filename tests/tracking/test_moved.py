"""A project that was moved or copied, under names that are addresses in part: its artifacts are those beside it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from mgn_ma.tracking.moved import ArtifactsLeftBehindError
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.server import artifact_location, check, resolve_uri


def registry_in(project):
    """The registry of a run that begins in a project."""
    uri = resolve_uri("sqlite:///mlflow.db", project)
    check(uri)
    client = MlflowClient(uri)
    found = client.get_experiment_by_name("mgn_ma")
    place = Path(artifact_location(uri, project)).as_uri()
    experiment = found.experiment_id if found else client.create_experiment("mgn_ma", artifact_location=place)
    return ModelRegistry(uri, run_id=client.create_run(experiment).info.run_id)


def addresses(project):
    with closing(sqlite3.connect(project / "mlflow.db")) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture
def project(empty_database, tmp_path):
    folder = tmp_path / "what?now 50%20off"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


def test_a_model_is_found_where_the_project_went_and_the_original_is_left_alone(bundle, project, tmp_path):
    registry_in(project).register(bundle)
    assert (project / "mlartifacts").is_dir()
    assert not list(tmp_path.glob("what"))
    before = addresses(project)
    assert f"{project.as_uri()}/mlartifacts/models/" in before

    copy = shutil.copytree(project, tmp_path / "copy#2")
    registry = registry_in(copy)
    shutil.move(project, tmp_path / "away")
    assert registry.bundle("models:/mgn-ma@challenger").digest() == bundle.digest()
    assert project.as_uri() not in addresses(copy)
    artifact = tmp_path / "report.txt"
    artifact.touch()
    registry.client.log_artifact(registry.run_id, str(artifact))
    assert list((copy / "mlartifacts").rglob("report.txt"))
    assert addresses(tmp_path / "away") == before

    shutil.move(tmp_path / "away", project)
    registry_in(project)
    assert copy.as_uri() not in addresses(project)


def test_a_database_without_its_artifacts_is_refused_with_the_command_that_brings_them(project, tmp_path):
    registry = registry_in(project)
    (project / "mlartifacts").mkdir()
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(project / "mlflow.db", copy)
    before = addresses(copy)
    with pytest.raises(ArtifactsLeftBehindError, match=r"\n    cp -r '.*what\?now 50%20off/mlartifacts' .*mlartifacts"):
        check(resolve_uri("sqlite:///mlflow.db", copy))
    assert addresses(copy) == before
    shutil.copytree(project / "mlartifacts", copy / "mlartifacts")
    client = registry_in(copy).client
    run = client.get_run(registry.run_id)
    assert run.info.artifact_uri == f"{copy.as_uri()}/mlartifacts/{run.info.run_id}/artifacts"

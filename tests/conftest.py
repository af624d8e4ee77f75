"""What every test starts from, and a small model and film that tests of several rooms predict with."""

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent / "support"), str(Path(__file__).parents[1] / "benchmarks")]


def pytest_configure():
    """Let Ctrl-C work: a shell that starts the tests in the background has them, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bundle():
    """An untrained ensemble of two on the descriptors' tracks, which needs no weights."""
    import example_model

    return example_model.make_bundle()


@pytest.fixture(scope="session")
def bundle_folder(bundle, tmp_path_factory):
    """The same, on disk."""
    from mgn_ma.files import Folder
    from mgn_ma.inference.bundle import save_bundle

    folder = tmp_path_factory.mktemp("bundle")
    save_bundle(bundle, Folder(folder))
    return folder


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory):
    """The package's prompts with tiny untrained encoders, CLIP and CLAP, as a user's file of prompts names them."""
    import yaml
    from tiny_encoders import save_with_letters

    folder = tmp_path_factory.mktemp("zero_shot")
    encoders = {
        modality: {
            "extractor": extractor,
            "settings": {"pretrained": str(save_with_letters(name, folder / name)), "device": "cpu", **settings},
            "tolerance_us": 1_000_000,
        }
        for modality, extractor, name, settings in (
            ("image", "hf_image", "clip", {}),
            ("audio", "hf_audio", "clap", {"window_us": 1_000_000, "hop_us": 1_000_000}),
        )
    }
    file = folder / "prompts.yml"
    file.write_text(yaml.safe_dump({"encoders": encoders}, sort_keys=False))
    return file


@pytest.fixture(scope="session")
def zero_shot(prompts_file):
    """Similarity to words as untrained encoders see it, which says nothing of a video and goes every way."""
    from mgn_ma.inference.zero_shot.config import read_config
    from mgn_ma.inference.zero_shot.making import make_zero_shot

    return make_zero_shot(read_config(prompts_file))


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """Two rendered videos of four seconds, with sound, captions and a title; the folder, to be read only."""
    from mgn_ma.sample.config import SampleConfig
    from mgn_ma.sample.rendering import render_videos
    from mgn_ma.sample.script import write_script

    folder = tmp_path_factory.mktemp("films")
    config = SampleConfig(videos=5, shortest_seconds=4.0, longest_seconds=4.5, awkward=False)
    render_videos(write_script(config)[:2], folder, workers=1)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Six videos in a track store, and the labels that an ensemble in miniature gives them."""
    import tiny_ensemble

    return tiny_ensemble.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A tiny project after one run of the whole chain, to be read only, and what the run printed."""
    from tiny_project import CHAIN, TINY, kedro, make_project

    project = make_project(tmp_path_factory.mktemp("undisturbed"), TINY)
    return project, kedro(project, *CHAIN)


@pytest.fixture
def run_here(monkeypatch):
    """Runs `kedro run --env sample` with options for a project in this process, which has imported everything."""
    from click.testing import CliRunner
    from kedro.framework.cli.project import run
    from kedro.framework.project import pipelines
    from kedro.framework.startup import bootstrap_project

    # What a run changes of its process.
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def kedro_run(project, *options):
        monkeypatch.chdir(project)
        pipelines.set_requested(None)
        arguments = ["--env", "sample", *options]
        assert CliRunner().invoke(run, arguments, obj=bootstrap_project(project), catch_exceptions=False).exit_code == 0

    yield kedro_run
    pipelines.set_requested(None)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A database with MLflow's tables and nothing in it; making them takes seconds, a copy none."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def registry(empty_database, tmp_path):
    """The model registry of a run that goes on, in a database of its own."""
    from mlflow.tracking import MlflowClient

    from mgn_ma.tracking.registry import ModelRegistry

    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.create_experiment("mgn_ma", artifact_location=str(tmp_path / "mlartifacts"))
    run = client.create_run(experiment, tags={"git_commit": "0123abcd", "git_dirty": "false"})
    return ModelRegistry(uri, run_id=run.info.run_id)

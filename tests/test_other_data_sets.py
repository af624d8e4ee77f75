"""Other data sets than EEV, tiny and in their own formats: `mgn-ma annotations`, then ingestion or the whole chain."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import published
import pytest
import yaml
from tiny_project import kedro, make_project, newest

from mgn_ma.annotations import mr_hisum, vce
from mgn_ma.command import main
from mgn_ma.execution import ExecutionConfig
from mgn_ma.inference.finding import find_videos
from mgn_ma.reporting.prediction import PredictionSettings, predict_videos
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.versions import CHALLENGER

pytestmark = pytest.mark.slow

TINY = {
    "execution": {"workers": 1},
    "video_level": {"epochs": 1, "folds": 2},
    "model": {"hidden": 16},
    "training": {"epochs": 2, "batches": {"batch_size": 32}},
    "training_execution": {"workers": 1},
    "ensemble_members": {"count": 2, "alternatives": {"temporal": {"training": {"epochs": 2}}}},
    "evaluation": {"bootstrap": {"resamples": 100}},
}
CALL = [sys.executable, "-c", "from mgn_ma.command import main; main()", "annotations"]


def annotations(project, *arguments):
    return subprocess.run([*CALL, *map(str, arguments)], cwd=project, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return published.render(tmp_path_factory.mktemp("films"), len(published.MOVIES))


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "project", TINY)


def test_mediaeval_goes_from_its_files_to_the_page_of_a_video(project, films, tmp_path):
    folder = published.mediaeval_2018(tmp_path / "accede", films)
    done = annotations(project, "mediaeval-2018", folder, "--env", "sample")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("8 train, 2 validation, 2 test videos are annotated, and 12 of these 12 are in ")
    assert second == "Next: kedro run --env sample --pipelines ingestion"
    settings = yaml.safe_load((project / "conf/sample/parameters_targets.yml").read_text())
    assert settings["targets"]["names"] == ["valence", "arousal"] and settings["targets"]["minimum"] == -1

    kedro(project, "run", "--env", "sample")
    data = project / "data/sample"
    manifest = pd.read_parquet(data / "03_primary/manifest.parquet")
    assert list(manifest["status"].unique()) == ["available"]
    labels = pd.read_parquet(data / "02_intermediate/labels_train.parquet")
    movie = labels[labels["video_id"] == labels["video_id"][0]]
    number = int(movie["video_id"].iloc[0][-2:])
    wanted = np.repeat(np.sin(np.arange(5) + number), 6)
    np.testing.assert_allclose(movie["valence"], wanted, atol=1e-5)
    # The labels of the test set are known, so it is scored beside validation.
    evaluation = json.loads(newest(data / "08_reporting/evaluation.json").read_text())
    assert np.isfinite(evaluation["test"]["ensemble"])

    registry = ModelRegistry(f"sqlite:///{project}/mlflow.db")
    predict_videos(
        registry.bundle(registry.holder(CHALLENGER).uri),
        find_videos(str(films[0])),
        PredictionSettings(),
        execution=ExecutionConfig(),
        tracks=tmp_path / "tracks",
        pages=tmp_path,
        model="the challenger",
    )
    assert "valence" in (tmp_path / f"pages/{films[0].stem}.html").read_text()


def test_vce_has_no_correlation_along_a_clip_and_one_across_clips(project, films, tmp_path, run_here):
    folder = published.vce(tmp_path / "vce", films, clips=len(films))
    done = annotations(project, "vce", folder, "--env", "sample")
    assert done.returncode == 0, done.stderr
    run_here(project)
    data = project / "data/sample"
    evaluation = json.loads(newest(data / "08_reporting/evaluation.json").read_text())
    assert evaluation["validation"]["ensemble"] is None and evaluation["undefined"]["videos_left_out"] == 2
    assert all(np.isfinite(row["bias"]) for row in evaluation["calibration"].values())
    # As docs/other-data-sets.md has it; of two clips a correlation is 1 or -1.
    known = pd.read_parquet(data / "01_raw/truth/test_labels.parquet").groupby("video_id").mean()
    predicted = pd.read_csv(data / "08_reporting/submission.csv", dtype={"Video ID": str}).groupby("Video ID").mean()
    across = predicted.corrwith(known).dropna()
    assert list(across.index) == list(vce.TARGETS.names) and np.allclose(across.abs(), 1)


def test_mr_hisum_is_ingested_and_absent_videos_listed(project, films, tmp_path, run_here):
    pytest.importorskip("h5py")
    folder = published.mr_hisum(tmp_path / "dataset", films[:5])
    done = annotations(project, "mr-hisum", folder, "--env", "sample")
    assert done.returncode == 0, done.stderr
    assert "5 of these 6 are in" in done.stdout
    run_here(project, "--pipelines", "ingestion")
    data = project / "data/sample"
    assert list(pd.read_csv(data / "08_reporting/exclusions.csv")["video_id"]) == ["fffffffffff"]
    labels = pd.read_parquet(data / "02_intermediate/labels_train.parquet")
    assert list(labels.columns) == ["video_id", "timestamp_us", *mr_hisum.TARGETS.names]


def test_nothing_is_written_over_and_settings_that_can_not_be_read_are_said_in_one_line(project, tmp_path):
    folder = published.mediaeval_2018(tmp_path / "accede")
    mine = project / "data/sample/01_raw/annotations/val.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    done = annotations(project, "mediaeval-2018", folder, "--env", "sample")
    assert done.stderr.startswith("Error: annotations_validation: there already, and nothing is written over.")
    (project / "conf/local/parameters.yml").write_text("targets: {names: []}")
    done = annotations(project, "mediaeval-2018", folder)
    assert done.stderr.startswith("Error: Parameter validation failed") and "Traceback" not in done.stderr
    assert mine.read_text() == "mine" and not list(project.glob("conf/*/parameters_targets.yml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eev", "."], "there is no format 'eev'; there are mediaeval-2018, vce, mr-hisum"),
        (["vce", "."], "no project is around this folder"),
    ],
)
def test_a_call_that_means_nothing_is_refused(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="1"):
        main(["annotations", *arguments])
    assert message in capsys.readouterr().err

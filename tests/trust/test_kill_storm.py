"""kill -9 at random points of the chain, several times in a project, and one run to the end: as if nothing had been."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import mlflow
import pandas as pd
import pyarrow as pa
import pytest
from counts import KILLS, SEED
from tiny_project import CHAIN, TINY, kedro, make_project, newest, start

pytestmark = pytest.mark.slow

KILLS_A_PROJECT = 4
SMALL = TINY | {
    "sample": {"videos": 7, "shortest_seconds": 4.0, "longest_seconds": 5.0, "awkward": False},
    "execution": {"workers": 2},
}
ALIKE = ("01_raw/videos/*", "01_raw/annotations/*", "05_model_input/*/*/**/*.npy")
"""Files whose bytes are the same; below, those that hold a time or stand in a folder with one are read."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A project after one undisturbed run, and how many seconds that took from the first line that it told."""
    project = make_project(tmp_path_factory.mktemp("undisturbed"), SMALL)
    process = start(project, *CHAIN, PYTHONUNBUFFERED="1")
    first = process.stdout.readline()
    began = time.monotonic()
    output, _ = process.communicate(timeout=1000)
    assert process.returncode == 0, first + output
    return project, time.monotonic() - began


@pytest.mark.parametrize("storm", range(-(-KILLS // KILLS_A_PROJECT)))
def test_after_kills_all_is_as_if_nothing_had_been(
    storm: int, whole: tuple[Path, float], tmp_path: Path, tell: Callable[[str], None]
) -> None:
    undisturbed, seconds = whole
    project, temporary = make_project(tmp_path / "project", SMALL), tmp_path / "temporary"
    temporary.mkdir()
    random = Random(f"{SEED}-{storm}")
    kills = min(KILLS_A_PROJECT, KILLS - storm * KILLS_A_PROJECT)
    # Points of the undisturbed run, in order: each run begins with what the ones before it have done.
    points = [0.0, *sorted(random.uniform(0, seconds) for _ in range(kills))]
    places = [killed(project, later - earlier, TMPDIR=str(temporary)) for earlier, later in pairwise(points)]
    output = kedro(project, *CHAIN, TMPDIR=str(temporary))
    tell(f"storm {storm}: killed {', '.join(places)}")
    assert_alike(project / "data/sample", undisturbed / "data/sample")
    assert_nothing_left(project, temporary)
    assert "Traceback" not in output


def killed(project: Path, after: float, **environment: str) -> str:
    """Run the chain, end it and all its workers some seconds after its first line; in which stage that was."""
    process = start(project, *CHAIN, **environment, PYTHONUNBUFFERED="1")
    process.stdout.readline()
    try:
        process.wait(after)
        return "after its end"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    done = re.findall(r"INFO +(\w+): done", process.communicate()[0])
    return f"after {done[-1]}" if done else "at the start"


def assert_alike(data: Path, undisturbed: Path) -> None:
    for pattern in ALIKE:
        names = sorted(path.relative_to(undisturbed) for path in undisturbed.glob(pattern) if path.is_file())
        assert names and names == sorted(path.relative_to(data) for path in data.glob(pattern) if path.is_file())
        for name in names:
            assert (data / name).read_bytes() == (undisturbed / name).read_bytes(), name
    tracks = sorted(path.relative_to(undisturbed) for path in undisturbed.glob("04_feature/*/*/*.arrow"))
    assert tracks == sorted(path.relative_to(data) for path in data.glob("04_feature/*/*/*.arrow"))
    for name in tracks:
        assert rows(data / name).equals(rows(undisturbed / name)), name
    weights = last_weights(undisturbed)
    assert weights and last_weights(data) == weights
    predictions = "07_model_output/ensemble_predictions.parquet"
    pd.testing.assert_frame_equal(
        pd.read_parquet(newest(data / predictions)), pd.read_parquet(newest(undisturbed / predictions))
    )


def rows(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def last_weights(data: Path) -> dict[str, bytes]:
    """The weights of all networks by the end of their path, of the last version of each."""
    found = {}
    for path in sorted((data / "06_models").rglob("*.safetensors")):
        found[f"{path.parent.name}/{path.name}"] = path.read_bytes()
    return found


def assert_nothing_left(project: Path, temporary: Path) -> None:
    assert [path.name for path in temporary.glob("mgn_ma*")] == []
    data = project / "data/sample"
    assert [path for path in data.rglob("*") if path.is_file() and path.name.endswith(".tmp")] == []
    assert list(data.rglob("unfinished/*")) == []
    assert not list(data.rglob(".locks/*.json"))
    client = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    assert {run.info.status for run in client.search_runs(experiments)} <= {"FINISHED", "FAILED", "KILLED"}
    versions = client.search_model_versions("name = 'mgn-ma'")
    assert [version.status for version in versions] == ["READY"]

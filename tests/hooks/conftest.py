"""A small Kedro project of its own that uses this one's settings, run as a user runs it: `kedro run` in a process."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from mgn_ma.telemetry import SWITCHES

ROOT = Path(__file__).parents[2]

PIPELINES = """
import time
from pathlib import Path

from kedro.pipeline import Node, Pipeline
from pydantic import BaseModel, ConfigDict


class Optimiser(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float
    betas: list[float] = [0.9, 0.999]


class Training(BaseModel):
    model_config = ConfigDict(extra="forbid")
    optimiser: Optimiser
    note: str = ""


def fingerprint():
    return {"fingerprint": "0123abcd", "files": {"train.csv": "ff"}}


def train(training: Training, tracker):
    for index in range(2):
        with tracker.member(f"member_{index}", {"seed": index, "training": training}) as log:
            for epoch in (1, 2, 3):
                log({"train_loss": 1 / epoch, "validation_correlation": index + epoch / 10}, epoch)
                Path(f"epoch_{index}_{epoch}").touch()
                if training.note == "slow":
                    time.sleep(1)
    interval = {"estimate": 0.3, "low": 0.25, "high": 0.35, "n_videos": 3}
    scores = {"ensemble": 0.3, "members": [0.1, 0.2], "per_expression": {"awe": None}}
    reactions = {"centred": {"score": 0.3, "fitted": {"all": {"lag_s": 1.0, "lag_interval": [0.5, 1.5]}}}}
    validation = scores | {"intervals": {"ensemble": interval}}
    elsewhere = {"holdout": None, "test": None}
    return {"validation": validation, **elsewhere, "ensemble": "base", "reactions": reactions, "n_videos": 3}


def fail(evaluation):
    raise ValueError("the disk is made of cheese")


def wait(evaluation):
    Path("waiting").touch()
    time.sleep(60)
    return 1


def register_pipelines():
    return {
        "__default__": Pipeline(
            [
                Node(fingerprint, None, "data_fingerprint", namespace="stage"),
                Node(train, ["params:training", "tracker"], "evaluation", name="train"),
            ]
        ),
        "fails": Pipeline([Node(fail, "evaluation", "nothing")]),
        "waits": Pipeline([Node(wait, "evaluation", "nothing")]),
        "reads": Pipeline([Node(len, "annotations_train", "rows")]),
        "sample_data": Pipeline([Node(fingerprint, None, "annotations_train")]),
    }
"""

CATALOG = """
tracker:
  type: mgn_ma.datasets.tracker.TrackerDataset
evaluation:
  type: json.JSONDataset
  filepath: data/08_reporting/evaluation.json
  versioned: true
  metadata:
    mgn_ma: {track: true}
data_fingerprint:
  type: json.JSONDataset
  filepath: data/02_intermediate/data_fingerprint.json
annotations_train:
  type: pandas.CSVDataset
  filepath: data/01_raw/annotations/train.csv
"""

PYPROJECT = """
[tool.kedro]
package_name = "scratch"
project_name = "scratch"
kedro_init_version = "1.7.0"
source_dir = "src"
"""

# Writes down, and refuses, every attempt to leave this machine.
NO_WAY_OUT = """
import os
import socket

LOCAL = ("127.", "::1", "localhost", "0.0.0.0")


def guarded(call, address_of):
    def guard(*arguments, **options):
        host = address_of(*arguments)
        if host is not None and not str(host).startswith(LOCAL):
            with open(os.environ["OUTBOUND"], "a") as record:
                print(host, file=record)
            raise OSError(f"no way out to {host}")
        return call(*arguments, **options)
    return guard


socket.getaddrinfo = guarded(socket.getaddrinfo, lambda host, *_: host)
socket.socket.connect = guarded(
    socket.socket.connect, lambda _, address: address[0] if isinstance(address, tuple) else None
)
"""


@dataclass
class Ended:
    """How a command ended, and what it printed."""

    code: int
    output: str
    errors: str


@dataclass
class Project:
    """A folder in which `kedro run` works."""

    path: Path
    environment: dict = field(default_factory=dict)

    @property
    def uri(self):
        return f"sqlite:///{self.path}/mlflow.db"

    @property
    def runs(self):
        """All runs that are no member's, the newest first."""
        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name("mgn_ma")
        found = client.search_runs([experiment.experiment_id])
        return [run for run in found if "mlflow.parentRunId" not in run.data.tags]

    @property
    def outbound(self):
        """Hosts that a command has tried to reach."""
        record = self.path / "outbound"
        return record.read_text().split() if record.exists() else []

    def process(self, *arguments, cwd=".", **environment):
        """Start `kedro` with ``arguments``, with none of this process's settings for MLflow and telemetry."""
        drop = {*SWITCHES, "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "CI", "GITHUB_ACTIONS"}
        inherited = {k: v for k, v in os.environ.items() if k not in drop and not k.startswith("MLFLOW_")}
        guard = {"PYTHONPATH": f"{self.path}/guard{os.pathsep}{ROOT}/src", "OUTBOUND": str(self.path / "outbound")}
        return subprocess.Popen(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path / cwd,
            env=inherited | guard | self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kedro(self, *arguments, cwd=".", **environment):
        """Run `kedro` to its end."""
        process = self.process(*arguments, cwd=cwd, **environment)
        output, errors = process.communicate(timeout=240)
        return Ended(process.returncode, output, errors)


def make_project(path):
    for folder in ("src/scratch", "conf/base", "conf/sample", "conf/local", "data/01_raw", "guard"):
        (path / folder).mkdir(parents=True)
    for name in ("base/mlflow.yml", "logging.yml"):
        shutil.copy(ROOT / "conf" / name, path / "conf" / name)
    (path / "pyproject.toml").write_text(PYPROJECT)
    (path / ".gitignore").write_text(
        "mlflow.db*\nmlartifacts/\ndata/\n.viz/\n__pycache__/\nepoch_*\noutbound\nwaiting\n"
    )
    (path / "src/scratch/__init__.py").touch()
    (path / "src/scratch/settings.py").write_text("from mgn_ma.settings import *\n")
    (path / "src/scratch/pipeline_registry.py").write_text(PIPELINES)
    (path / "conf/base/catalog.yml").write_text(CATALOG)
    parameters = {"training": {"optimiser": {"rate": 0.2}, "note": "x" * 7000}}
    (path / "conf/base/parameters.yml").write_text(json.dumps(parameters))
    (path / "conf/sample/parameters.yml").write_text("sample: {render: true}")
    (path / "guard/sitecustomize.py").write_text(textwrap.dedent(NO_WAY_OUT))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(path)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "start"]):
        subprocess.run([*git, *arguments], check=True)
    return Project(path)


@pytest.fixture(scope="session")
def tracked(tmp_path_factory):
    """A project after one successful run, with how that run ended."""
    project = make_project(tmp_path_factory.mktemp("tracked"))
    ended = project.kedro("run", "--env", "sample")
    return project, ended


@pytest.fixture
def project(tracked, tmp_path):
    """A copy of the tracked project, to do other things to; it spares the making of another database."""
    path = tmp_path / "project"
    shutil.copytree(tracked[0].path, path)
    return Project(path)

"""The chain as an Airflow DAG: written by `kedro airflow create`, read with a stand-in for Airflow."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from kedro.config import OmegaConfigLoader
from kedro.framework.project import configure_project, pipelines, settings
from kedro.io import DataCatalog, MemoryDataset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@dataclass
class Dag:
    """Takes down how it was made, and the tasks and edges that are declared inside it."""

    settings: dict
    tasks: dict = field(default_factory=dict)
    edges: set = field(default_factory=set)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class Operator:
    dag: Dag

    def __init__(self, task_id, **arguments):
        assert task_id not in self.dag.tasks
        self.task_id, self.arguments = task_id, arguments
        self.dag.tasks[task_id] = self

    def __rshift__(self, other):
        self.dag.edges.add((self.task_id, other.task_id))
        return other

    @property
    def words(self):
        return shlex.split(self.arguments["bash_command"])

    @property
    def nodes(self):
        return self.words[self.words.index("--nodes") + 1].split(",")


def read(path, monkeypatch):
    """The DAG that the file declares."""

    def make(**arguments):
        Operator.dag = Dag(arguments)
        return Operator.dag

    stand_ins = {
        "airflow": {},
        "airflow.sdk": {"DAG": make},
        "airflow.providers": {},
        "airflow.providers.standard": {},
        "airflow.providers.standard.operators": {},
        "airflow.providers.standard.operators.bash": {"BashOperator": Operator},
    }
    for name, content in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(path.read_text(), str(path), "exec"), {})
    return Operator.dag


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """What the command of docs/operations.md writes for the sample."""
    folder = tmp_path_factory.mktemp("dags")
    command = [sys.executable, "-m", "kedro", "airflow", "create", "--env", "sample", "--group-by", "memory"]
    command += ["--jinja-file", "conf/airflow_dag.py.j2", "--target-dir", str(folder)]
    command += ["--params", "project_path=/srv/it's here,kedro=docker run --env A=b --volume c:/d mgn_ma kedro"]
    environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    written = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240
    )
    assert written.returncode == 0, written.stderr
    (path,) = folder.glob("*.py")
    return path


@pytest.fixture
def dag(file, monkeypatch):
    return read(file, monkeypatch)


@pytest.fixture(scope="module")
def chain():
    configure_project("mgn_ma")
    return pipelines["__default__"]


def test_every_node_is_in_one_task(dag, chain):
    assert sorted(node for task in dag.tasks.values() for node in task.nodes) == sorted(n.name for n in chain.nodes)


def test_a_task_waits_for_what_its_nodes_need_and_for_nothing_else(dag, chain):
    task_of = {node: name for name, task in dag.tasks.items() for node in task.nodes}
    needed = {
        (task_of[parent.name], task_of[child.name])
        for child, parents in chain.node_dependencies.items()
        for parent in parents
    }
    assert dag.edges == {(parent, child) for parent, child in needed if parent != child}


def test_nothing_that_stays_in_memory_passes_from_one_task_to_another(dag, chain):
    loader = OmegaConfigLoader(str(ROOT / "conf"), env="sample", **settings.CONFIG_LOADER_ARGS)
    catalog = DataCatalog.from_config(loader["catalog"])
    made = chain.all_outputs()
    for task in dag.tasks.values():
        for dataset in chain.filter(node_names=task.nodes).inputs() & made:
            assert dataset in catalog, dataset
            assert not isinstance(catalog.get(dataset), MemoryDataset), dataset


def test_what_one_modality_plans_and_extracts_is_one_task(dag):
    (extraction,) = (task for task in dag.tasks.values() if "frame_features.image.extract_tracks" in task.nodes)
    steps = ("plan_extraction", "extract_tracks", "account_for_tracks")
    assert extraction.nodes == [f"frame_features.image.{step}" for step in steps]


def test_a_task_is_a_run_in_the_project_s_own_environment(dag):
    task = dag.tasks["ingestion-list-videos"]
    kedro = "docker run --env A=b --volume c:/d mgn_ma kedro"
    assert task.words == f"{kedro} run --env sample --pipelines __default__ --nodes ingestion.list_videos".split()
    assert task.arguments["cwd"] == "/srv/it's here"
    assert task.arguments["env"] == {"MLFLOW_RUN_CONTEXT": '{"airflow_run": {{ run_id | tojson }}}'}
    assert task.arguments["append_env"] is True


def test_the_rest_is_as_configured(dag):
    assert dag.settings == {
        "dag_id": "mgn-ma-sample-default",
        "schedule": None,
        "start_date": datetime(2026, 1, 1),
        "catchup": False,
        "max_active_runs": 1,
        "max_active_tasks": 4,
        "default_args": {"retries": 2, "retry_delay": timedelta(minutes=5)},
    }

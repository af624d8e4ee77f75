"""A copy of this project whose sample is tiny, and `kedro` run in it as a user runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CHAIN = ("run", "--env", "sample", "--pipelines", "sample_data,__default__")
TINY = {
    "sample": {"videos": 12, "shortest_seconds": 5.0, "longest_seconds": 7.0},
    "execution": {"workers": 1},
    "video_level": {"epochs": 2, "folds": 2},
    "model": {"hidden": 32},
    "training": {"epochs": 2},
    "training_execution": {"workers": 1},
    "ensemble_members": {"count": 2},
    "ablation": {
        "seeds": 1,
        "table_1": [{"row": "Audio", "variant": "audio", "paper_eev_test": 0.00574}],
        "table_2": [{"row": "Ensemble", "variant": "ensemble", "paper_eev_test": 0.02292, "over": "moe_attention"}],
        "other": {
            "video_vectors": [{"row": "in-sample", "variant": "in_sample_vectors"}],
            **{name: [] for name in ("number_of_experts", "modal_dropout", "reading_of_eq_2", "moments_around")},
        },
    },
    "evaluation": {"bootstrap": {"resamples": 200}},
}


def _merged(low, high):
    both = {key: _merged(low[key], value) for key, value in high.items() if _are_mappings(low.get(key), value)}
    return {**low, **high, **both}


def _are_mappings(*values):
    return all(isinstance(value, dict) for value in values)


def make_project(path, parameters):
    """Copy this project to ``path``, with ``parameters`` over those of its sample."""
    ignored = shutil.ignore_patterns("__pycache__", "local")
    for name in ("conf", "src", "notebooks"):
        shutil.copytree(ROOT / name, path / name, ignore=ignored)
    (path / "conf/local").mkdir()
    shutil.copy(ROOT / "pyproject.toml", path)
    shutil.copy(ROOT / ".telemetry", path)
    return with_sample(path, parameters)


def with_sample(path, parameters):
    """Put ``parameters`` over those of the sample of the project at ``path``."""
    merged = {}
    for file in (path / "conf/sample").rglob("parameters*.yml"):
        merged = _merged(merged, yaml.safe_load(file.read_text()))
        file.unlink()
    (path / "conf/sample/parameters.yml").write_text(yaml.safe_dump(_merged(merged, parameters)))
    return path


def start(project, *arguments, **environment):
    """Start `kedro` with none of this process's settings for MLflow but those of ``environment``."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", *arguments],
        cwd=project,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kedro(project, *arguments, **environment):
    """Run `kedro` to its end and return what it printed."""
    process = start(project, *arguments, **environment)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return output


def newest(path):
    """The file of a versioned dataset that was saved last."""
    return max(path.glob(f"*/{path.name}"))

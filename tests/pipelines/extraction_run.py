"""Runs extraction pipelines with this repository's own configuration on another data folder, in or out of process."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro.validation.parameter_validator import ParameterValidator

from mgn_ma.modalities import EXTRACTED
from mgn_ma.pipelines.extraction import extraction_pipeline
from mgn_ma.pipelines.extraction_estimate import create_pipeline as create_estimate
from mgn_ma.pipelines.video_features import create_pipeline as create_video_features

ROOT = Path(__file__).parents[2]


def configuration(data: Path, env: str = "sample") -> OmegaConfigLoader:
    """The configuration of the rooms under test, with ``globals.data`` at ``data``."""
    conf = data / "conf"
    for name in ("base", env):
        (conf / name).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / "conf" / name).glob("*.yml"):
            if path.stem in ("catalog", "parameters"):
                shutil.copy(path, conf / name)
        estimate = ROOT / "conf" / name / "extraction_estimate"
        if estimate.is_dir():
            shutil.copytree(estimate, conf / name / "extraction_estimate", dirs_exist_ok=True)
        (conf / name / "globals.yml").write_text(f"data: {data}\nmodel: mgn-ma\nlongest_video: 21600\n")
    merge = {"parameters": "soft", "globals": "soft"}
    return OmegaConfigLoader(str(conf), base_env="base", default_run_env=env, env=env, merge_strategy=merge)


def extraction() -> Pipeline:
    """All extractions and their account."""
    merged = create_video_features().only_nodes("video_features.merge_extraction_accounts")
    return sum(map(extraction_pipeline, EXTRACTED), start=Pipeline([])) + merged


def catalog(pipeline: Pipeline, data: Path, changes: dict[str, Any] | None = None, env: str = "sample") -> DataCatalog:
    """The catalog as Kedro would build it, parameters validated by the nodes' types; ``changes`` are dotted keys."""
    loader = configuration(data, env)
    parameters = loader["parameters"]
    for key, value in (changes or {}).items():
        *outer, last = key.split(".")
        target = parameters
        for name in outer:
            target = target.setdefault(name, {})
        target[last] = value
    validated = ParameterValidator({"test": pipeline}).validate_raw_params(parameters)
    built = DataCatalog.from_config(loader["catalog"])
    for name, value in validated.items():
        built[f"params:{name}"] = value
    built["manifest"] = pd.read_parquet(data / "manifest.parquet")
    return built


def run(data: Path, changes: dict[str, Any] | None = None, pipeline: Pipeline | None = None) -> DataCatalog:
    """Run a pipeline (all extractions by default), in this process unless told otherwise, and give back its catalog."""
    pipeline = pipeline or extraction()
    built = catalog(pipeline, data, {"execution.workers": 1, **(changes or {})})
    SequentialRunner().run(pipeline, built)
    return built


def estimate(data: Path, changes: dict[str, Any] | None = None) -> DataCatalog:
    """Run the estimate."""
    return run(data, changes, create_estimate())


if __name__ == "__main__":
    run(Path(sys.argv[1]), {"execution.workers": int(sys.argv[2])})

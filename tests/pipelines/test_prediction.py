"""The prediction pipeline as Kedro runs it, on its own catalog and parameters, with a model from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro.validation.exceptions import ParameterValidationError
from kedro.validation.parameter_validator import ParameterValidator

from mgn_ma.pipelines.prediction import create_pipeline
from mgn_ma.reporting.prediction import PredictionError, PredictionSettings
from mgn_ma.tracking.registry import ModelRegistry

CONF = Path(__file__).parents[2] / "conf" / "base"


def _parameters() -> dict[str, Any]:
    length = yaml.safe_load((CONF / "globals.yml").read_text())["longest_video"]
    text = (CONF / "prediction/parameters.yml").read_text().replace("${globals:longest_video}", str(length))
    return dict(yaml.safe_load(text))


def _run(data: Path, pipeline: Pipeline | None = None, **changes: Any) -> DataCatalog:
    pipeline = pipeline or create_pipeline()
    text = (CONF / "prediction/catalog.yml").read_text().replace("${globals:data}", str(data))
    catalog = DataCatalog.from_config(yaml.safe_load(text))
    parameters = _parameters() | {"execution": {}}
    parameters["prediction"] |= changes
    for name, value in ParameterValidator({"test": pipeline}).validate_raw_params(parameters).items():
        catalog[f"params:{name}"] = value
    catalog["model_registry"] = MemoryDataset(ModelRegistry("sqlite:////nowhere.db"), copy_mode="assign")
    SequentialRunner().run(pipeline, catalog)
    return catalog


def test_parameters_of_base_are_the_defaults() -> None:
    given = _parameters()["prediction"]
    assert PredictionSettings.model_validate(given | {"videos": ()}) == PredictionSettings()


def test_an_unknown_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterValidationError, match="pages"):
        _run(tmp_path, pages={"write": False})


def test_a_folder_to_tables_pages_and_an_account(tmp_path: Path, films: Path, bundle_folder: Path) -> None:
    _run(tmp_path, videos=str(films), model=str(bundle_folder))
    output, reports = tmp_path / "07_model_output" / "prediction", tmp_path / "08_reporting" / "prediction"
    curves = pd.read_parquet(output / "curves.parquet")
    videos = sorted(path.stem for path in films.glob("*.mp4"))
    assert sorted(curves["video_id"].unique()) == videos
    assert len(pd.read_csv(output / "curves.csv")) == len(curves)
    seconds = pd.read_csv(output / "seconds.csv")
    assert list(seconds.columns) == ["video_id", "second", *curves.columns[2:]]
    for name in ("attention", "contributions"):
        assert len(pd.read_parquet(output / f"{name}.parquet")) == len(curves)
    assert (output / "moments.json").exists()
    account = pd.read_csv(reports / "account.csv")
    assert list(account["status"]) == ["predicted"] * 2
    assert sorted(path.stem for path in (reports / "pages").glob("*.html")) == videos
    assert sorted(path.stem for path in (reports / "pages").glob("*.vtt")) == videos
    index = (reports / "index.html").read_text()
    assert all(f'href="pages/{name}.html"' in index for name in videos)


def test_a_second_run_reads_no_video_again(
    tmp_path: Path, films: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(tmp_path, videos=str(films), model=str(bundle_folder), page={"write": False})
    monkeypatch.setattr("mgn_ma.features.task.build", lambda config: pytest.fail("an extractor was built"))
    _run(tmp_path, videos=str(films), model=str(bundle_folder), page={"write": False})


def test_nothing_predicted_fails_the_run_with_the_account_written(tmp_path: Path, bundle_folder: Path) -> None:
    with pytest.raises(PredictionError, match="no such file"):
        _run(tmp_path, videos=str(tmp_path / "gone.mp4"), model=str(bundle_folder))
    account = pd.read_csv(tmp_path / "08_reporting" / "prediction" / "account.csv")
    assert list(account["status"]) == ["failed"]

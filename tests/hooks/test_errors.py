"""Which errors end with their message alone, and which with every frame."""

import sys

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.validation.exceptions import ParameterValidationError

from mgn_ma.datasets.tracker import TrackerDataset
from mgn_ma.errors import MGNMAError
from mgn_ma.hooks.errors import ErrorHooks, NoDataError, no_data_message, show


def printed(error, capsys):
    try:
        raise error
    except Exception:
        show(*sys.exc_info())
    return capsys.readouterr().err


def test_a_foreseen_error_is_its_message(capsys, monkeypatch):
    monkeypatch.delenv("MGN_MA_TRACEBACK", raising=False)
    text = printed(MGNMAError("no row"), capsys)
    assert text.startswith("\nError: no row\n")
    assert "Traceback" not in text


def test_kedros_complaint_about_parameters_is_one(capsys):
    assert printed(ParameterValidationError("unknown key rat"), capsys).startswith("\nError: unknown key rat\n")


def test_its_frames_are_there_on_demand(capsys, monkeypatch):
    monkeypatch.setenv("MGN_MA_TRACEBACK", "1")
    text = printed(MGNMAError("no row"), capsys)
    assert "Traceback" in text
    assert text.rstrip().endswith("MGNMAError: no row")


def test_any_other_error_is_shown_in_full(capsys):
    text = printed(ValueError("x"), capsys)
    assert "Traceback" in text
    assert text.rstrip().endswith("ValueError: x")


def test_only_a_raw_file_that_is_missing_means_no_data(tmp_path):
    def table(name, layer):
        path = str(tmp_path / f"{name}.csv")
        return {"type": "pandas.CSVDataset", "filepath": path, "metadata": {"kedro-viz": {"layer": layer}}}

    catalog = DataCatalog.from_config(
        {"missing": table("missing", "raw"), "there": table("there", "raw"), "later": table("later", "primary")}
    )
    catalog["tracker"] = TrackerDataset(metadata={"kedro-viz": {"layer": "raw"}})
    catalog["memory"] = MemoryDataset(1, metadata={"kedro-viz": {"layer": "raw"}})
    catalog.save("there", pd.DataFrame({"a": [1]}))
    hooks = ErrorHooks()
    hooks._project_path = tmp_path
    hooks.after_catalog_created(catalog)
    for name in ("there", "later", "tracker", "memory", "unknown"):
        hooks.before_dataset_loaded(name)
    with pytest.raises(NoDataError, match=r"^missing\.csv does not exist"):
        hooks.before_dataset_loaded("missing")


def test_message_depends_on_the_environment():
    assert "docs/own-data.md" in no_data_message("x", "base")
    assert "sample_data,__default__" in no_data_message("x", "sample")

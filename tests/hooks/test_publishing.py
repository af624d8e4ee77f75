"""The newest version under a plain path: the same bytes, whole or not at all."""

import io
import json

import fsspec
import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import CachedDataset, DataCatalog, MemoryDataset
from kedro_datasets.json import JSONDataset

from mgn_ma.hooks.catalog_files import SavedFile, layer, metadata, saved_file
from mgn_ma.hooks.publishing import PublishingError, PublishingHooks, publish
from mgn_ma.hooks.tracking import is_report

TABLE = pd.DataFrame({"video_id": ["-a", "b"], "r": [0.5, -0.25]})
DATA = {
    "pandas.CSVDataset": TABLE,
    "pandas.ParquetDataset": TABLE,
    "json.JSONDataset": {"r": 0.5},
    "plotly.JSONDataset": go.Figure(go.Scatter(x=[1], y=[2])),
    "text.TextDataset": "<html>",
}


@pytest.fixture
def hooks(tmp_path):
    hooks = PublishingHooks()
    hooks._project_path = tmp_path
    return hooks


def save(hooks, catalog, data, name="report"):
    hooks.after_catalog_created(catalog)
    catalog.save(name, data)
    hooks.after_dataset_saved(name)


def entry(tmp_path, kind, *, versioned=True, publish="out/latest"):
    return {
        "type": kind,
        "filepath": str(tmp_path / "versions/report"),
        "versioned": versioned,
        "metadata": {"kedro-viz": {"layer": "reporting"}, "mgn_ma": {"publish": publish}},
    }


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("kind", DATA)
def test_every_kind_of_file_is_copied_as_it_is(hooks, tmp_path, kind, versioned):
    catalog = DataCatalog.from_config({"report": entry(tmp_path, kind, versioned=versioned)})
    save(hooks, catalog, DATA[kind])
    (original,) = [p for p in (tmp_path / "versions").rglob("*") if p.is_file()]
    assert (tmp_path / "out/latest").read_bytes() == original.read_bytes()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["latest"]


def test_a_later_version_takes_the_place_of_the_earlier_also_when_an_older_one_is_loaded(hooks, tmp_path):
    config = {"report": entry(tmp_path, "json.JSONDataset")}
    save(hooks, DataCatalog.from_config(config, save_version="2026-01-01T00.00.00.000Z"), {"run": 1})
    later = DataCatalog.from_config(
        config, save_version="2026-01-02T00.00.00.000Z", load_versions={"report": "2026-01-01T00.00.00.000Z"}
    )
    with pytest.warns(UserWarning, match="did not match load version"):
        save(hooks, later, {"run": 2})
    assert json.loads((tmp_path / "out/latest").read_text()) == {"run": 2}


def test_a_cached_dataset_is_looked_through(hooks, tmp_path):
    inner = JSONDataset(filepath=str(tmp_path / "report.json"), metadata={"mgn_ma": {"publish": "latest.json"}})
    save(hooks, DataCatalog({"report": CachedDataset(inner)}), {"r": 1})
    assert json.loads((tmp_path / "latest.json").read_text()) == {"r": 1}


def test_what_does_not_ask_is_left_alone(hooks, tmp_path):
    catalog = DataCatalog({"report": MemoryDataset(), "other": MemoryDataset(metadata={"kedro-viz": {"layer": "raw"}})})
    save(hooks, catalog, 1)
    save(hooks, catalog, 1, name="other")
    hooks.after_dataset_saved("nobody_knows")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_can_t_be_published(hooks):
    catalog = DataCatalog({"report": MemoryDataset(metadata={"mgn_ma": {"publish": "x"}})})
    with pytest.raises(PublishingError, match=r"'report' can't be published to x"):
        save(hooks, catalog, 1)


def test_to_another_file_system(hooks, tmp_path):
    catalog = DataCatalog.from_config(
        {"report": entry(tmp_path, "json.JSONDataset", publish="memory://out/latest.json")}
    )
    save(hooks, catalog, {"r": 1})
    assert json.loads(fsspec.filesystem("memory").cat("/out/latest.json")) == {"r": 1}


class Breaking(io.BytesIO):
    def read(self, *_):
        raise OSError("the cable was cut")


class BreakingFiles:
    def open(self, *_):
        return Breaking()


def test_a_copy_that_breaks_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "latest").write_text("old")
    with pytest.raises(OSError, match="cut"):
        publish(SavedFile(BreakingFiles(), "/somewhere"), "latest", tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"latest": "old"}


def test_published_files_can_be_read_by_others_as_any_new_file(hooks, tmp_path):
    catalog = DataCatalog.from_config({"report": entry(tmp_path, "json.JSONDataset")})
    save(hooks, catalog, {"r": 1})
    (tmp_path / "plain").touch()
    assert (tmp_path / "out/latest").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_entries_tell_their_layer(tmp_path):
    catalog = DataCatalog.from_config({"report": entry(tmp_path, "json.JSONDataset")})
    assert layer(catalog.get("report")) == "reporting"
    assert metadata(catalog.get("report"))["mgn_ma"] == {"publish": "out/latest"}
    assert layer(MemoryDataset()) is layer(None) is None
    assert saved_file(MemoryDataset()) is saved_file(None) is None


@pytest.mark.parametrize(
    ("where", "wish", "kept"),
    [
        ("reporting", {}, True),
        ("feature", {}, False),
        ("feature", {"track": True}, True),
        ("reporting", {"track": False}, False),
    ],
)
def test_reports_go_along_with_the_run_and_others_on_request(where, wish, kept):
    assert is_report(MemoryDataset(metadata={"kedro-viz": {"layer": where}, "mgn_ma": wish})) is kept

"""Which files go along with a run: those whose entry says so, as they were written in this run."""

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import CachedDataset, DataCatalog, MemoryDataset
from kedro_datasets.json import JSONDataset

from mgn_ma.hooks.tracking import TrackingHooks

TABLE = pd.DataFrame({"video_id": ["-a", "b"], "r": [0.5, -0.25]})
DATA = {
    "pandas.CSVDataset": TABLE,
    "pandas.ParquetDataset": TABLE,
    "json.JSONDataset": {"r": 0.5},
    "plotly.JSONDataset": go.Figure(go.Scatter(x=[1], y=[2])),
    "text.TextDataset": "<html>",
}
TRACK = {"mgn_ma": {"track": True}}


class Run:
    """Remembers the content of the files that it is given."""

    def __init__(self):
        self.kept = []

    def log_file(self, filesystem, path):
        self.kept.append(filesystem.cat_file(path))


def kept(catalog, data, name="report"):
    """What a run keeps when ``data`` are saved as ``name``."""
    hooks = TrackingHooks()
    hooks._run, hooks._catalog = Run(), catalog
    catalog.save(name, data)
    hooks.after_dataset_saved(name, data)
    return hooks._run.kept


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("kind", DATA)
def test_every_kind_of_file_is_kept_as_it_is(tmp_path, kind, versioned):
    entry = {"type": kind, "filepath": str(tmp_path / "report"), "versioned": versioned, "metadata": TRACK}
    found = kept(DataCatalog.from_config({"report": entry}), DATA[kind])
    (original,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found == [original.read_bytes()]


def test_of_versions_the_one_of_this_run_is_kept_also_when_an_older_one_is_loaded(tmp_path):
    entry = {"type": "json.JSONDataset", "filepath": str(tmp_path / "report"), "versioned": True, "metadata": TRACK}
    first, second = "2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"
    kept(DataCatalog.from_config({"report": entry}, save_version=first), {"run": 1})
    later = DataCatalog.from_config({"report": entry}, save_version=second, load_versions={"report": first})
    with pytest.warns(UserWarning, match="did not match load version"):
        (content,) = kept(later, {"run": 2})
    assert b"2" in content


def test_a_cached_dataset_is_looked_through(tmp_path):
    inner = JSONDataset(filepath=str(tmp_path / "report.json"), metadata=TRACK)
    assert len(kept(DataCatalog({"report": CachedDataset(inner)}), {"r": 1})) == 1


@pytest.mark.parametrize("metadata", [None, {"kedro-viz": {"layer": "reporting"}}, {"mgn_ma": {"track": False}}])
def test_what_does_not_ask_is_left_alone(tmp_path, metadata):
    entry = {"type": "json.JSONDataset", "filepath": str(tmp_path / "report"), "metadata": metadata}
    assert kept(DataCatalog.from_config({"report": entry}), {"r": 1}) == []


def test_what_is_no_file_is_left_alone():
    assert kept(DataCatalog({"report": MemoryDataset(metadata=TRACK)}), 1) == []

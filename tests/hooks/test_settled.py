"""What a run is called and told before its first node: its address, its parameters, its command."""

import os
from types import SimpleNamespace

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from mgn_ma.hooks.tracking import (
    URI_VARIABLE,
    TrackingConfig,
    TrackingConfigError,
    TrackingHooks,
    command,
    parameters,
    run_name,
)


@pytest.fixture
def settled(tmp_path, monkeypatch):
    """The address and the configuration that a session of a project in ``tmp_path`` settles on."""
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    hooks = TrackingHooks()

    def settle(**mlflow):
        loader = {"mlflow": mlflow} if mlflow else OmegaConfigLoader(str(tmp_path), config_patterns={"mlflow": ["x"]})
        hooks.after_context_created(SimpleNamespace(project_path=tmp_path, config_loader=loader))
        return os.environ[URI_VARIABLE], hooks._config

    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    return settle


def test_without_any_wish_the_project_s_own_database(settled, tmp_path):
    assert settled() == (f"sqlite:///{tmp_path}/mlflow.db", TrackingConfig())


def test_the_environment_s_address_wins_and_all_else_stays(settled, tmp_path, monkeypatch):
    assert settled(tracking_uri="sqlite:///mine.db")[0] == f"sqlite:///{tmp_path}/mine.db"
    # What this process has set itself is nobody's wish.
    assert settled(tracking_uri="sqlite:///other.db")[0] == f"sqlite:///{tmp_path}/other.db"
    monkeypatch.setenv(URI_VARIABLE, "http://host:5000")
    uri, config = settled(tracking_uri="sqlite:///mine.db", experiment="x")
    assert (uri, config.experiment) == ("http://host:5000", "x")


def test_an_unknown_entry_is_named(settled):
    with pytest.raises(TrackingConfigError, match=r"mlflow\.yml: (.|\n)*server"):
        settled(server={"mlflow_tracking_uri": "sqlite:///mine.db"})


def test_names_and_commands_say_what_was_run():
    whole = {"pipeline_names": ["sample_data", "__default__"], "env": "sample"}
    assert run_name(whole) == "chain+sample_data [sample]"
    assert command(whole) == "kedro run --env sample --pipelines __default__,sample_data"
    part = {
        "pipeline_names": None,
        "env": None,
        "from_nodes": ["train", "report members"],
        "load_versions": {"members": "2026-01-01T00.00.00.000Z"},
    }
    assert run_name(part) == "chain (part) [base]"
    assert command(part) == (
        "kedro run --from-nodes 'train,report members' --load-versions members:2026-01-01T00.00.00.000Z"
    )


def test_parameters_are_those_that_are_read():
    catalog = DataCatalog(
        {
            "params:a": MemoryDataset({"b": 1}),
            "params:a.b": MemoryDataset(1),
            "params:unread": MemoryDataset(2),
            "parameters": MemoryDataset({"a": {"b": 1}, "unread": 2}),
            "data": MemoryDataset(3),
        }
    )
    some = Pipeline([Node(max, ["params:a.b", "data"], "c"), Node(len, "params:a", "d")])
    assert parameters(some, catalog) == {"a": {"b": 1}, "a.b": 1}
    assert parameters(Pipeline([Node(len, "parameters", "e")]), catalog) == {"a": {"b": 1}, "unread": 2}

"""What a run is called and told before its first node: its address, its parameters, its command."""

from pathlib import Path

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from mgn_ma.hooks.tracking import command, parameters, run_name, settled

PROJECT = Path("/home/p")


def test_without_any_wish_the_project_s_own_database():
    found = settled({}, None, PROJECT)
    assert found["server"]["mlflow_tracking_uri"] == "sqlite:////home/p/mlflow.db"
    assert found["tracking"]["experiment"]["create_experiment_kwargs"] == {"artifact_location": "/home/p/mlartifacts"}


def test_the_environment_s_address_wins_and_all_else_stays():
    configured = {
        "server": {"mlflow_tracking_uri": "sqlite:///mine.db", "mlflow_registry_uri": None},
        "tracking": {"experiment": {"name": "x"}, "run": {"nested": True}},
        "ui": {"port": "5000"},
    }
    found = settled(configured, "http://host:5000", PROJECT)
    assert found["server"] == {"mlflow_tracking_uri": "http://host:5000", "mlflow_registry_uri": None}
    assert found["tracking"] == configured["tracking"]
    assert found["ui"] == configured["ui"]
    assert configured["server"]["mlflow_tracking_uri"] == "sqlite:///mine.db"


def test_a_place_for_artifacts_that_is_configured_stays():
    place = {"artifact_location": "s3://bucket"}
    found = settled({"tracking": {"experiment": {"create_experiment_kwargs": place}}}, None, PROJECT)
    assert found["tracking"]["experiment"]["create_experiment_kwargs"] == place


def test_names_and_commands_say_what_was_run():
    whole = {"pipeline_names": ["sample_data", "__default__"], "env": "sample"}
    assert run_name(whole) == "__default__+sample_data [sample]"
    assert command(whole) == "kedro run --env sample --pipelines __default__,sample_data"
    part = {
        "pipeline_names": None,
        "env": None,
        "from_nodes": ["train", "report members"],
        "load_versions": {"members": "2026-01-01T00.00.00.000Z"},
    }
    assert run_name(part) == "__default__ (part) [base]"
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

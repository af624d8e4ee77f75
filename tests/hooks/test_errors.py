"""Which errors end with their message alone, and which with every frame."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.validation.exceptions import ParameterValidationError
from omegaconf import OmegaConf
from pydantic import BaseModel, ValidationError

from mgn_ma import pipeline_registry
from mgn_ma.datasets.tracker import TrackerDataset
from mgn_ma.errors import MGNMAError
from mgn_ma.hooks import errors
from mgn_ma.hooks.errors import ErrorHooks, NoDataError, UnknownEnvironmentError, UnknownParameterError, show
from mgn_ma.pipeline_registry import UnknownPipelineError, register_pipelines


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


def make():
    return 1


@pytest.fixture
def hooks(tmp_path, monkeypatch):
    """Of a run that starts from all that its catalog has, in an environment whose raw data a pipeline may render."""

    def table(name):
        return {"type": "pandas.CSVDataset", "filepath": str(tmp_path / f"{name}.csv")}

    catalog = DataCatalog.from_config({name: table(name) for name in ("missing", "made", "there")})
    catalog["tracker"] = TrackerDataset()
    catalog.save("there", pd.DataFrame({"a": [1]}))
    registered = {
        "sample_data": Pipeline([Node(make, None, "missing")]),
        "training": Pipeline([Node(make, None, "made")]),
        "__default__": Pipeline([Node(make, None, "made")]),
    }
    monkeypatch.setattr(errors, "pipelines", SimpleNamespace(set_requested=lambda _: None, items=registered.items))
    (tmp_path / "sample").mkdir()
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def of(env, render):
        hooks = ErrorHooks()
        hooks.after_context_created(
            SimpleNamespace(env=env, project_path=tmp_path, config_loader=Loader(tmp_path, render))
        )
        hooks.after_catalog_created(catalog)
        hooks.before_pipeline_run(Pipeline([Node(max, ["missing", "made", "there", "tracker"], "x")]))
        return hooks

    return of


class Loader(dict):
    def __init__(self, conf_source, render):
        super().__init__(parameters={"sample": {"render": render}})
        self.conf_source = str(conf_source)


def test_only_a_file_that_a_run_starts_from_is_missed(hooks):
    hooks = hooks("sample", render=True)
    for name in ("there", "tracker", "unknown"):
        hooks.before_dataset_loaded(name)
    hooks.before_pipeline_run(Pipeline([Node(make, None, "missing")]))
    hooks.before_dataset_loaded("missing")


@pytest.mark.parametrize(
    ("env", "render", "name", "message"),
    [
        (None, False, "missing", "missing.csv does not exist: there is no data to run on. Either\n.*docs/own-data.md"),
        ("sample", True, "missing", "the sample is not .*kedro run --pipelines sample_data,__default__"),
        (None, False, "made", "^made.csv does not exist. Run .*\n    kedro run --pipelines training$"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_come_by_it(hooks, env, render, name, message):
    with pytest.raises(NoDataError, match=f"(?s){message}"):
        hooks(env, render).before_dataset_loaded(name)


@pytest.mark.parametrize(("env", "command"), [("sample", "kedro run --env sample --pip"), (None, "kedro run --pip")])
def test_the_commands_of_a_message_are_for_the_environment_of_the_run(hooks, capsys, env, command):
    hooks(env, render=True)
    error = MGNMAError("it is stale: run `kedro run --pipelines training`")
    sys.excepthook(type(error), error, None)
    assert f"run `{command}elines training`" in capsys.readouterr().err


def test_a_parameter_that_nothing_reads_is_refused_with_the_nearest_name(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    (tmp_path / "base").mkdir()
    (tmp_path / "base/parameters.yml").write_text("promotion: {version: null}\ntraining: {epochs: 3}\n")

    def begin(**given):
        loader = OmegaConfigLoader(str(tmp_path), base_env="base", default_run_env="base", runtime_params=given)
        ErrorHooks().after_context_created(SimpleNamespace(env=None, project_path=tmp_path, config_loader=loader))
        return loader["parameters"]

    with pytest.raises(UnknownParameterError, match=r"no parameter 'promtion'; did you mean 'promotion'\?$"):
        begin(promtion={"version": 3})
    with pytest.raises(UnknownParameterError, match=r"no parameter 'x'; there are promotion, training$"):
        begin(x=1)
    assert begin(promotion={"version": 3})["promotion"] == {"version": 3}


def test_text_that_was_read_as_a_number_comes_with_the_hint_to_quote_it(capsys):
    class Prediction(BaseModel):
        videos: str

    with pytest.raises(ValidationError) as refused:
        Prediction.model_validate(OmegaConf.to_container(OmegaConf.from_dotlist(["videos=0x1F"])))
    assert """--params 'prediction.videos="0x1F"'""" in printed(ParameterValidationError(str(refused.value)), capsys)
    quoted = OmegaConf.to_container(OmegaConf.from_dotlist(['videos="0x1F"']))
    assert Prediction.model_validate(quoted).videos == "0x1F"
    assert "quoted" not in printed(ParameterValidationError("unknown key rat"), capsys)


def test_an_unknown_environment_is_refused_with_those_there_are(hooks):
    with pytest.raises(UnknownEnvironmentError, match=r"no environment 'nope'; there are sample$"):
        hooks("nope", render=False)


def test_an_unknown_pipeline_is_refused_with_those_there_are(monkeypatch):
    asked = SimpleNamespace(_requested_pipelines=["ingestion", "nope"])
    monkeypatch.setattr(pipeline_registry, "registered", asked)
    with pytest.raises(UnknownPipelineError, match=r"no pipeline 'nope'; there are __default__, .*, ingestion, "):
        register_pipelines()

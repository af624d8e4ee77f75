"""The reporting pipeline on an in-memory catalog: from the tables of a run to figures and one page."""

from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from mgn_ma.eev.targets import EEV
from mgn_ma.pipelines.reporting import create_pipeline
from mgn_ma.reporting.errors import FigureError
from mgn_ma.reporting.example import ReportingConfig

ROOT = Path(__file__).parents[2]
FIGURES = {
    "learning_curves_figure",
    "video_level_curves_figure",
    "expression_correlation_figure",
    "curves_figure",
    "attention_figure",
}


def tables():
    generator = np.random.default_rng(0)
    labels = pd.DataFrame(generator.random((60, 15), np.float32), columns=list(EEV.names))
    labels.insert(0, "video_id", np.repeat(["a", "b", "c"], 20))
    labels.insert(1, "timestamp_us", np.tile(np.arange(20) * 166_667, 3))
    attention = labels[["video_id", "timestamp_us"]].assign(member="member_0", image=0.25, audio=0.75)
    curves = pd.DataFrame({"member": "member_0", "epoch": [1, 2], "train_loss": 0.5, "validation_correlation": 0.1})
    scores = {name: {"ensemble": 0.1} for name in EEV.names}
    return {
        "learning_curves": curves,
        "video_level_learning_curves": curves,
        "evaluation": {"validation": {"ensemble": 0.1, "expressions": scores}},
        "ensemble_predictions": labels,
        "labels_validation": labels,
        "member_attention": attention,
    }


def run(**settings):
    catalog = DataCatalog(
        {name: MemoryDataset(table) for name, table in tables().items()}
        | {"params:reporting": MemoryDataset(ReportingConfig(**settings)), "params:targets": MemoryDataset(EEV)}
    )
    drawing = create_pipeline().from_inputs(
        "learning_curves", "video_level_learning_curves", "evaluation", "ensemble_predictions", "member_attention"
    )
    return SequentialRunner().run(drawing, catalog)["figures_page"].load()


def test_makes_every_figure_and_the_page():
    made = create_pipeline().all_outputs()
    assert made == FIGURES | {"evaluation", "example_video", "figures_page"}
    page = run(video_id="b")
    assert page.count("<section") == 5
    assert "Labels and predictions over video b" in page
    assert "Modal attention over video b" in page


def test_a_wrong_video_ends_the_run_with_the_parameter_s_name():
    with pytest.raises(FigureError, match=r"reporting\.video_id"):
        run(video_id="nobody")


def test_figures_are_previewable_plain_files_that_go_along_with_the_run():
    catalog = yaml.safe_load((ROOT / "conf/base/reporting/catalog.yml").read_text())
    assert all(name.endswith("_figure") for name in FIGURES)
    entry = catalog["{name}_figure"]
    assert entry["type"] == "plotly.JSONDataset"
    assert entry["filepath"].endswith("08_reporting/{name}_figure.json")
    assert "versioned" not in entry
    assert entry["metadata"]["mgn_ma"]["track"]
    parameters = yaml.safe_load((ROOT / "conf/base/reporting/parameters.yml").read_text())
    assert ReportingConfig(**parameters["reporting"]).video_id is None


def test_figure_dataset_gives_the_figure_back(tmp_path):
    catalog = DataCatalog.from_config(
        {"figure": {"type": "plotly.JSONDataset", "filepath": str(tmp_path / "figure.json"), "versioned": True}}
    )
    catalog.save("figure", go.Figure(go.Scatter(x=[1, 2], y=[3, 4])))
    assert list(catalog.load("figure").data[0].y) == [3, 4]
    assert catalog.get("figure").preview()["data"][0]["x"] == [1, 2]

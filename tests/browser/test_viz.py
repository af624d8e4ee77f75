"""Kedro-Viz as a reader opens it: the whole chain by layers, and the figures of a run in it."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.predictions import SHUFFLED
from mgn_ma.reporting.attention import attention_figure
from mgn_ma.reporting.correlations import expression_correlation_figure
from mgn_ma.reporting.curves import curves_figure
from mgn_ma.reporting.example import choose_video
from mgn_ma.reporting.figures_page import figures_page
from mgn_ma.reporting.learning_curves import learning_curves_figure, video_level_curves_figure

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LAYERS = ["raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting"]
STAGES = {
    "ingestion", "frame_features", "clip_features", "video_features", "model_input", "training", "evaluation",
    "ensembling", "reporting", "registration",
}  # fmt: skip


@pytest.fixture(scope="module")
def figures():
    """All figures, of tables that are made up."""
    time = np.arange(60)[:, None] / 6
    waves = 0.3 + 0.2 * np.sin(time * (1 + np.arange(15)) / 3)
    labels = pd.DataFrame(np.tile(waves, (3, 1)).astype(np.float32), columns=list(EEV.names))
    labels.insert(0, "timestamp_us", np.tile(np.arange(60) * 1_000_000 // 6, 3))
    labels.insert(0, "video_id", np.repeat(["-a", "<script>alert(1)</script>", "c"], 60))
    predictions = labels.copy()
    predictions[list(EEV.names)] += np.random.default_rng(0).normal(0, 0.1, (180, 15)).astype(np.float32)
    curves = pd.DataFrame(
        {
            "member": np.repeat(["member_0", "member_1", SHUFFLED], 5),
            "epoch": np.tile(np.arange(1, 6), 3),
            "train_loss": np.tile(1 / np.arange(1, 6), 3),
            "validation_correlation": np.tile([0.1, 0.2, 0.3, 0.25, 0.2], 3),
        }
    )
    attention = labels[["video_id", "timestamp_us"]].assign(member="member_0", image=0.4, audio=0.6, subtitle=0.0)
    expressions = {name: {"ensemble": 0.3, "interval": [0.2, 0.4], "oracle": 0.6} for name in EEV.names}
    video = choose_video(predictions, labels, "<script>alert(1)</script>")
    return {
        "learning_curves_figure": learning_curves_figure(curves),
        "video_level_curves_figure": video_level_curves_figure(curves),
        "expression_correlation_figure": expression_correlation_figure(
            {"validation": {"ensemble": 0.3, "expressions": expressions}}
        ),
        "curves_figure": curves_figure(predictions, labels, video, EEV),
        "attention_figure": attention_figure(attention, video.video_id),
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory, figures):
    """Kedro-Viz's page of this project in a state with figures, and what its making printed."""
    project = tmp_path_factory.mktemp("project")
    for name in ("conf", "src"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
    (project / "conf/local").mkdir()
    shutil.copy(ROOT / "pyproject.toml", project)
    for name, figure in figures.items():
        path = project / "data/sample/08_reporting" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(figure.to_json())
    command = [sys.executable, "-m", "kedro", "viz", "build", "--include-previews"]
    ended = subprocess.run(
        command, cwd=project, env=os.environ | {"KEDRO_ENV": "sample"}, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    return project / "build", ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def address(built):
    """Where the page is served."""

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(built[0])))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def graph(built):
    return json.loads((built[0] / "api/main").read_text())


@pytest.fixture
def page(browser):
    """A wide page on which no dialog, such as a script's alert, may open."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    opened = []
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    yield page
    page.close()
    assert opened == []


def test_layers_flow_one_way(built, graph):
    assert "ircular" not in built[1]
    assert graph["layers"] == LAYERS


def test_it_opens_on_a_box_a_stage_that_can_be_read(browser, address):
    """As ``make viz`` opens it, on a screen of 1280 x 800."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"{address}/?types=nodes")
    page.wait_for_selector(".pipeline-node")
    page.wait_for_timeout(2000)  # the zoom is animated
    boxes = page.locator(".pipeline-node")
    assert {text.strip() for text in boxes.all_text_contents()} == STAGES
    heights = [boxes.nth(number).bounding_box()["height"] for number in range(boxes.count())]
    assert min(heights) > 30, "in pixels of the screen: the label in it is 10 high"
    for number in range(boxes.count()):
        box = boxes.nth(number).bounding_box()
        assert box["x"] > 480 and box["x"] + box["width"] < 1280 and box["y"] + box["height"] < 800
    page.close()


def test_every_pipeline_can_be_chosen(graph):
    names = {pipeline["id"] for pipeline in graph["pipelines"]}
    assert {"__default__", "sample_data", "ingestion", "training", "ensembling", "reporting"} <= names


def test_page_shows_the_layers(page, address):
    page.goto(address)
    page.wait_for_selector(".pipeline-layer-name")
    shown = page.locator(".pipeline-layer-name").all_text_contents()
    assert set(shown) == set(LAYERS)


@pytest.mark.parametrize(
    ("name", "title", "traces"),
    [
        ("learning_curves_figure", "Learning curves", 9),
        ("video_level_curves_figure", "Learning curves of the video-level networks", 9),
        ("expression_correlation_figure", "Correlation per expression", 2),
        ("curves_figure", "Labels and predictions over video <script>", 30),
        ("attention_figure", "Modal attention over video <script>", 2),
    ],
)
def test_a_figure_is_drawn_beside_its_node_and_in_full(page, address, graph, name, title, traces):
    (node,) = [node["id"] for node in graph["nodes"] if node["name"] == name]
    page.goto(f"{address}/?pid=__default__&sid={node}")
    page.wait_for_selector(".pipeline-metadata .js-plotly-plot .gtitle")
    page.get_by_role("button", name="Expand preview").click()
    page.wait_for_selector(".js-plotly-plot .gtitle")
    full = page.locator(".js-plotly-plot").last
    assert title in full.locator(".gtitle").text_content()
    assert full.evaluate("plot => plot.data.length") == traces
    box = full.locator(".main-svg").first.bounding_box()
    assert box["width"] > 800


def test_figures_page_draws_all_of_them_without_a_network(page, figures, tmp_path):
    path = tmp_path / "figures.html"
    path.write_text(figures_page(figures, "Figures </title><script>alert(2)</script>"), encoding="utf-8")
    asked, blocked = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: blocked.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_selector("#attention_figure .gtitle")
    assert page.locator(".js-plotly-plot").count() == 5
    assert "<script>alert(1)</script>" in page.locator("#curves_figure .gtitle").text_content()
    assert page.title() == "Figures </title><script>alert(2)</script>"
    page.hover("#curves_figure .plot-container")
    assert blocked == []
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'alert(3)'}))")
    assert "Content Security Policy" in blocked[0]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []

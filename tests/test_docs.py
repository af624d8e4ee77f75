"""The documentation builds strictly, leads to every page, and knows every parameter."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project

ROOT = Path(__file__).parents[1]


def pages(nav):
    for entry in nav:
        for target in entry.values() if isinstance(entry, dict) else [entry]:
            yield from [target] if isinstance(target, str) else pages(target)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A copy of the documentation after `make docs`."""
    root = tmp_path_factory.mktemp("docs")
    for name in ("docs", "src", "conf"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
    (root / "conf/local").mkdir()
    for name in ("zensical.toml", "pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, root)
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    for command in (["docs/parameters.py"], ["-m", "zensical", "build", "--strict"]):
        done = subprocess.run(
            [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return root


def test_every_page_is_built_and_can_be_reached(site):
    listed = list(pages(tomllib.loads((site / "zensical.toml").read_text())["project"]["nav"]))
    assert sorted(listed) == sorted(path.name for path in (site / "docs").glob("*.md"))
    for name in listed:
        folder = "" if name == "index.md" else name.removesuffix(".md")
        assert (site / "site" / folder / "index.html").exists(), name


def test_a_broken_link_stops_the_build(site, tmp_path):
    broken = shutil.copytree(site, tmp_path / "broken")
    (broken / "docs/media.md").write_text("[nowhere](nowhere.md)")
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    assert subprocess.run(command, cwd=broken, capture_output=True, check=False).returncode != 0


def test_every_pipeline_that_a_page_runs_exists():
    bootstrap_project(ROOT)
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    command = re.compile(r"--pipelines\s+(\w[\w,]*)")
    commands = {(page.name, names) for page in pages for names in command.findall(page.read_text(encoding="utf-8"))}
    assert len(commands) > 40
    missing = {(page, name) for page, names in commands for name in names.split(",") if name not in pipelines}
    assert missing <= {("README.md", "NAME")}


@pytest.mark.parametrize(
    "line",
    [
        "| download.tries | integer > 0 | 3 | how often a transfer is begun before the video counts as failed. |",
        "| download.retry_unavailable | true or false | false | ask again for what an earlier run found to be gone. |",
        '| ensembling.method | "mean", "standardised_mean", "greedy", "stacking" | "mean" |  |',
        "| evaluation.bootstrap.resamples | integer ≥ 100 | 4000 |  |",
        "| execution.retries | integer ≥ 0 | 2 | how often an item is tried again after its worker died. |",
    ],
)
def test_a_parameter_has_what_it_may_be_its_value_and_its_meaning(site, line):
    assert line in (site / "docs/parameters.md").read_text().splitlines()

"""The wheel in an environment of its own: it lays out a project, and the chain runs there without the repository."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from tiny_project import CHAIN, ROOT, TINY, with_sample

from mgn_ma.command import main
from mgn_ma.new_project import TEMPLATE, NewProjectError, lay_out

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("MLFLOW_")}


def run(*command, cwd):
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Of a copy of the repository, in which there are things that are nobody else's."""
    root = tmp_path_factory.mktemp("wheel")
    for name in ("conf", "docs", "src"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, root)
    kept = {"conf/local/.gitkeep", "data/01_raw/.gitkeep"}
    private = {"conf/local/mlflow.yml", "conf/base/credentials.yml", "data/01_raw/videos/a.mp4", "data/sample/a"}
    for name in kept | private | {"src/mgn_ma/.env"}:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("" if name in kept else "private")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", cwd=root)
    (wheel,) = (root / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """An interpreter that has this package from the wheel, and what it needs from this environment."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=place)
    (site,) = place.glob("lib/*/site-packages")
    # A path file in a folder that is named by one is not read, so this environment's own mgn_ma stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_a_wheel_carries_conf_and_nothing_private(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert not [name for name in names if archive.read(name) == b"private"]
    settings = {path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*") if path.is_file()}
    ours = {f"mgn_ma/template/{path.as_posix()}" for path in settings if path.parts[1] != "local"}
    assert {name for name in names if name.startswith("mgn_ma/template/conf/")} == ours | {
        "mgn_ma/template/conf/local/.gitkeep"
    }
    assert {"mgn_ma/py.typed", "mgn_ma/template/data/01_raw/.gitkeep", "mgn_ma/template/.gitignore"} <= names


@pytest.mark.slow
def test_the_chain_runs_in_a_project_that_the_wheel_lays_out(python, tmp_path):
    said = run(python.parent / "mgn-ma", "new", "my project", cwd=tmp_path)
    commands = [line.partition("#")[0].strip() for line in said.splitlines()[1:]]
    assert commands == ["cd 'my project'", f"kedro {' '.join(CHAIN)}", "mgn-ma doctor"]
    project = with_sample(tmp_path / "my project", TINY)
    output = run(python, "-m", "kedro", *CHAIN, cwd=project)
    assert "Correlation on" in output
    assert list(project.glob("data/sample/08_reporting/evaluation.json/*/evaluation.json"))
    where = run(python, "-c", "import mgn_ma; print(mgn_ma.__file__)", cwd=project)
    assert Path(where.strip()).is_relative_to(python.parents[1])


def test_a_project_of_the_template_is_of_this_kedro():
    ours, theirs = (
        tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["kedro"] for folder in (ROOT, TEMPLATE)
    )
    assert theirs == ours | {"source_dir": "."}


def test_what_can_not_be_laid_out_is_said(tmp_path, capsys):
    template = tmp_path / "template"
    (template / "conf").mkdir(parents=True)
    full = tmp_path / "full"
    full.mkdir()
    (full / "a").touch()
    for place, message in ((full, "full is not empty: name a new folder"), (full / "a", "a: can't be made a project")):
        with pytest.raises(NewProjectError, match=message):
            lay_out(place, template)
    assert [path.name for path in full.iterdir()] == ["a"]
    with pytest.raises(SystemExit):
        main(["new", str(tmp_path / "b")])  # of the repository, in which these tests run
    assert capsys.readouterr().err.startswith(f"Error: this mgn_ma is the repository in {TEMPLATE.parents[2]}")
    assert not (tmp_path / "b").exists()

"""The chain with one modality more, added from outside as docs/add-a-modality.md says, and with one or two less."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pandas as pd
import pytest
import yaml
from tiny_project import CHAIN as WHOLE_RUN
from tiny_project import ROOT, kedro, make_project

from mgn_ma.datasets.packed_split import PackedSplitDataset
from mgn_ma.files import Folder
from mgn_ma.inference.bundle import BundleError
from mgn_ma.modalities import IN_MODEL
from mgn_ma.pipeline_registry import CHAIN
from mgn_ma.tracking.registry import ModelRegistry
from mgn_ma.tracking.versions import CHALLENGER
from mgn_ma.training.checkpoints import load_checkpoint

pytestmark = pytest.mark.slow

CHAIN_TO_TRAINING = CHAIN[: CHAIN.index("training") + 1]

TINY = {
    "sample": {"videos": 7, "shortest_seconds": 4.0, "longest_seconds": 5.0, "awkward": False},
    "execution": {"workers": 1},
    "video_level": {"epochs": 1, "folds": 2},
    "model": {"hidden": 16},
    "training": {"epochs": 1},
    "training_execution": {"workers": 1},
    "ensemble_members": {"count": 2},
    "evaluation": {"bootstrap": {"resamples": 100}},
}


def blocks(language):
    """The code of a language on the page that tells how to add a modality."""
    page = (ROOT / "docs/add-a-modality.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def install(folder):
    """What an installer makes of the page's module and its pyproject.toml."""
    (module,), (project,) = blocks("python"), map(tomllib.loads, blocks("toml"))
    (folder / "faces.py").write_text(module)
    about = folder / "{name}-{version}.dist-info".format(**project["project"])
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".format(**project["project"])
    )
    entries = configparser.ConfigParser()
    entries.read_dict(project["project"]["entry-points"])
    with (about / "entry_points.txt").open("w") as file:
        entries.write(file)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def account_of(project, modality):
    table = pd.read_csv(
        project / "data/sample/04_feature/extraction_account.csv", dtype={"video_id": str}, keep_default_na=False
    )
    return table[table["modality"] == modality]


def packed(project, split):
    return PackedSplitDataset(filepath=str(project / f"data/sample/05_model_input/{split}")).load()


def attention(project):
    return pd.read_parquet(project / "data/sample/07_model_output/member_attention.parquet")


def registered(project):
    registry = ModelRegistry(f"sqlite:///{project}/mlflow.db")
    return registry.bundle(registry.holder(CHALLENGER).uri)


def predict(project, output, **environment):
    """Predict the sample's first video by the registered model; the table of the attention."""
    video = min((project / "data/sample/01_raw/videos").glob("*.mp4"))
    command = [sys.executable, "-c", "from mgn_ma.command import main; main()", "predict", "-o", str(output)]
    model = ["--model", "models:/mgn-ma/1", "--tracking-uri", f"sqlite:///{project}/mlflow.db"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | environment
    done = subprocess.run(
        [*command, *model, "--", str(video)], capture_output=True, text=True, timeout=200, env=environment
    )
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(output / "attention.parquet")


@pytest.fixture(scope="module")
def faces(tmp_path_factory, empty_database):
    """A project with the page's modality after its whole chain, and the environment in which that is installed."""
    environment = install(tmp_path_factory.mktemp("site"))
    (parameters,) = map(yaml.safe_load, blocks("yaml"))
    project = make_project(tmp_path_factory.mktemp("faces"), TINY | parameters)
    shutil.copy(empty_database, project / "mlflow.db")
    kedro(project, *WHOLE_RUN, **environment)
    return project, environment


def test_the_sixth_modality_is_extracted_and_accounted_for(faces):
    project, _ = faces
    account = account_of(project, "faces")
    assert len(account) == TINY["sample"]["videos"] and (account["status"] == "present").all()
    assert len(list((project / "data/sample/04_feature/faces").glob("*/*.arrow"))) == len(account)


def test_the_sixth_modality_is_packed_and_read_by_members_and_reports(faces):
    project, _ = faces
    for split in ("train", "validation", "test"):
        vectors = packed(project, split).modalities["faces"]
        assert vectors.width == 2
    shares = attention(project)["faces"]
    assert ((shares > 0) & (shares < 1)).all()
    figure = (project / "data/sample/08_reporting/attention_figure.json").read_text()
    assert "faces" in {trace["name"] for trace in json.loads(figure)["data"]}


def test_the_sixth_modality_is_in_the_registered_model_which_predicts_with_it(faces, tmp_path):
    project, environment = faces
    attention = predict(project, tmp_path, **environment)
    assert list(attention.columns) == ["video_id", "timestamp_us", *IN_MODEL, "faces"]
    assert (attention["faces"] > 0).all()
    assert '"faces"' in next((tmp_path / "pages").glob("*.html")).read_text()


def test_a_model_whose_sixth_modality_is_not_installed_says_so_in_a_line(faces, tmp_path):
    project, _ = faces
    with pytest.raises(BundleError, match=r"faces.*there is no extractor 'faces:Faces': No module named 'faces'"):
        registered(project).configs()


@pytest.fixture
def without(faces, empty_database, tmp_path):
    """Runs pipelines without some modalities, on the raw data and the tracks of the first project; the new project."""

    def run(pipelines, *names):
        project = make_project(tmp_path / "project", TINY | {"modalities": dict.fromkeys(names)})
        for folder in ("01_raw", "04_feature"):
            shutil.copytree(faces[0] / "data/sample" / folder, project / "data/sample" / folder)
        shutil.copy(empty_database, project / "mlflow.db")
        kedro(project, "run", "--env", "sample", "--pipelines", pipelines)
        for name in names:
            assert name not in packed(project, "train").modalities
            assert name not in attention(project)
        return project

    return run


def test_without_a_modality_the_chain_runs_to_promotion_and_prediction(without, tmp_path):
    project = without("__default__,promotion", "subtitle")
    account = account_of(project, "subtitle")
    assert (account["status"] == "absent").all()
    assert account["reason"].str.contains("modalities.subtitle is null").all()
    bundle = registered(project)
    assert "subtitle" not in bundle.description.extractors and "subtitle" not in bundle.modalities
    assert json.loads((project / "data/sample/08_reporting/promotion.json").read_text())["outcome"] == "promoted"
    assert "subtitle" not in predict(project, tmp_path / "predicted")


def test_without_vectors_of_videos_no_network_for_them_is_trained_and_an_ensemble_is_registered(without):
    assert registered(without("__default__", "video")).video_network is None


def test_without_what_vectors_of_videos_are_made_from_they_are_made_from_the_rest(without):
    project = without(",".join(CHAIN_TO_TRAINING), "image", "title")
    (networks,) = (project / "data/sample/06_models/video_level_networks").glob("*/*/full.json")
    assert list(load_checkpoint(Folder(networks.parent), "full").inputs) == ["audio"]

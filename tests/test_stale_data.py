"""Later pipelines alone, after an extractor, a video or the labels have changed: refused until all is made anew."""

import shutil

import pandas as pd
import pytest
import yaml

from mgn_ma.errors import MGNMAError

pytestmark = pytest.mark.slow

LATER = "model_input,training,evaluation,ensembling,reporting,registration"


@pytest.fixture
def project(undisturbed, tmp_path):
    """A copy of a project after its chain."""
    return shutil.copytree(undisturbed[0], tmp_path / "project")


def another_extractor(project):
    path = project / "conf/sample/parameters.yml"
    parameters = yaml.safe_load(path.read_text())
    parameters["modalities"]["image"]["settings"] = {"image_descriptor": {"size": 32}}
    path.write_text(yaml.safe_dump(parameters))


def replaced_video(project):
    """One training video with the picture of another."""
    raw = project / "data/sample/01_raw"
    ids = pd.read_csv(raw / "annotations/train.csv", dtype=str).iloc[:, 0].unique()
    first, second = [raw / f"videos/{video_id}.mp4" for video_id in ids if (raw / f"videos/{video_id}.mp4").exists()][
        :2
    ]
    shutil.copy(second, first)


def inverted_labels(project):
    path = project / "data/sample/01_raw/annotations/train.csv"
    table = pd.read_csv(path, dtype={0: str})
    expressions = table.columns[2:]
    seen = (table[expressions] != 0).any(axis=1)
    table.loc[seen, expressions] = 1 - table.loc[seen, expressions]
    table.to_csv(path, index=False)


FILES = "the image tracks are of other files than the manifest has .* {}frame_features,clip_features,video_features,"
LABELS = "the train split was packed from other labels than there are now: {}model_input`"
RUN = "run `kedro run --pipelines "


@pytest.mark.parametrize(
    ("change", "before", "later", "refusal"),
    [
        (another_extractor, "", LATER, "image tracks are of another extractor, or .* {}frame_features,video_features,"),
        (another_extractor, "", "training", "the train split was packed from other image tracks .* {}model_input`"),
        (another_extractor, "frame_features", LATER, "video track .* not made from the image track that is there now"),
        (replaced_video, "ingestion", LATER, FILES),
        (replaced_video, "ingestion", "training", "the train split was packed from other videos .* {}model_input`"),
        (inverted_labels, "ingestion", LATER, "the video tracks were learned from other labels than there are now"),
        (inverted_labels, "ingestion", "training", LABELS),
        (inverted_labels, "ingestion", "evaluation", LABELS),
        (inverted_labels, "ingestion", "ensembling", LABELS),
        (inverted_labels, "ingestion", "registration", LABELS),
        (
            inverted_labels,
            "ingestion,video_features,model_input",
            "evaluation",
            "the members' predictions were made from another train split than is packed now: {}training`",
        ),
        (
            inverted_labels,
            "ingestion,video_features,model_input,training",
            "registration",
            "the ensemble's recipe is of other members than there are now: {}evaluation,ensembling,reporting`",
        ),
    ],
)
def test_what_is_stale_is_refused(project, run_here, change, before, later, refusal):
    change(project)
    if before:
        run_here(project, "--pipelines", before)
    with pytest.raises(MGNMAError, match=refusal.format(RUN)):
        run_here(project, "--pipelines", later)


def test_what_was_made_anew_is_registered(project, run_here):
    inverted_labels(project)
    run_here(project, "--pipelines", "ingestion,video_features,model_input,training")
    run_here(project, "--pipelines", "evaluation,ensembling,reporting,registration")

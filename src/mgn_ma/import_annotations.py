"""What `mgn-ma annotations` does: labels of a published data set into the project around, ready for `ingestion`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from mgn_ma.annotations import mediaeval_2018, mr_hisum, vce
from mgn_ma.annotations.published import LabelledVideo, PublishedDataError, frame_tables
from mgn_ma.eev.annotations import ID_COLUMNS, TIMESTAMP_COLUMN
from mgn_ma.eev.targets import Targets
from mgn_ma.errors import MGNMAError
from mgn_ma.files import write_atomically
from mgn_ma.media.folder import local_folder


class Format(NamedTuple):
    """A published format: what it predicts, and the function that takes its folder."""

    targets: Targets
    read: Callable[[Path], Iterator[LabelledVideo]]


FORMATS = {
    "mediaeval-2018": Format(mediaeval_2018.TARGETS, mediaeval_2018.read),
    "vce": Format(vce.TARGETS, vce.read),
    "mr-hisum": Format(mr_hisum.TARGETS, mr_hisum.read),
}
TARGETS_FILE = "parameters_targets.yml"
TEST_LABELS = "truth_test_labels"
ANNOTATIONS = ("annotations_train", "annotations_validation", "annotations_test")


class ImportAnnotationsError(MGNMAError):
    """The project can't take the annotations; the message says why."""


def import_annotations(project: Path, name: str, folder: Path, env: str | None = None) -> str:
    """Write annotations, the test set's labels, links to videos and the parameter ``targets`` into a project.

    Args:
        project: root of a Kedro project of this package.
        name: of ``FORMATS``.
        folder: the data set as it is published.
        env: the project's environment.

    Returns:
        What was found, in a line.

    Raises:
        PublishedDataError: the folder is not of that format.
        ImportAnnotationsError: the environment has annotations or targets of its own, which stay as they are.
    """
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.validation.exceptions import ParameterValidationError

    if not folder.is_dir():
        raise PublishedDataError(f"{folder}: there is no such folder")
    bootstrap_project(project)
    session: Any
    with KedroSession.create(project, env=env) as session:
        context: Any = session.load_context()
        targets_file = Path(context.config_loader.conf_source) / (env or "local") / TARGETS_FILE
        try:
            catalog = context.catalog
        except ParameterValidationError as error:
            raise ImportAnnotationsError(str(error)) from error
        _require_absent(catalog, targets_file)
        targets, read = FORMATS[name]
        videos = list(read(folder))
        tables = frame_tables(videos, targets)
        linked = _link(videos, local_folder(catalog.load("raw_videos_folder")))
        catalog.save(TEST_LABELS, tables["test"])
        for dataset, table in zip(ANNOTATIONS, tables.values(), strict=True):
            catalog.save(dataset, _as_published_by_eev(table))
    settings = yaml.safe_dump({"targets": targets.model_dump(mode="json")}, sort_keys=False)
    write_atomically(targets_file, f"# By `mgn-ma annotations {name}`.\n{settings}".encode())
    counts = Counter({split: table["video_id"].nunique() for split, table in tables.items()})
    of = ", ".join(f"{number} {split}" for split, number in counts.items())
    return f"{of} videos are annotated, and {linked} of these {counts.total()} are in {folder}"


def _require_absent(catalog: Any, targets_file: Path) -> None:
    present = [dataset for dataset in (*ANNOTATIONS, TEST_LABELS) if catalog.exists(dataset)]
    present += [str(targets_file)] if targets_file.exists() else []
    if present:
        raise ImportAnnotationsError(
            f"{', '.join(present)}: there already, and nothing is written over. Move the files away (annotations, "
            "truth, videos), or do it in a project of its own: `mgn-ma new DIR`"
        )


def _as_published_by_eev(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of EEV's files; the labels of the test set are there to look at, and ingestion does not read them."""
    return table.rename(columns={"video_id": ID_COLUMNS[1], "timestamp_us": TIMESTAMP_COLUMN})


def _link(videos: Iterable[LabelledVideo], folder: Path) -> int:
    """Give each video that there is its name in ``folder``, without a copy; returns how many there are."""
    files = [video.file.resolve() for video in videos if video.file is not None]
    for file in files:
        link = folder / file.name
        if link.is_symlink():  # maybe to where the data set was before
            link.unlink()
        if not link.exists():
            link.symlink_to(file)
    return len(files)

"""MediaEval 2018, Emotional Impact of Movies (of LIRIS-ACCEDE): valence and arousal of a movie, a value a second.

A movie NN has ``MEDIAEVAL18_NN_Valence-Arousal.txt``: a line of header, then time in seconds, valence, arousal. Which
movies are the test set, and what of the format is not certain: docs/other-data-sets.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mgn_ma.annotations.published import LabelledVideo, PublishedDataError, labelled_video, read_text
from mgn_ma.eev.targets import Targets

TARGETS = Targets(names=("valence", "arousal"), minimum=-1.0, zero_rows_mean_no_face=False)
FIRST_TEST_MOVIE = 54

_LABELS = re.compile(r"(MEDIAEVAL18_(\d+))_Valence-Arousal\.txt")
_COLUMNS = ("time", *TARGETS.names)
_FIRST_LINE = 2
"""Of the labels; the line before is a header."""


def read(folder: Path) -> Iterator[LabelledVideo]:
    """The annotated movies below ``folder``, however its parts were unpacked into it.

    Raises:
        PublishedDataError: there are no labels, or a file of them is faulty.
    """
    # The visual features beside the labels are text files, too: many a second of every movie.
    labels = sorted(folder.rglob("MEDIAEVAL18_*_Valence-Arousal.txt"))
    files = [(file, named) for file in labels if (named := _LABELS.fullmatch(file.name))]
    if not files:
        raise PublishedDataError(f"{folder}: there is no MEDIAEVAL18_NN_Valence-Arousal.txt in it or below")
    movies = {file.stem: file for file in folder.rglob("MEDIAEVAL18_*.mp4")}
    for file, named in files:
        yield _read_movie(file, named[1], named[2], movies)


def _read_movie(file: Path, video_id: str, number: str, movies: dict[str, Path]) -> LabelledVideo:
    # Readers of these files split at tabs or any space; one description of them says commas.
    rows = [re.split(r"[,\s]+", line.strip()) for line in read_text(file).splitlines() if line.strip()][1:]
    values = np.array([_numbers(file, line, row) for line, row in enumerate(rows, _FIRST_LINE)]).reshape(-1, 3)
    seconds = values[:, 0]
    # The last label holds as long as the one before it, a second where there is but one.
    end_s = float(seconds[-1] + (seconds[-1] - seconds[-2] if len(seconds) > 1 else 1.0)) if len(seconds) else 0.0
    return labelled_video(
        video_id,
        "test" if int(number) >= FIRST_TEST_MOVIE else "train",
        seconds,
        values[:, 1:],
        targets=TARGETS,
        end_s=end_s,
        file=movies.get(video_id),
        place=lambda row: f"{file}, line {row + _FIRST_LINE}",
    )


def _numbers(file: Path, line: int, row: list[str]) -> list[float]:
    if len(row) != len(_COLUMNS):
        raise PublishedDataError(f"{file}, line {line}: there are {len(row)} fields, not {', '.join(_COLUMNS)}")
    try:
        return [float(field) for field in row]
    except ValueError as error:
        raise PublishedDataError(f"{file}, line {line}: {error}") from error

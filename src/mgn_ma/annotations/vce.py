"""Video Cognitive Empathy (VCE, of hendrycks/emodiversity): how strongly a clip evokes each of 27 emotions.

``train_labels.json`` and ``test_labels.json`` have the emotions by clip, ``metadata.json`` each clip's duration, and
``videos`` the clips. A clip has one label: it holds for all of its frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mgn_ma.annotations.published import (
    LabelledVideo,
    PublishedDataError,
    as_object,
    labelled_video,
    read_json_object,
    video_file,
)
from mgn_ma.eev.frames import Split
from mgn_ma.eev.targets import Targets

EMOTIONS = (
    *("Admiration", "Adoration", "Aesthetic Appreciation", "Amusement", "Anger", "Anxiety", "Awe (or Wonder)"),
    *("Awkwardness", "Boredom", "Calmness", "Confusion", "Craving", "Disgust", "Empathic Pain", "Entrancement"),
    *("Excitement", "Fear", "Horror", "Interest", "Joy", "Nostalgia", "Relief", "Romance", "Sadness", "Satisfaction"),
    *("Sexual Desire", "Surprise"),
)
"""As the labels spell them."""
TARGETS = Targets(
    names=tuple(name.lower().removesuffix(" (or wonder)").replace(" ", "_") for name in EMOTIONS),
    zero_rows_mean_no_face=False,
)
FILES: dict[Split, str] = {"train": "train_labels.json", "test": "test_labels.json"}
METADATA = "metadata.json"


def read(folder: Path) -> Iterator[LabelledVideo]:
    """The labelled clips of ``folder``.

    Raises:
        PublishedDataError: a file is not there or is faulty.
    """
    metadata = read_json_object(folder / METADATA)
    for split, name in FILES.items():
        for video_id, entry in read_json_object(folder / name).items():
            yield _read_clip(folder, split, name, video_id, entry, metadata.get(video_id))


def _read_clip(folder: Path, split: Split, name: str, video_id: str, entry: Any, about: Any) -> LabelledVideo:
    place = f"{folder / name}, {video_id!r}"
    return labelled_video(
        video_id,
        split,
        np.zeros(1),
        _emotions(entry, place),
        targets=TARGETS,
        end_s=_duration(about, f"{folder / METADATA}, {video_id!r}"),
        file=video_file(folder / "videos", video_id),
        place=lambda _: place,
    )


def _emotions(entry: Any, place: str) -> npt.NDArray[np.float64]:
    """(1, 27) in the order of the targets."""
    given = as_object(as_object(entry, place).get("emotions"), f"{place}, 'emotions'")
    strange = sorted(given.keys() ^ set(EMOTIONS))
    if strange:
        raise PublishedDataError(f"{place}: {strange[0]!r} is {'not known' if strange[0] in given else 'missing'}")
    return np.array([[_number(given[name], f"{place}, {name!r}") for name in EMOTIONS]])


def _duration(entry: Any, place: str) -> float:
    return _number(as_object(entry, place).get("duration"), f"{place}, 'duration'")


def _number(value: Any, place: str) -> float:
    """A number, which the metadata write as text."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise PublishedDataError(f"{place}: {value!r} is no number") from error

"""Scores ensembles anew, side by side on the same videos, from the tracks on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.correlation import ConstantPolicy, video_correlations, video_scores
from mgn_ma.eev.frames import expression_matrix
from mgn_ma.execution.progress import Progress
from mgn_ma.features.view import TrackView
from mgn_ma.inference.model import Model, ModelDescription

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ComparisonVideos:
    """What ensembles are scored on.

    Attributes:
        labels: frame table.
        tracks: by modality.
        data_fingerprint: of the data that both are of.
        holdout: digest of the labels, if they are of the hold-out; else these are the validation videos.
    """

    labels: pd.DataFrame
    tracks: Mapping[str, TrackView]
    data_fingerprint: str
    holdout: str | None = None

    @property
    def kind(self) -> Literal["hold-out", "validation"]:
        """What the videos are called."""
        return "hold-out" if self.holdout else "validation"

    def frames(self) -> list[tuple[str, pd.DataFrame]]:
        """The labels of each video that has any track, as in the chain."""
        known = set().union(*self.tracks.values())
        blocks = self.labels.groupby("video_id", sort=False)
        return [(str(video_id), block) for video_id, block in blocks if video_id in known]


def rescore(
    bundles: Mapping[str, Model], videos: ComparisonVideos, constant: ConstantPolicy = "left_out"
) -> dict[str, Scores]:
    """The score (V,) of every video under every bundle; one video is in memory at a time."""
    predictors = {name: bundle.predictor() for name, bundle in bundles.items()}
    scores: dict[str, list[float]] = {name: [] for name in bundles}
    blocks = videos.frames()
    with Progress(len(blocks), f"scoring {videos.kind} videos", unit="video") as meter:
        for video_id, block in blocks:
            tracks = {name: view.read(video_id).rows for name, view in videos.tracks.items() if video_id in view}
            times = block["timestamp_us"].to_numpy(np.int64)
            for name, predictor in predictors.items():
                truth = expression_matrix(block, predictor.bundle.description.targets.names)
                values = predictor.predict(video_id, tracks, times).values
                table = video_correlations(values, truth, np.array([0, len(times)]), constant=constant)
                scores[name] += video_scores(table).tolist()
            meter.update()
    return {name: np.array(of_videos) for name, of_videos in scores.items()}


def differences(ours: ModelDescription, theirs: ModelDescription) -> list[str]:
    """What keeps two ensembles from being compared, each as one phrase: other data, targets or extractors."""
    found = []
    if ours.data_fingerprint != theirs.data_fingerprint:
        found.append(f"data {_short(ours.data_fingerprint)} and {_short(theirs.data_fingerprint)}")
    if ours.targets.names != theirs.targets.names:
        differing = sorted(set(ours.targets.names) ^ set(theirs.targets.names))
        found.append(f"targets ({', '.join(differing) if differing else 'in another order'})")
    elif ours.targets != theirs.targets:
        found.append("the targets' range")
    for modality in dict.fromkeys((*ours.extractors, *theirs.extractors)):
        made, other = (_made_by(description, modality) for description in (ours, theirs))
        if made != other:
            found.append(f"{modality} from {made} and {other}")
    return found


def unlike_videos(description: ModelDescription, videos: ComparisonVideos) -> list[str]:
    """What of the data on disk an ensemble was not trained on, each as one phrase."""
    found = []
    if description.data_fingerprint != videos.data_fingerprint:
        found.append(f"data {_short(description.data_fingerprint)} and {_short(videos.data_fingerprint)}")
    for modality, contract in description.extractors.items():
        view = videos.tracks.get(modality)
        if view is None or view.fingerprint != contract.fingerprint:
            on_disk = "no tracks" if view is None else f"tracks of {_short(view.fingerprint)}"
            found.append(f"{modality} from {_made_by(description, modality)} and {on_disk}")
    return found


def _made_by(description: ModelDescription, modality: str) -> str:
    contract = description.extractors.get(modality)
    return "nothing" if contract is None else f"{contract.settings['name']} {_short(contract.fingerprint)}"


def _short(fingerprint: str | None) -> str:
    return (fingerprint or "unknown")[:12]

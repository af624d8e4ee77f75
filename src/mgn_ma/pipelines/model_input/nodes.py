"""Nodes that plan the packed splits; packing itself happens, as a stream, where the plan is saved."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.features.modality import Modalities
from mgn_ma.features.track import TrackError
from mgn_ma.features.view import TrackView
from mgn_ma.training.packing import PackPlan

logger = logging.getLogger(__name__)

VIDEO = "video"
"""The video-level modality: learned, not extracted, and one vector that holds for the whole video."""
VIDEO_IN_SAMPLE = "video_in_sample"
"""The same from one network that saw the labels of all training videos, for comparison (the ablation's)."""
LEARNED = frozenset({VIDEO, VIDEO_IN_SAMPLE})


def plan_train(
    labels: pd.DataFrame,
    account: pd.DataFrame,
    targets: Targets,
    modalities: Modalities,
    image: TrackView,
    audio: TrackView,
    action: TrackView,
    subtitle: TrackView,
    video: TrackView,
    video_in_sample: TrackView | None = None,
) -> PackPlan:
    """What the training split is packed from."""
    tracks = {"image": image, "audio": audio, "action": action, "subtitle": subtitle, VIDEO: video}
    return _plan("train", labels, account, targets, modalities, tracks | _if_given(video_in_sample))


def plan_validation(
    labels: pd.DataFrame,
    account: pd.DataFrame,
    targets: Targets,
    modalities: Modalities,
    image: TrackView,
    audio: TrackView,
    action: TrackView,
    subtitle: TrackView,
    video: TrackView,
    video_in_sample: TrackView | None = None,
) -> PackPlan:
    """What the validation split is packed from."""
    tracks = {"image": image, "audio": audio, "action": action, "subtitle": subtitle, VIDEO: video}
    return _plan("validation", labels, account, targets, modalities, tracks | _if_given(video_in_sample))


def plan_test(
    labels: pd.DataFrame,
    account: pd.DataFrame,
    targets: Targets,
    modalities: Modalities,
    image: TrackView,
    audio: TrackView,
    action: TrackView,
    subtitle: TrackView,
    video: TrackView,
    video_in_sample: TrackView | None = None,
) -> PackPlan:
    """What the test split is packed from: frames without labels."""
    tracks = {"image": image, "audio": audio, "action": action, "subtitle": subtitle, VIDEO: video}
    return _plan("test", labels, account, targets, modalities, tracks | _if_given(video_in_sample))


def _if_given(video_in_sample: TrackView | None) -> dict[str, TrackView]:
    return {} if video_in_sample is None else {VIDEO_IN_SAMPLE: video_in_sample}


def _plan(
    split: str,
    labels: pd.DataFrame,
    account: pd.DataFrame,
    targets: Targets,
    modalities: Modalities,
    tracks: Mapping[str, TrackView],
) -> PackPlan:
    for name, view in tracks.items():
        if name not in LEARNED:
            _require_accounted(account, name, view)
    there = {name: view for name, view in tracks.items() if len(view)}
    for name in tracks.keys() - there.keys():
        logger.warning("No video has a %s track: %s is packed without it", name, split)
    return PackPlan(
        split=split,
        frames=_of_videos_with_tracks(split, labels, there),
        targets=targets,
        tracks=there,
        tolerances_us={name: 0 if name in LEARNED else modalities[name].tolerance_us for name in there},
    )


def _require_accounted(account: pd.DataFrame, modality: str, view: TrackView) -> None:
    """Refuse tracks that are not those of the account: a silent subset is never trained on."""
    of_modality = account[account["modality"] == modality]
    present = set(of_modality.loc[of_modality["status"] == "present", "video_id"])
    if present != set(view):
        differing = sorted(present ^ set(view))
        raise TrackError(
            f"the account and the {modality} tracks disagree about {len(differing)} videos (the first is "
            f"{differing[0]}): run the extraction again, it computes only what is missing"
        )


def _of_videos_with_tracks(split: str, labels: pd.DataFrame, tracks: Mapping[str, TrackView]) -> pd.DataFrame:
    known = set().union(*tracks.values())
    kept = labels["video_id"].isin(known).to_numpy()
    if not kept.all():
        n_left_out = labels.loc[~kept, "video_id"].nunique()
        logger.info("%s: %d videos without any track are left out", split, n_left_out)
        labels = labels[kept].reset_index(drop=True)
    if not np.any(kept):
        raise TrackError(f"no video of the {split} split has any track; the account says why")
    return labels

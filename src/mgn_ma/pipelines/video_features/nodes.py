"""Nodes that train the video-level networks and take a vector of every video from them; torch is imported then."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.base import TrackRows
from mgn_ma.features.extraction import require_accounted
from mgn_ma.features.settings import Modalities
from mgn_ma.features.track import Selection, Track, TrackHeader
from mgn_ma.features.view import ModalityOnDisk, TrackView
from mgn_ma.modalities import MODALITIES, VIDEO
from mgn_ma.training.checkpoints import Checkpoint, networks_fingerprint
from mgn_ma.training.config import VideoLevelSettings, ZeroRows
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.states import StateStore

logger = logging.getLogger(__name__)

READ = tuple(modality.name for modality in MODALITIES if modality.source and modality.granularity != "clip")
"""The modalities that a video-level network can read: what is pooled over time, and what is one vector a video."""


def train_video_level(
    labels_train: pd.DataFrame,
    labels_validation: pd.DataFrame,
    extraction_account: pd.DataFrame,
    modalities: Modalities,
    video_level: VideoLevelSettings,
    all_zero_rows: ZeroRows,
    targets: Targets,
    tracker: Any,
    training_states: StateStore,
    *tracks: TrackView,
) -> tuple[dict[str, Checkpoint], pd.DataFrame]:
    """Train the network on all training videos, and once without each fold; none where nothing reads its vectors.

    Returns:
        The networks, and their learning curves.
    """
    from mgn_ma.training.members import learning_curves
    from mgn_ma.training.video_level import labelled_videos, train_networks

    if VIDEO.name not in modalities:
        return {}, learning_curves({})
    chosen = choose_tracks(video_level, tracks)
    for view in chosen.values():
        require_accounted(extraction_account, view)
    videos, validation = (
        labelled_videos(split, labels, targets, chosen, video_level, all_zero_rows)
        for split, labels in (("training", labels_train), ("validation", labels_validation))
    )
    trained = train_networks(videos, validation, video_level, training_states, tracker)
    return {name: network.checkpoint for name, network in trained.items()}, learning_curves(trained)


def embed_videos(
    networks: dict[str, Checkpoint],
    modalities: Modalities,
    video_level: VideoLevelSettings,
    on_disk: ModalityOnDisk,
    *tracks: TrackView,
) -> Iterator[Selection | Track]:
    """One vector of every video that has anything to make one from; those that are there already are kept."""
    from mgn_ma.training.video_items import collect, sources_digest
    from mgn_ma.training.video_level import check_tracks, made_from, video_vectors

    if on_disk.modality not in modalities:
        yield Selection.from_absent(on_disk.modality)
        return
    chosen = choose_tracks(video_level, tracks)
    check_tracks(networks, chosen)
    video_ids = list(dict.fromkeys(video_id for view in chosen.values() for video_id in view))
    selection = Selection(
        modality=on_disk.modality,
        fingerprint=networks_fingerprint(networks),
        wanted={video_id: sources_digest(video_id, chosen) for video_id in video_ids},
    )
    yield selection
    items = collect(on_disk.view(selection).missing, chosen, video_level.pooled, video_level.items)
    for video_id, vector in video_vectors(networks, items, video_level):
        header = TrackHeader(
            video_id,
            selection.modality,
            "whole",
            selection.fingerprint,
            selection.wanted[video_id],
            made_from(networks, chosen, video_id),
        )
        yield Track(header, TrackRows.from_vector(vector))


def choose_tracks(settings: VideoLevelSettings, views: Sequence[TrackView]) -> dict[str, TrackView]:
    """The modalities that the settings name and that any video has."""
    tracks = {view.modality: view for view in views}
    wanted = (*settings.pooled, *settings.single)
    unknown = [name for name in wanted if name not in tracks]
    if unknown:
        raise TrainingError(f"video_level can't read {unknown[0]!r}, only {', '.join(tracks)}")
    for name in wanted:
        if not len(tracks[name]):
            logger.warning("No video has a %s track: the video-level network does without", name)
    return {name: tracks[name] for name in wanted if len(tracks[name])}

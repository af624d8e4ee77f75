"""Nodes that train the video-level networks and take one vector of every video from them."""

import logging
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, TrackRows
from mgn_ma.features.track import Selection, Track, TrackBatch, TrackHeader
from mgn_ma.features.view import ModalityOnDisk, TrackView
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import VideoLevelSettings, ZeroRows
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.states import StateStore
from mgn_ma.training.video_items import collect, sources_digest
from mgn_ma.training.video_level import (
    FULL,
    networks_fingerprint,
    train_networks,
    training_videos,
    video_vectors,
)

logger = logging.getLogger(__name__)


def train_video_level(
    labels_train: pd.DataFrame,
    image: TrackView,
    audio: TrackView,
    title: TrackView,
    video_level: VideoLevelSettings,
    all_zero_rows: ZeroRows,
    targets: Targets,
    training_states: StateStore,
) -> dict[str, Checkpoint]:
    """Train the network on all training videos, and once without each fold."""
    tracks = _chosen(video_level, {"image": image, "audio": audio, "title": title})
    videos = training_videos(labels_train, targets, tracks, video_level, all_zero_rows)
    return train_networks(videos, video_level, training_states)


def embed_videos(
    networks: dict[str, Checkpoint],
    image: TrackView,
    audio: TrackView,
    title: TrackView,
    on_disk: ModalityOnDisk,
    video_level: VideoLevelSettings,
) -> TrackBatch:
    """One vector of every video that has anything to make one from; those that are there already are kept."""
    tracks = _chosen(video_level, {"image": image, "audio": audio, "title": title})
    video_ids = list(dict.fromkeys(video_id for view in tracks.values() for video_id in view))
    selection = Selection(
        modality=on_disk.modality,
        fingerprint=networks_fingerprint(networks),
        wanted={video_id: sources_digest(video_id, tracks) for video_id in video_ids},
    )
    missing = on_disk.view(selection).missing
    return TrackBatch(selection, _tracks(networks, missing, tracks, video_level, selection))


def embed_videos_in_sample(
    networks: dict[str, Checkpoint],
    image: TrackView,
    audio: TrackView,
    title: TrackView,
    on_disk: ModalityOnDisk,
    video_level: VideoLevelSettings,
) -> TrackBatch:
    """The paper's way, whatever ``fold_vectors`` says: every vector from the network that saw all training videos."""
    return embed_videos({FULL: networks[FULL]}, image, audio, title, on_disk, video_level)


def _tracks(
    networks: Mapping[str, Checkpoint],
    video_ids: list[str],
    tracks: Mapping[str, TrackView],
    settings: VideoLevelSettings,
    selection: Selection,
) -> Iterator[Track]:
    items = collect(video_ids, tracks, settings.pooled, settings.items)
    for video_id, vector in video_vectors(networks, items, settings):
        header = TrackHeader(video_id, selection.modality, "whole", selection.fingerprint, selection.wanted[video_id])
        yield Track(header, _whole(vector))


def _whole(vector: npt.NDArray[np.float32]) -> TrackRows:
    """A track of one row that holds for the whole video."""
    return TrackRows(np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US]), vector[None])


def _chosen(settings: VideoLevelSettings, tracks: Mapping[str, TrackView]) -> dict[str, TrackView]:
    """The modalities that the settings name and that any video has."""
    wanted = (*settings.pooled, *settings.single)
    unknown = [name for name in wanted if name not in tracks]
    if unknown:
        raise TrainingError(f"video_level can't read {unknown[0]!r}, only {', '.join(tracks)}")
    for name in wanted:
        if not len(tracks[name]):
            logger.warning("No video has a %s track: the video-level network does without", name)
    return {name: tracks[name] for name in wanted if len(tracks[name])}

"""Trains the video-level network (section 2.1.3), once on all training videos and once a fold, and takes its vectors.

A network that has seen a video's labels knows them by heart, so that the video vectors of training videos would promise
more than those of new videos keep. Therefore a training video's vector comes from a network that was trained without it
(K-fold), and those of other videos from the network trained on all (``fold_vectors: in_sample`` is the paper's way, one
network for everybody).

After every epoch a network is scored on the validation videos by what it learns: the correlation of the predicted with
the true mean labels, over videos (and not within one, as in eq. 4), averaged over the expressions.

The hidden spaces of separately trained networks have nothing to do with one another, and one model must read all of
them. So all networks start from the same weights, and each fold's vectors are turned into the space of the network
trained on all by the rigid motion that fits best on the videos that both have seen (`mgn_ma.training.procrustes`).
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from mgn_ma.eev.correlation import challenge_score, video_correlations
from mgn_ma.eev.frames import table_digest
from mgn_ma.eev.targets import Targets
from mgn_ma.extractors.device import resolve_device
from mgn_ma.models.mixture_of_experts import expression_loss
from mgn_ma.models.video_level import VideoLevelNetwork
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription
from mgn_ma.training.config import VideoLevelSettings, ZeroRows
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.loop import OnEpoch, Task, on_host, own_random_numbers, train
from mgn_ma.training.member import TrainedNetwork
from mgn_ma.training.members import MemberTracker
from mgn_ma.training.order import batch_sizes
from mgn_ma.training.packed import PackedModality
from mgn_ma.training.packing import LABELS, Tracks
from mgn_ma.training.procrustes import rigid_motion
from mgn_ma.training.states import StateStore, TrainingState
from mgn_ma.training.video_items import VideoItems, collect, sources_digest, video_means

logger = logging.getLogger(__name__)

VERSION = 2
FULL = "full"
"""Name of the network that is trained on all training videos."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LabelledVideos:
    """The videos of a split that networks learn from, or are scored on.

    Attributes:
        items: of N videos.
        means: (N, C) float32, what is learnt.
        targets: C.
        inputs: by modality, whose vectors the items are.
        labels_digest: of the labels.
        digest: of everything above.
    """

    items: VideoItems
    means: Vectors
    targets: Targets
    inputs: dict[str, PackedModality]
    labels_digest: str
    digest: str


def labelled_videos(
    split: str,
    labels: pd.DataFrame,
    targets: Targets,
    tracks: Mapping[str, Tracks],
    settings: VideoLevelSettings,
    all_zero_rows: ZeroRows,
) -> LabelledVideos:
    """Read what the networks learn from, or are scored on: the videos that have a mean label and any track.

    Raises:
        TrainingError: there is none.
    """
    labelled, means = video_means(labels, targets, all_zero_rows)
    chosen = [number for number, v in enumerate(labelled) if any(v in some.headers for some in tracks.values())]
    if not chosen:
        raise TrainingError(
            f"no {split} video has both a labelled face and a track: the video-level network needs training and "
            "validation videos"
        )
    video_ids = [labelled[number] for number in chosen]
    inputs = {
        name: PackedModality(width=some.width, fingerprint=some.fingerprint, clock=some.clock, tolerance_us=0)
        for name, some in tracks.items()
    }
    sources = [(video_id, sources_digest(video_id, tracks)) for video_id in video_ids]
    seen = repr((settings.items, targets, inputs, sources))
    digest = hashlib.sha256(seen.encode() + means[chosen].tobytes()).hexdigest()
    items = collect(video_ids, tracks, settings.pooled, settings.items)
    return LabelledVideos(items, means[chosen], targets, inputs, table_digest(labels), digest)


def train_networks(
    videos: LabelledVideos,
    validation: LabelledVideos,
    settings: VideoLevelSettings,
    states: StateStore | None = None,
    tracker: MemberTracker | None = None,
) -> dict[str, TrainedNetwork]:
    """Train the network on all videos and, for ``k_fold``, once without each fold; see `mgn_ma.training.loop.train`.

    Args:
        validation: what every network is scored on after each epoch.

    Raises:
        NonFiniteLossError: the loss became NaN or infinite.
        TrainingError: fewer videos than folds, or a network would learn from fewer than two.
    """
    n_videos = len(videos.means)
    folds = assign_folds(n_videos, settings)
    parts = {FULL: np.arange(n_videos)}
    for fold in range(int(folds.max(initial=-1)) + 1):
        parts[f"fold_{fold + 1}"] = np.flatnonzero(folds != fold)
    # Batch norm has no variance of a single video.
    if min(map(len, parts.values())) < 2 or (settings.fold_vectors == "k_fold" and n_videos < settings.folds):
        raise TrainingError(
            f"{n_videos} training videos have labels: the video-level network needs as many as folds "
            f"({settings.folds}), and at least two outside of each fold; set video_level.folds to another number, or "
            "video_level.fold_vectors to in_sample to train without folds"
        )
    networks, states_of = {}, {}
    params = settings.model_dump(mode="json")
    for name, rows in parts.items():
        with tracker.member(f"video_level_{name}", params) if tracker else nullcontext() as log:
            networks[name], states_of[name] = _trained(name, rows, videos, validation, settings, states, log)
    trained = {}
    for name, network in networks.items():
        if name != FULL and settings.alignment == "rigid":
            shared = parts[name]
            theirs = embed(network, videos.items, shared, settings)
            network.set_motion(*rigid_motion(theirs, embed(networks[FULL], videos.items, shared, settings)))
        left_out = np.setdiff1d(parts[FULL], parts[name])
        checkpoint = _checkpoint(network, states_of[name], videos, validation, settings, left_out)
        trained[name] = TrainedNetwork(name, checkpoint, states_of[name].history)
    return trained


def assign_folds(n_videos: int, settings: VideoLevelSettings) -> npt.NDArray[np.int64]:
    """Which fold each training video is left out with, (N,), folds being as equal as can be; -1 without folds."""
    if settings.fold_vectors == "in_sample":
        return np.full(n_videos, -1)
    shuffled = np.random.default_rng(settings.seed).permutation(n_videos)
    folds = np.empty(n_videos, dtype=np.int64)
    folds[shuffled] = np.arange(n_videos) % settings.folds
    return folds


@torch.inference_mode()
def embed(
    network: VideoLevelNetwork, items: VideoItems, rows: npt.NDArray[np.int64], settings: VideoLevelSettings
) -> Vectors:
    """The video-level vectors (len(rows), H) of some videos."""
    device = resolve_device(settings.device)
    network = network.to(device).eval()
    # One at a time: a vector must not depend, to the last bit, on the videos that are embedded with it.
    alone = [rows[number : number + 1] for number in range(len(rows))]
    vectors = [network.forward_vectors(items.batch(row, device)).float().cpu().numpy() for row in alone]
    return np.concatenate(vectors) if vectors else np.zeros((0, network.num_features), dtype=np.float32)


def made_from(networks: Mapping[str, Checkpoint], tracks: Mapping[str, Tracks], video_id: str) -> dict[str, str]:
    """What a video's vector is made from, as its track says it: `mgn_ma.features.track.TrackHeader.made_from`."""
    headers = {name: some.headers.get(video_id) for name, some in tracks.items()}
    digests = {name: header.digest() if header else "" for name, header in headers.items()}
    labels = networks[FULL].description.training["labels_digests"]
    return digests | {f"{LABELS}_{split}": digest for split, digest in labels.items()}


def check_tracks(networks: Mapping[str, Checkpoint], tracks: Mapping[str, Tracks]) -> None:
    """Refuse tracks that are not those that the networks learned from.

    Raises:
        TrainingError: a modality is missing or one too many, or of another extractor.
    """
    learned = {name: modality.fingerprint for name, modality in networks[FULL].inputs.items()}
    there = {name: some.fingerprint for name, some in tracks.items()}
    differing = sorted(name for name in learned.keys() | there.keys() if learned.get(name) != there.get(name))
    if differing:
        raise TrainingError(
            f"the video-level networks were trained on other {' and '.join(differing)} tracks than there are now: "
            "run the pipeline video_features, which trains them anew"
        )


def video_vectors(
    networks: Mapping[str, Checkpoint], items: VideoItems, settings: VideoLevelSettings
) -> Iterator[tuple[str, Vectors]]:
    """The vector (H,) of every video of ``items``: of the network that was trained without it, if it has one."""
    source = {
        video_id: name
        for name, checkpoint in networks.items()
        for video_id in checkpoint.description.training["left_out"]
    }
    for name, checkpoint in networks.items():
        mine = [video_id for video_id in items.video_ids if source.get(video_id, FULL) == name]
        if mine:
            vectors = embed(checkpoint.build_video_level(), items, items.rows(mine), settings)
            yield from zip(mine, vectors, strict=True)


def _trained(
    name: str,
    rows: npt.NDArray[np.int64],
    videos: LabelledVideos,
    validation: LabelledVideos,
    settings: VideoLevelSettings,
    states: StateStore | None,
    on_epoch: OnEpoch | None,
) -> tuple[VideoLevelNetwork, TrainingState]:
    """Train one network on the videos at ``rows``."""
    device = resolve_device(settings.device)
    job = settings.model_dump_json(exclude={"fold_vectors", "folds", "alignment"})
    key = repr((VERSION, job, validation.digest, videos.digest, [videos.items.video_ids[row] for row in rows]))
    fingerprint = hashlib.sha256(key.encode()).hexdigest()
    # One seed for all, lest their hidden spaces differ more than they must.
    with own_random_numbers(settings.seed, device):
        sizes = settings.sized(videos.items.items, videos.items.vectors, len(videos.targets.names))
        network = VideoLevelNetwork(sizes).to(device)
        task = _VideoLevelTask(f"video_level_{name}", network, rows, videos, validation, settings)
        state = train(task, fingerprint, states=states, on_epoch=on_epoch)
    network.load_state_dict(dict(state.best_weights))
    return network, state


class _VideoLevelTask(Task[npt.NDArray[np.int64]]):
    """Batches of videos, by their rows, and eq. 3 against their mean labels; correlation with those of validation."""

    network: VideoLevelNetwork

    def __init__(
        self,
        name: str,
        network: VideoLevelNetwork,
        rows: npt.NDArray[np.int64],
        videos: LabelledVideos,
        validation: LabelledVideos,
        settings: VideoLevelSettings,
    ) -> None:
        super().__init__(name, network, settings, settings.snapshot)
        self._videos, self._validation, self._batch_size = videos, validation, settings.batch_size
        self._sizes = batch_sizes(len(rows), settings.batch_size)
        random = np.random.default_rng(settings.seed)
        self._orders = [random.permutation(rows) for _ in range(settings.epochs)]

    def batch_sizes(self, epoch: int) -> list[int]:
        return self._sizes

    def batches(self, epoch: int) -> Iterator[npt.NDArray[np.int64]]:
        return iter(np.split(self._orders[epoch - 1], np.cumsum(self._sizes)[:-1]))

    def loss(self, batch: npt.NDArray[np.int64]) -> Tensor:
        logits = self.network(self._videos.items.batch(batch, self.device))
        shares = self._videos.targets.to_shares(self._videos.means[batch])
        return expression_loss(logits, torch.from_numpy(shares).to(self.device))

    def videos(self, batch: npt.NDArray[np.int64]) -> list[str]:
        return [self._videos.items.video_ids[row] for row in batch]

    @torch.inference_mode()
    def score(self, network: nn.Module) -> float:
        network.eval()
        n_videos = len(self._validation.means)
        batches = np.split(np.arange(n_videos), range(self._batch_size, n_videos, self._batch_size))
        shares = [network(self._validation.items.batch(rows, self.device)).sigmoid() for rows in batches]
        predicted = torch.cat(shares).float().cpu().numpy()
        # The videos are what the rows of one video are in eq. 4.
        return challenge_score(video_correlations(predicted, self._validation.means, np.array([0, n_videos])))


def _checkpoint(
    network: VideoLevelNetwork,
    state: TrainingState,
    videos: LabelledVideos,
    validation: LabelledVideos,
    settings: VideoLevelSettings,
    left_out: npt.NDArray[np.int64],
) -> Checkpoint:
    labels_digests = {"train": videos.labels_digest}
    if settings.snapshot == "best":
        labels_digests["validation"] = validation.labels_digest
    training: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "epoch": state.best_epoch,
        "validation_correlation": state.best_score if math.isfinite(state.best_score) else None,
        "data_digest": videos.digest,
        "labels_digests": labels_digests,
        "left_out": [videos.items.video_ids[row] for row in left_out],
    }
    description = CheckpointDescription(
        kind="video_level",
        architecture=network.config.model_dump(mode="json"),
        inputs=videos.inputs,
        targets=videos.targets,
        training=training,
    )
    return Checkpoint(description, on_host(network.state_dict()))

"""A whole ensemble in miniature: tracks in a store, networks with random weights, labels that one of them explains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.recipe import EnsembleRecipe
from mgn_ma.extractors.base import END_OF_TIME_US, START_OF_TIME_US, Clock, ExtractorConfig, TrackRows
from mgn_ma.extractors.registry import parse_config
from mgn_ma.features.store import TrackStore
from mgn_ma.features.track import Selection, Track, TrackHeader
from mgn_ma.features.view import TrackView
from mgn_ma.grid import grid_time
from mgn_ma.inference.assembly import assemble
from mgn_ma.inference.bundle import Bundle
from mgn_ma.inference.predictor import Predictor
from mgn_ma.models.config import MGNMAConfig, TemporalConfig, TemporalKind, VideoLevelArchitecture, VideoLevelConfig
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.models.video_level import VideoLevelNetwork
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription, networks_fingerprint
from mgn_ma.training.packed import PackedModality
from mgn_ma.training.video_level import VideoLevelSettings

WIDTHS = {"image": 6, "audio": 3, "subtitle": 4, "title": 5, "video": 7}
CLOCKS: dict[str, Clock] = {
    "image": "grid", "audio": "patches", "subtitle": "cues", "title": "whole", "video": "whole",
}  # fmt: skip
TOLERANCES_US = {"image": 166_667, "audio": 960_000, "subtitle": 5_000_000, "title": 0, "video": 0}
VIDEO_LEVEL = VideoLevelSettings(
    items=10, folds=2, architecture=VideoLevelArchitecture(clusters={"image": 2, "audio": 2}, tower_width=4, hidden=7)
)
DATA = "d" * 64
SCORES = {"validation": 0.5, "interval": {"estimate": 0.5, "low": 0.4, "high": 0.6, "n_videos": 6}}


def extractors() -> dict[str, ExtractorConfig]:
    """Real configurations, whose fingerprints the tracks have; the vectors are narrower than theirs."""
    return {
        "image": parse_config("image_descriptor", {}),
        "audio": parse_config("audio_descriptor", {}),
        "subtitle": parse_config("text_descriptor", {"source": "captions"}),
        "title": parse_config("text_descriptor", {"source": "title"}),
        "action": parse_config("action_descriptor", {}),
    }


def contract(modality: str, fingerprint: str) -> PackedModality:
    return PackedModality(
        width=WIDTHS[modality],
        fingerprint=fingerprint,
        clock=CLOCKS[modality],
        tolerance_us=TOLERANCES_US[modality],
    )


def video_networks() -> dict[str, Checkpoint]:
    """The network of all training videos, and a fold's, which no validation video may get its vector from."""
    configs = extractors()
    inputs = {name: contract(name, configs[name].fingerprint()) for name in ("image", "audio", "title")}
    config = VideoLevelConfig(
        items={name: WIDTHS[name] for name in VIDEO_LEVEL.pooled},
        vectors={name: WIDTHS[name] for name in VIDEO_LEVEL.single},
        classes=15,
        **VIDEO_LEVEL.architecture.model_dump(),
    )
    networks = {}
    for seed, (name, left_out) in enumerate({"full": [], "fold_1": ["elsewhere"]}.items()):
        torch.manual_seed(seed)
        description = CheckpointDescription(
            kind="video_level",
            architecture=config.model_dump(),
            inputs=inputs,
            targets=EEV,
            training={"left_out": left_out},
        )
        networks[name] = Checkpoint(description, VideoLevelNetwork(config).state_dict())
    return networks


def member(
    seed: int,
    networks: dict[str, Checkpoint],
    noise: float = 0.0,
    kind: TemporalKind = "none",
    modalities: tuple[str, ...] = ("image", "audio", "subtitle", "video"),
) -> Checkpoint:
    """An untrained MGN-MA, its weights moved by ``noise``: the more, the less it is like the one without."""
    configs = extractors()
    fingerprints = {name: config.fingerprint() for name, config in configs.items()}
    fingerprints["video"] = networks_fingerprint(networks)
    torch.manual_seed(seed)
    # Windows so short that even these videos have some.
    temporal = TemporalConfig(kind=kind, window_s=2.0, overlap_s=1.0, width=8, heads=2, levels=1, span_s=1.0)
    widths = {name: WIDTHS[name] for name in modalities}
    config = MGNMAConfig(modalities=widths, classes=15, hidden=8, temporal=temporal)
    weights = MGNMA(config).state_dict()
    generator = torch.Generator().manual_seed(seed + 1)
    moved = {
        name: value + noise * torch.randn(value.shape, generator=generator) * value.abs().mean()
        if value.is_floating_point() and "running" not in name
        else value
        for name, value in weights.items()
    }
    description = CheckpointDescription(
        kind="mgn_ma",
        architecture=config.model_dump(),
        inputs={name: contract(name, fingerprints[name]) for name in modalities},
        targets=EEV,
        training={"seed": seed, "noise": noise},
    )
    return Checkpoint(description, moved)


def recipe(**changes) -> EnsembleRecipe:
    settings = {
        "method": "greedy",
        "standardised": False,
        "members": ("member_1", "member_2"),
        "weights": (0.75, 0.25),
        "video_weights": {"-v0": (0.5, 0.5)},
    }
    return EnsembleRecipe(**(settings | changes))


def bundle(
    noise: float = 0.0, data: str = DATA, kinds: tuple[TemporalKind, TemporalKind] = ("none", "none"), **changes
) -> Bundle:
    """The ensemble that has made the labels, or one the less like it the more ``noise`` there is."""
    networks = video_networks()
    members = {f"member_{i}": member(10 * i, networks, noise, kind) for i, kind in enumerate(kinds, start=1)}
    return assemble(
        members, networks, recipe(**changes), extractors(), VIDEO_LEVEL, scores=SCORES, data_fingerprint=data
    )


@dataclass
class TinyEnsemble:
    """Six videos of two to five seconds: one without sound, one without captions, one with nothing but captions."""

    root: Path
    labels: pd.DataFrame

    def view(self, modality: str) -> TrackView:
        store = TrackStore(self.root)
        selection = store.selection(modality)
        assert selection is not None
        return TrackView(store, selection)

    def views(self) -> dict[str, TrackView]:
        return {name: self.view(name) for name in ("image", "audio", "subtitle", "title")}

    def tracks(self, video_id: str) -> dict[str, TrackRows]:
        views = self.views()
        return {name: view.read(video_id).rows for name, view in views.items() if video_id in view}


def _rows(modality: str, n_frames: int, random: np.random.Generator) -> TrackRows:
    grid = grid_time(np.arange(n_frames + 1))
    if CLOCKS[modality] == "grid":
        starts, ends = grid[:-1], grid[1:]
    elif CLOCKS[modality] == "patches":
        starts = np.arange(0, grid[-1], 960_000)
        ends = starts + 960_000
    elif CLOCKS[modality] == "cues":
        starts, ends = np.array([500_000, 1_000_000]), np.array([900_000, 1_600_000])
    else:
        starts, ends = np.array([START_OF_TIME_US]), np.array([END_OF_TIME_US])
    return TrackRows(starts, ends, random.normal(size=(len(starts), WIDTHS[modality])).astype(np.float32))


def make(root: Path) -> TinyEnsemble:
    """Write the tracks, and let the ensemble without noise say what the labels are."""
    random = np.random.default_rng(3)
    absent = {("-v1", "audio"), ("-v2", "subtitle")} | {("-v3", name) for name in ("image", "audio", "title")}
    lengths = {f"-v{number}": int(random.integers(12, 30)) for number in range(6)}
    store = TrackStore(root)
    configs = extractors()
    for modality in ("image", "audio", "subtitle", "title"):
        fingerprint = configs[modality].fingerprint()
        mine = [video_id for video_id in lengths if (video_id, modality) not in absent]
        store.select(Selection(modality, fingerprint, {video_id: f"digest of {video_id}" for video_id in mine}))
        for video_id in mine:
            header = TrackHeader(video_id, modality, CLOCKS[modality], fingerprint, f"digest of {video_id}")
            store.write(Track(header, _rows(modality, lengths[video_id], random)))
    tiny = TinyEnsemble(root, pd.DataFrame())
    predictor = Predictor(bundle(), device="cpu")
    parts = []
    for video_id, n_frames in lengths.items():
        times = grid_time(np.arange(n_frames))
        predicted = predictor.predict(video_id, tiny.tracks(video_id), times)
        frames = pd.DataFrame({"video_id": video_id, "timestamp_us": times})
        frames[list(EEV.names)] = predicted.values
        parts.append(frames)
    tiny.labels = pd.concat(parts, ignore_index=True)
    return tiny

"""Checkpoints and training states: what comes back is what was kept, and damage is noticed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from mgn_ma.eev.targets import EEV
from mgn_ma.files import Folder
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.models.video_level import VideoLevelConfig, VideoLevelNetwork
from mgn_ma.training.checkpoints import (
    Checkpoint,
    CheckpointDescription,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from mgn_ma.training.packed import PackedModality

CONFIG = MGNMAConfig(modalities={"image": 4, "audio": 3}, classes=15, hidden=5)


def make_checkpoint(seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    inputs = {
        name: PackedModality(width=width, fingerprint=name * 3, clock="grid", tolerance_us=5)
        for name, width in CONFIG.modalities.items()
    }
    description = CheckpointDescription(
        kind="mgn_ma", architecture=CONFIG.model_dump(), inputs=inputs, targets=EEV, training={"seed": seed}
    )
    return Checkpoint(description, MGNMA(CONFIG).state_dict())


@pytest.mark.parametrize("root", ["local", "memory://checkpoints"])
def test_a_checkpoint_comes_back_whole(tmp_path: Path, root: str) -> None:
    folder = Folder(tmp_path if root == "local" else root)
    checkpoint = make_checkpoint()
    save_checkpoint(checkpoint, folder, "member_1")
    loaded = load_checkpoint(folder, "member_1")
    assert loaded.description == checkpoint.description
    assert loaded.digest() == checkpoint.digest() != make_checkpoint(1).digest()
    network = loaded.build()
    assert not network.training
    for key, value in checkpoint.weights.items():
        torch.testing.assert_close(network.state_dict()[key], value, rtol=0, atol=0)


def test_a_checkpoint_from_before_networks_could_look_along_time_sees_one_moment() -> None:
    made = make_checkpoint()
    older = {name: value for name, value in made.description.architecture.items() if name != "temporal"}
    loaded = Checkpoint(made.description.model_copy(update={"architecture": older}), made.weights)
    assert loaded.build().config == CONFIG


def test_the_video_level_network_too(tmp_path: Path) -> None:
    config = VideoLevelConfig(items={"image": 4}, classes=15, hidden=6, tower_width=3, clusters={"image": 2})
    description = CheckpointDescription(kind="video_level", architecture=config.model_dump(), inputs={}, targets=EEV)
    save_checkpoint(Checkpoint(description, VideoLevelNetwork(config).state_dict()), Folder(tmp_path), "full")
    loaded = load_checkpoint(Folder(tmp_path), "full")
    assert loaded.build_video_level().num_features == 6
    with pytest.raises(CheckpointError, match="checkpoint of video_level, wanted is one of mgn_ma"):
        loaded.build()


def test_damage_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        load_checkpoint(folder, "member_1")
    save_checkpoint(make_checkpoint(0), folder, "member_1")
    save_checkpoint(make_checkpoint(1), folder, "member_2")
    (tmp_path / "member_2.safetensors").write_bytes((tmp_path / "member_1.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="belongs to another"):
        load_checkpoint(folder, "member_2")
    (tmp_path / "member_1.json").write_text("{}")
    with pytest.raises(CheckpointError, match="does not describe a checkpoint"):
        load_checkpoint(folder, "member_1")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path, value: float) -> None:
    checkpoint = make_checkpoint()
    checkpoint.weights["hidden.linear.weight"][1, 2] = value
    save_checkpoint(checkpoint, Folder(tmp_path), "member_1")
    with pytest.raises(CheckpointError, match=r"member_1\.safetensors: hidden\.linear\.weight .* train again"):
        load_checkpoint(Folder(tmp_path), "member_1")


def test_weights_that_do_not_fit_are_refused() -> None:
    checkpoint = make_checkpoint()
    fewer = {key: value for key, value in checkpoint.weights.items() if key != "hidden.linear.weight"}
    with pytest.raises(CheckpointError, match=r"hidden\.linear\.weight"):
        Checkpoint(checkpoint.description, fewer).build()


@pytest.mark.parametrize("change", [{"experts": 0}, {"fusion": "none"}, {"classes": 10**30}])
def test_an_architecture_that_there_is_not_is_refused(change: dict[str, Any]) -> None:
    checkpoint = make_checkpoint()
    architecture = checkpoint.description.architecture | change
    description = checkpoint.description.model_copy(update={"architecture": architecture})
    with pytest.raises(CheckpointError, match="its architecture is none"):
        Checkpoint(description, checkpoint.weights).build()


def test_a_checkpoint_travels_between_processes() -> None:
    checkpoint = make_checkpoint()
    assert pickle.loads(pickle.dumps(checkpoint)).digest() == checkpoint.digest()

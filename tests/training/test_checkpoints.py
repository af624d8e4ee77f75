"""Checkpoints and training states: what comes back is what was kept, and damage is noticed."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import pytest
import torch

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
from mgn_ma.training.states import StateStore, TrainingState

CONFIG = MGNMAConfig(modalities={"image": 4, "audio": 3}, hidden=5)


def make_checkpoint(seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    inputs = {
        name: PackedModality(width=width, fingerprint=name * 3, clock="grid", tolerance_us=5)
        for name, width in CONFIG.modalities.items()
    }
    description = CheckpointDescription(
        kind="mgn_ma", architecture=CONFIG.model_dump(), inputs=inputs, training={"seed": seed}
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


def test_the_video_level_network_too(tmp_path: Path) -> None:
    config = VideoLevelConfig(items={"image": 4}, hidden=6, tower_width=3, clusters={"image": 2})
    description = CheckpointDescription(kind="video_level", architecture=config.model_dump(), inputs={})
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


def test_weights_that_do_not_fit_are_refused() -> None:
    checkpoint = make_checkpoint()
    fewer = {key: value for key, value in checkpoint.weights.items() if key != "hidden.linear.weight"}
    with pytest.raises(CheckpointError, match=r"hidden\.linear\.weight"):
        Checkpoint(checkpoint.description, fewer).build()


def test_a_checkpoint_travels_between_processes() -> None:
    checkpoint = make_checkpoint()
    assert pickle.loads(pickle.dumps(checkpoint)).digest() == checkpoint.digest()


def trained(steps: int) -> tuple[MGNMA, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = MGNMA(CONFIG)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2, weight_decay=0.1, decoupled_weight_decay=True)
    for _ in range(steps):
        step(network, optimizer)
    return network, optimizer


def step(network: MGNMA, optimizer: torch.optim.Optimizer) -> None:
    generator = torch.Generator().manual_seed(5)
    features = {name: torch.randn(8, width, generator=generator) for name, width in CONFIG.modalities.items()}
    optimizer.zero_grad()
    network.eval()(features).logits.square().mean().backward()
    optimizer.step()


def test_a_state_resumes_network_and_optimizer_exactly(tmp_path: Path) -> None:
    network, optimizer = trained(3)
    store = StateStore(Folder(tmp_path))
    state = TrainingState(
        3, [{"train_loss": 0.1 + 0.2}], network.state_dict(), optimizer.state_dict(), 2, 0.3, network.state_dict()
    )
    store.save("member_1", "abc", state)
    step(network, optimizer)

    resumed, its_optimizer = trained(0)
    loaded = store.load("member_1", "abc")
    assert loaded is not None and loaded.history == state.history
    assert (loaded.epochs_done, loaded.best_epoch, loaded.best_score, loaded.finished) == (3, 2, 0.3, False)
    resumed.load_state_dict(dict(loaded.weights))
    its_optimizer.load_state_dict(dict(loaded.optimizer))
    step(resumed, its_optimizer)
    for ours, theirs in zip(resumed.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_fingerprint_is_another_training(tmp_path: Path) -> None:
    store = StateStore(Folder(tmp_path))
    store.save("member_1", "abc", TrainingState(1, [], {}, {}, 0, 0.0, {}, finished=True))
    assert store.load("member_1", "abd") is None
    assert store.load("member_2", "abc") is None


def test_a_damaged_state_starts_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = StateStore(Folder(tmp_path))
    network, optimizer = trained(1)
    state = TrainingState(1, [], network.state_dict(), optimizer.state_dict(), 1, 0.0, network.state_dict())
    store.save("member_1", "abc", state)
    (path,) = tmp_path.iterdir()
    for content in (path.read_bytes()[:200], path.read_bytes()[:-50], b""):
        path.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            assert store.load("member_1", "abc") is None
        assert "starts anew" in caplog.text

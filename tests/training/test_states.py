"""States of trainings: kept and read to the last bit, and of no use once they are damaged."""

from __future__ import annotations

import hashlib
import io
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mgn_ma.files import Folder
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.training.states import StateStore, TrainingState

CONFIG = MGNMAConfig(modalities={"image": 4, "audio": 3}, classes=15, hidden=8)


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
    random_state = torch.default_generator.get_state()
    state = TrainingState(
        epochs_done=3,
        history=[{"train_loss": 0.1 + 0.2}],
        weights=network.state_dict(),
        optimizer=optimizer.state_dict(),
        random_state=random_state,
        best_epoch=2,
        best_score=0.3,
        best_weights=network.state_dict(),
    )
    store.save("member_1", "abc", state)
    step(network, optimizer)

    resumed, its_optimizer = trained(0)
    loaded = store.load("member_1", "abc")
    assert loaded is not None and loaded.history == state.history
    assert (loaded.epochs_done, loaded.best_epoch, loaded.best_score, loaded.finished) == (3, 2, 0.3, False)
    assert loaded.random_state is not None and torch.equal(loaded.random_state, random_state)
    resumed.load_state_dict(dict(loaded.weights))
    its_optimizer.load_state_dict(dict(loaded.optimizer))
    step(resumed, its_optimizer)
    for ours, theirs in zip(resumed.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_another_fingerprint_is_another_training(tmp_path: Path) -> None:
    store = StateStore(Folder(tmp_path))
    store.save("member_1", "abc", TrainingState(1, finished=True))
    assert store.load("member_1", "abd") is None
    assert store.load("member_2", "abc") is None


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return hashlib.sha256(file.getvalue()).digest() + file.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:200],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-50],
        lambda whole: b"not a state",
        lambda whole: pickle.dumps({"an object": Path("x")}, protocol=2),
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
        lambda whole: whole[32:],
        lambda whole: saved({"format": 1}),
        lambda whole: saved({"format": 3, "fingerprint": "abc", "state": {"epochs": 3}}),
        lambda whole: saved({"format": 3, "fingerprint": "abd", "state": {}}),
    ],
)
def test_a_damaged_state_starts_anew_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    store = StateStore(Folder(tmp_path))
    network, optimizer = trained(1)
    state = TrainingState(1, [], network.state_dict(), optimizer.state_dict(), best_weights=network.state_dict())
    store.save("member_1", "abc", state)
    (path,) = tmp_path.iterdir()
    assert store.load("member_1", "abc") is not None
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert store.load("member_1", "abc") is None
    assert "starts anew" in caplog.text


def test_not_one_flipped_bit_of_a_state_is_taken(tmp_path: Path) -> None:
    store = StateStore(Folder(tmp_path))
    network, optimizer = trained(1)
    store.save("member_1", "abc", TrainingState(1, [], network.state_dict(), optimizer.state_dict()))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        assert store.load("member_1", "abc") is None, place
    path.write_bytes(whole)
    assert store.load("member_1", "abc") is not None


def test_reading_a_state_runs_no_code(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "harm",)  # type: ignore[return-value]

    store = StateStore(Folder(tmp_path))
    store.save("member_1", "abc", TrainingState())
    (path,) = tmp_path.iterdir()
    path.write_bytes(saved({"format": 3, "fingerprint": "abc", "state": {"history": Harmful()}}))
    assert store.load("member_1", "abc") is None
    assert not (tmp_path / "harm").exists()

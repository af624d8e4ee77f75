"""The checkpoints' dataset on file systems, with versions, and half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DatasetError, Version

from mgn_ma.datasets.checkpoints import CheckpointsDataset
from mgn_ma.datasets.training_states import TrainingStatesDataset
from mgn_ma.eev.targets import EEV
from mgn_ma.models.mgn_ma import MGNMA, MGNMAConfig
from mgn_ma.training.checkpoints import Checkpoint, CheckpointDescription
from mgn_ma.training.states import TrainingState


def make_checkpoints(*names: str) -> dict[str, Checkpoint]:
    config = MGNMAConfig(modalities={"image": 3}, classes=15, hidden=2)
    description = CheckpointDescription(kind="mgn_ma", architecture=config.model_dump(), inputs={}, targets=EEV)
    return {name: Checkpoint(description, MGNMA(config).state_dict()) for name in names}


@pytest.mark.parametrize("place", ["local", "memory"])
def test_checkpoints_come_back_in_their_order(tmp_path: Path, place: str) -> None:
    filepath = str(tmp_path / "members") if place == "local" else f"memory://{tmp_path.name}/members"
    checkpoints = make_checkpoints("member_2", "member_1")
    CheckpointsDataset(filepath=filepath).save(checkpoints)
    loaded = CheckpointsDataset(filepath=filepath).load()
    assert list(loaded) == ["member_2", "member_1"]
    assert {name: one.digest() for name, one in loaded.items()} == {
        name: one.digest() for name, one in checkpoints.items()
    }


@pytest.mark.parametrize("place", ["local", "memory"])
def test_the_latest_version_and_an_earlier_one(tmp_path: Path, place: str) -> None:
    filepath = str(tmp_path / "members") if place == "local" else f"memory://{tmp_path.name}/versioned"
    stamps = ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z")
    for stamp, name in zip(stamps, ("old", "new"), strict=True):
        CheckpointsDataset(filepath=filepath, version=Version(None, stamp)).save(make_checkpoints(name))
    assert list(CheckpointsDataset(filepath=filepath, version=Version(None, None)).load()) == ["new"]
    assert list(CheckpointsDataset(filepath=filepath, version=Version(stamps[0], None)).load()) == ["old"]
    with pytest.raises(DatasetError):
        CheckpointsDataset(filepath=filepath, version=Version(None, stamps[1])).save(make_checkpoints("again"))


def test_a_save_that_was_cut_short_is_no_set_of_checkpoints(tmp_path: Path) -> None:
    dataset = CheckpointsDataset(filepath=str(tmp_path / "members"))
    dataset.save(make_checkpoints("member_1"))
    assert dataset.exists()
    (tmp_path / "members" / "index.json").unlink()
    assert not dataset.exists()
    with pytest.raises(DatasetError, match="no complete set of checkpoints"):
        dataset.load()


def test_training_states_are_handed_out_and_never_saved(tmp_path: Path) -> None:
    dataset = TrainingStatesDataset(filepath=str(tmp_path / "states"))
    store = dataset.load()
    assert store.load("member_1", "abc") is None
    store.save("member_1", "abc", TrainingState(1, [], {}, {}, 0, 0.0, {}, finished=True))
    again = dataset.load().load("member_1", "abc")
    assert again is not None and again.finished
    with pytest.raises(DatasetError, match="no node's output"):
        dataset.save("anything")  # type: ignore[arg-type]

"""The training pipeline: members, control, curves and predictions, tracked, resumed, and in several processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError, MemoryDataset, Version
from kedro.runner import SequentialRunner

from mgn_ma.datasets.checkpoints import CheckpointsDataset
from mgn_ma.datasets.training_states import TrainingStatesDataset
from mgn_ma.eev.targets import EEV
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.settings import Modalities
from mgn_ma.models.config import VideoLevelArchitecture
from mgn_ma.pipelines.training import create_pipeline
from mgn_ma.tracking.tracker import NullTracker
from mgn_ma.training.config import EnsembleConfig, ModelConfig, NetworkChanges, TrainingConfig, VideoLevelSettings
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.loop import NonFiniteLossError
from mgn_ma.training.members import predict_split
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack

CONF = Path(__file__).parents[2] / "conf"

DESCRIPTORS = {"image": "image_descriptor", "audio": "audio_descriptor", "subtitle": "text_descriptor"}
MODALITIES = Modalities.model_validate({name: {"extractor": extractor} for name, extractor in DESCRIPTORS.items()})


class ListTracker:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.params: dict[str, Mapping[str, object]] = {}
        self.curves: dict[str, list[tuple[int, dict[str, float]]]] = {}
        self.open: list[str] = []

    @contextmanager
    def member(self, name: str, params: Mapping[str, object]) -> Iterator[Any]:
        self.params[name] = params
        self.curves[name] = []
        self.open.append(name)
        yield lambda metrics, epoch: self.curves[name].append((epoch, dict(metrics)))
        self.open.remove(name)


@pytest.fixture
def splits(extracted: Any, tmp_path: Path) -> dict[str, PackedSplit]:
    modalities = ("image", "audio", "subtitle")
    return {
        split: pack(
            PackPlan(
                split,
                table[table["video_id"] != "-train6"].reset_index(drop=True),
                EEV,
                {name: extracted.view(name) for name in modalities},
                {name: extracted.modalities.tolerance_us(name) for name in modalities},
                made_from={"labels": f"labels of {split}", "videos": "videos"},
            ),
            tmp_path / "05" / split,
        )
        for split, table in extracted.labels.items()
    }


def _reading(*modalities: list[str]) -> tuple[NetworkChanges, ...]:
    return tuple(NetworkChanges(model={"modalities": names}) for names in modalities)


def make_catalog(splits: dict[str, PackedSplit], folder: Path, **changes: Any) -> DataCatalog:
    settings = {
        "model": ModelConfig(modalities=("image", "audio", "subtitle"), hidden=16),
        "training": TrainingConfig.model_validate(
            {"epochs": 4, "learning_rate": 1e-2, "batches": {"batch_size": 32}, **changes.pop("training", {})}
        ),
        "ensemble_members": EnsembleConfig(count=2),
        "modalities": MODALITIES,
        "evaluation.constant": "left_out",
        "training_execution": ExecutionConfig(),
        **{name: changes.pop(name) for name in ("model", "ensemble_members", "training_execution") if name in changes},
    }
    data = {f"labels_{split}": f"labels of {split}" for split in splits}
    outputs = ("learning_curves", "member_predictions", "member_attention")
    return DataCatalog(
        {
            **{f"{split}_input": MemoryDataset(packed, copy_mode="assign") for split, packed in splits.items()},
            **{f"params:{name}": MemoryDataset(value) for name, value in settings.items()},
            "data_fingerprint": MemoryDataset({**data, "videos": "videos"}),
            "tracker": MemoryDataset(changes.pop("tracker", NullTracker()), copy_mode="assign"),
            "training_states": TrainingStatesDataset(filepath=str(folder / "states")),
            "members": CheckpointsDataset(filepath=str(folder / "members")),
            "shuffled_member": CheckpointsDataset(filepath=str(folder / "shuffled")),
            **{name: MemoryDataset() for name in outputs},
        }
    )


def test_members_control_curves_and_predictions(splits: dict[str, PackedSplit], tmp_path: Path) -> None:
    tracker = ListTracker()
    catalog = make_catalog(splits, tmp_path, tracker=tracker)
    SequentialRunner().run(create_pipeline(), catalog)

    members, control = catalog.load("members"), catalog.load("shuffled_member")
    assert list(members) == ["member_1", "member_2"] and list(control) == ["shuffled"]
    assert members["member_1"].digest() != members["member_2"].digest()
    assert control["shuffled"].description.training["epoch"] == 4, "the control is not chosen on validation"

    curves = catalog.load("learning_curves")
    assert list(curves.columns) == ["member", "epoch", "train_loss", "validation_correlation", "seconds"]
    assert curves.groupby("member", sort=False)["epoch"].apply(list).to_dict() == {
        name: [1, 2, 3, 4] for name in ("member_1", "member_2", "shuffled")
    }
    assert tracker.open == []
    assert [epoch for epoch, _ in tracker.curves["member_2"]] == [1, 2, 3, 4]
    assert tracker.params["shuffled"]["shuffle_labels"] is True

    predictions, attention = catalog.load("member_predictions"), catalog.load("member_attention")
    keys = ["member", "split", "video_id", "timestamp_us"]
    assert list(predictions.columns) == [*keys, *EEV.names]
    assert list(attention.columns) == [*keys, "image", "audio", "subtitle"]
    pd.testing.assert_frame_equal(predictions[keys], attention[keys])
    rows = predictions.groupby(["member", "split"]).size().to_dict()
    n_validation = splits["validation"].n_frames
    assert rows == {
        **{(name, "validation"): n_validation for name in ("member_1", "member_2", "shuffled")},
        **{(name, split): splits[split].n_frames for name in ("member_1", "member_2") for split in ("holdout", "test")},
    }
    np.testing.assert_allclose(attention[["image", "audio", "subtitle"]].sum(axis=1), 1.0, atol=1e-5)
    assert predictions[list(EEV.names)].dtypes.eq(np.float32).all()
    one = predictions[(predictions["member"] == "member_1") & (predictions["split"] == "test")]
    assert one["video_id"].tolist() == np.repeat(splits["test"].video_ids, np.diff(splits["test"].offsets)).tolist()
    assert one["timestamp_us"].tolist() == splits["test"].timestamps_us.tolist()


def test_a_run_after_a_crash_trains_only_what_is_left(
    splits: dict[str, PackedSplit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mgn_ma.training import loop

    undisturbed = make_catalog(splits, tmp_path / "a")
    SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), undisturbed)

    trained: list[int] = []
    original = loop._train_epoch

    def counting(task: Any, learner: Any, epoch: int, meter: Any) -> float:
        trained.append(epoch)
        if len(trained) == 7:
            raise KeyboardInterrupt
        return original(task, learner, epoch, meter)

    monkeypatch.setattr(loop, "_train_epoch", counting)
    with pytest.raises(KeyboardInterrupt):
        SequentialRunner().run(
            create_pipeline().only_nodes("training.train_members"), make_catalog(splits, tmp_path / "b")
        )
    assert trained == [1, 2, 3, 4, 1, 2, 3]
    resumed = make_catalog(splits, tmp_path / "b")
    SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), resumed)
    assert trained == [1, 2, 3, 4, 1, 2, 3, 3, 4, 1, 2, 3, 4]
    for name, checkpoint in undisturbed.load("members").items():
        assert checkpoint.digest() == resumed.load("members")[name].digest()


@pytest.mark.slow
def test_killed_in_epoch_3_a_second_run_ends_with_the_same_weights(
    splits: dict[str, PackedSplit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mgn_ma.training import loop

    undisturbed = make_catalog(splits, tmp_path / "a")
    SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), undisturbed)

    script = Path(__file__).with_name("killed_training.py")
    command = [sys.executable, str(script), str(splits["train"].folder.parent), str(tmp_path / "b")]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "b" / "members").exists()

    trained: list[tuple[str, int]] = []
    original = loop._train_epoch

    def noting(task: Any, learner: Any, epoch: int, meter: Any) -> float:
        trained.append((task.name, epoch))
        return original(task, learner, epoch, meter)

    monkeypatch.setattr(loop, "_train_epoch", noting)
    resumed = make_catalog(splits, tmp_path / "b")
    SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), resumed)
    assert trained == [("member_2", 3), ("member_2", 4), *(("shuffled", epoch) for epoch in (1, 2, 3, 4))]
    for name, checkpoint in undisturbed.load("members").items():
        assert checkpoint.digest() == resumed.load("members")[name].digest(), name


def test_a_member_that_breaks_does_not_cost_the_others(splits: dict[str, PackedSplit], tmp_path: Path) -> None:
    catalog = make_catalog(
        splits,
        tmp_path,
        ensemble_members=EnsembleConfig(count=2, variants=_reading(["image"], ["audio"])),
    )
    matrix = np.load(splits["train"].matrices["image"].filename, mmap_mode="r+")
    matrix[3] = np.nan
    matrix.flush()
    with pytest.raises(NonFiniteLossError, match="member_1"):
        SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), catalog)
    kept = {path.name.split("-")[0] for path in (tmp_path / "states").iterdir()}
    assert kept == {"member_2"}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_members_of_other_workers_are_the_same_members(
    splits: dict[str, PackedSplit], tmp_path: Path, engine: Literal["local", "ray"]
) -> None:
    here = make_catalog(splits, tmp_path / "a")
    there = make_catalog(splits, tmp_path / "b", training_execution=ExecutionConfig(engine=engine, workers=2))
    for catalog in (here, there):
        SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), catalog)
    for name, checkpoint in here.load("members").items():
        other = there.load("members")[name]
        # Workers share the cores, and fewer threads add up in another order.
        score, others_score = (c.description.training.pop("validation_correlation") for c in (checkpoint, other))
        assert others_score == pytest.approx(score, abs=1e-4)
        assert other.description == checkpoint.description
        for key, value in checkpoint.weights.items():
            np.testing.assert_allclose(other.weights[key].numpy(), value.numpy(), rtol=1e-4, atol=1e-5)


def test_predicting_on_other_vectors_is_refused(splits: dict[str, PackedSplit], tmp_path: Path) -> None:
    catalog = make_catalog(splits, tmp_path)
    SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), catalog)
    audio = splits["test"].modalities["audio"].fingerprint
    described = (splits["test"].folder / "split.json").read_text().replace(audio, "b" * 64)
    (splits["test"].folder / "split.json").write_text(described)
    catalog["test_input"] = MemoryDataset(PackedSplit(splits["test"].folder), copy_mode="assign")
    with pytest.raises(TrainingError, match="the test split was packed from other audio tracks than there are now"):
        SequentialRunner().run(create_pipeline().only_nodes("training.predict_with_members"), catalog)
    with pytest.raises(TrainingError, match=f"audio vectors of member_1 have fingerprint {audio}, .* bbb"):
        predict_split(catalog.load("members"), catalog.load("test_input"), TrainingConfig())


def test_members_that_read_different_modalities_share_a_table(splits: dict[str, PackedSplit], tmp_path: Path) -> None:
    variants = _reading(["audio"], ["image", "audio"])
    catalog = make_catalog(splits, tmp_path, ensemble_members=EnsembleConfig(variants=variants, count=2))
    SequentialRunner().run(create_pipeline(), catalog)
    attention = catalog.load("member_attention")
    assert attention.loc[attention["member"] == "member_1", "image"].isna().all()
    assert attention.loc[attention["member"] == "member_2", ["audio", "image"]].notna().all(axis=None)


def test_checkpoints_are_versioned(splits: dict[str, PackedSplit], tmp_path: Path) -> None:
    catalog = make_catalog(splits, tmp_path)
    SequentialRunner().run(create_pipeline().only_nodes("training.train_members"), catalog)
    members = catalog.load("members")
    path = str(tmp_path / "versions" / "members")
    for stamp, name in (("2026-01-01T00.00.00.000Z", "member_1"), ("2026-01-02T00.00.00.000Z", "member_2")):
        CheckpointsDataset(filepath=path, version=Version(None, stamp)).save({name: members[name]})
    latest = CheckpointsDataset(filepath=path, version=Version(None, None))
    assert latest.exists() and list(latest.load()) == ["member_2"]
    earlier = CheckpointsDataset(filepath=path, version=Version("2026-01-01T00.00.00.000Z", None))
    assert list(earlier.load()) == ["member_1"]
    with pytest.raises(DatasetError):
        CheckpointsDataset(filepath=str(tmp_path / "nothing")).load()
    assert not CheckpointsDataset(filepath=str(tmp_path / "nothing"), version=Version(None, None)).exists()


def test_base_is_the_paper() -> None:
    training = yaml.safe_load((CONF / "base" / "training/parameters.yml").read_text())
    assert ModelConfig.model_validate(training["model"]) == ModelConfig()
    assert TrainingConfig.model_validate(training["training"]) == TrainingConfig()
    assert EnsembleConfig.model_validate(training["ensemble_members"]) == EnsembleConfig()
    assert TrainingConfig().epochs == 30 and TrainingConfig().learning_rate == 1e-4
    assert TrainingConfig().batches.batch_size == 1536
    video_level = yaml.safe_load((CONF / "base" / "video_features/parameters.yml").read_text())["video_level"]
    of_paper = VideoLevelSettings(architecture=VideoLevelArchitecture(clusters={"audio": 32}))
    assert VideoLevelSettings.model_validate(video_level) == of_paper

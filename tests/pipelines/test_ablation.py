"""The ablation pipeline from tracks to tables: few videos, one epoch, two seeds; interrupted, and run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from scipy.stats import pearsonr

from mgn_ma.datasets.checkpoints import CheckpointsDataset
from mgn_ma.datasets.packed_split import PackedSplitDataset
from mgn_ma.datasets.tracks import TracksDataset, TracksOnDiskDataset
from mgn_ma.datasets.training_states import TrainingStatesDataset
from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.ablation.config import AblationConfig
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.ensembling import EnsemblingConfig
from mgn_ma.evaluation.scoring import EvaluationConfig
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.plan import ExtractionSettings
from mgn_ma.pipelines.ablation import create_pipeline
from mgn_ma.pipelines.video_features import create_pipeline as create_video_features
from mgn_ma.training import loop
from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig
from mgn_ma.training.members import predict_network
from mgn_ma.training.video_level import VideoLevelSettings

ALL = ("image", "audio", "action", "subtitle", "video")
ABLATION = {
    "seeds": 2,
    "training": {"epochs": 1},
    "variants": {
        "audio": {"model": {"modalities": ["audio"], "fusion": "concatenation", "classifier": "mlp"}},
        "full": {},
        "ensemble": {"ensemble_of": "full"},
        "k_fold": {"model": {"modalities": list(ALL)}},
        "in_sample": {"model": {"modalities": [*ALL[:-1], "video_in_sample"]}},
    },
    "table_1": [{"row": "Audio", "variant": "audio", "paper_eev_test": 0.00574}],
    "table_2": [
        {"row": "MoE", "variant": "full", "paper_eev_test": 0.01849},
        {"row": "Ensemble", "variant": "ensemble", "paper_eev_test": 0.02292},
    ],
    "other": {
        "vectors": [{"row": "in-sample", "variant": "in_sample"}, {"row": "K-fold", "variant": "k_fold"}],
    },
}
NETWORKS = [
    *("audio_seed_0", "audio_seed_1", "full_seed_0", "full_seed_1", "full_seed_1000", "full_seed_1001"),
    *("in_sample_seed_0", "in_sample_seed_1"),
]


class Kept(MemoryDataset):
    """Holds what a node made after the last one has read it."""

    def _release(self) -> None:
        pass


class NamesTracker:
    """Writes down whose runs were opened."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def member(self, name: str, params: Mapping[str, object]) -> AbstractContextManager[Any]:
        self.names.append(name)
        return nullcontext(lambda metrics, epoch: None)


def make_catalog(extracted: Any, folder: Path, **changes: Any) -> DataCatalog:
    architecture = {"clusters": {"image": 2, "audio": 2}, "tower_width": 8, "hidden": 8}
    settings = {
        "modalities": extracted.modalities,
        "video_level": VideoLevelSettings.model_validate(
            {"items": 8, "folds": 2, "epochs": 1, "batch_size": 4, "architecture": architecture}
        ),
        "training.all_zero_rows": "left_out",
        "model": ModelConfig(hidden=8),
        "training": TrainingConfig.model_validate({"epochs": 3, "batches": {"batch_size": 64}}),
        "ensemble_members": EnsembleConfig(count=2),
        "ensembling": EnsemblingConfig(),
        "evaluation.constant": "left_out",
        "training_execution": ExecutionConfig(),
        "ablation": AblationConfig.model_validate(ABLATION),
        "evaluation": EvaluationConfig(bootstrap=BootstrapConfig(resamples=100)),
    }
    random = np.random.default_rng(1)
    test_labels = extracted.labels["test"].assign(
        **{name: random.random(len(extracted.labels["test"])).astype(np.float32) for name in EEV.names}
    )
    noise_free = pd.concat([extracted.labels["validation"], extracted.labels["holdout"]], ignore_index=True)
    truth = {"truth_validation": noise_free, "truth_test": None, "truth_test_labels": test_labels}
    of_tracks = {"path": str(extracted.root)}
    return DataCatalog(
        {
            **{f"labels_{split}": MemoryDataset(table) for split, table in extracted.labels.items()},
            **{name: MemoryDataset(table, copy_mode="assign") for name, table in (truth | changes).items()},
            **{
                f"{name}.tracks": MemoryDataset(extracted.view(name), copy_mode="assign")
                for name in (*ALL[:-1], "title")
            },
            "video.tracks": TracksDataset(modality="video", **of_tracks),
            "video.tracks_on_disk": TracksOnDiskDataset(modality="video", **of_tracks),
            **{
                f"ablation_{split}_input": PackedSplitDataset(filepath=str(folder / split))
                for split in extracted.labels
            },
            **{f"params:{name}": MemoryDataset(value) for name, value in settings.items()},
            **{f"annotations_digest_{split}": MemoryDataset("digest") for split in extracted.labels},
            "manifest": MemoryDataset(extracted.manifest),
            "data_fingerprint": MemoryDataset(extracted.data_fingerprint),
            "extraction_account": MemoryDataset(extracted.account),
            "params:targets": MemoryDataset(EEV),
            "params:extraction": MemoryDataset(ExtractionSettings()),
            "tracker": MemoryDataset(NamesTracker(), copy_mode="assign"),
            "training_states": TrainingStatesDataset(filepath=str(folder / "states")),
            "ablation_input_folder": MemoryDataset(str(folder)),
            "video_level_networks": CheckpointsDataset(filepath=str(folder / "video_level_networks")),
            "ablation_networks": CheckpointsDataset(filepath=str(folder / "networks")),
            **{
                name: Kept()
                for name in create_pipeline().all_outputs()
                if name.startswith("ablation_") and not name.endswith(("_input", "_networks"))
            },
        }
    )  # fmt: skip


def learn_videos(catalog: DataCatalog) -> None:
    nodes = ("video_features.train_video_level_networks", "video_features.embed_videos")
    SequentialRunner().run(create_video_features().only_nodes(*nodes), catalog)


@pytest.fixture(scope="module")
def finished(extracted_at: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Any]:
    """What was extracted, the folder of a finished ablation, and its catalog."""
    folder = tmp_path_factory.mktemp("ablation")
    extracted = extracted_at(folder)
    catalog = make_catalog(extracted, folder)
    learn_videos(catalog)
    SequentialRunner().run(create_pipeline(), catalog)
    return extracted, folder, catalog


def scores_of(predicted: np.ndarray, labels: np.ndarray, offsets: np.ndarray) -> float:
    """Eq. 4, video by video and expression by expression, by SciPy."""
    videos = [slice(int(start), int(stop)) for start, stop in pairwise(offsets)]
    return float(np.mean([np.mean([pearsonr(predicted[v, c], labels[v, c])[0] for c in range(15)]) for v in videos]))


def test_a_network_is_trained_once_and_has_a_run_of_its_own(finished: Any) -> None:
    _, _, catalog = finished
    assert [name for name in catalog.load("tracker").names if not name.startswith("video_level")] == NETWORKS
    assert list(catalog.load("ablation_networks")) == NETWORKS
    curves = catalog.load("ablation_learning_curves")
    assert curves["member"].tolist() == NETWORKS, "one epoch each, as the ablation's own training says"


def test_the_tables_have_the_scores_of_the_networks(finished: Any) -> None:
    _, _, catalog = finished
    networks, split = catalog.load("ablation_networks"), catalog.load("ablation_validation_input")
    predicted = {
        name: predict_network(name, networks[name], split, TrainingConfig()).values.astype(np.float64)
        for name in NETWORKS
    }
    labels = np.asarray(split.labels)

    def expected(*groups: tuple[str, ...]) -> float:
        return float(np.mean([scores_of(sum(predicted[n] for n in g), labels, split.offsets) for g in groups]))

    table_1, table_2, other = (catalog.load(f"ablation_{name}") for name in ("table_1", "table_2", "other"))
    full, ensemble = table_2["validation"]
    assert table_1["validation"][0] == pytest.approx(expected(("audio_seed_0",), ("audio_seed_1",)), abs=1e-6)
    assert full == pytest.approx(expected(("full_seed_0",), ("full_seed_1",)), abs=1e-6)
    assert ensemble == pytest.approx(
        expected(("full_seed_0", "full_seed_1000"), ("full_seed_1", "full_seed_1001")), abs=1e-6
    )
    assert table_2["validation_step"][1] == pytest.approx(ensemble - full)
    assert table_2["validation_of_oracle"][0] == pytest.approx(full), "here the truth is its own noise-free signal"
    assert other["validation"][1] == pytest.approx(full), "the K-fold row is the same network"
    assert other["table"].tolist() == ["vectors", "vectors"]
    assert table_2["holdout"].notna().all() and table_2["holdout"][0] not in (full, table_2["test"][0])
    assert table_2["test"].notna().all() and table_2["test_of_oracle"].isna().all()
    assert table_1["paper_eev_test"].tolist() == [0.00574]


KINDS = ("video", "video_in_sample", "video_unaligned")


def test_every_seed_has_video_vectors_of_its_own_of_every_kind(finished: Any) -> None:
    extracted, _, catalog = finished
    split = catalog.load("ablation_train_input")
    packed = [f"{kind}_seed_{seed}" for seed in (0, 1) for kind in KINDS]
    assert list(split.modalities) == [*ALL[:-1], *packed]
    assert {(split.modalities[name].width, split.modalities[name].clock) for name in packed} == {(8, "whole")}
    assert len({split.modalities[name].fingerprint for name in packed}) == 6
    on_train, on_test = (catalog.load(f"ablation_{name}_input").matrices for name in ("train", "test"))
    for seed in (0, 1):
        k_fold, in_sample, unaligned = (f"{kind}_seed_{seed}" for kind in KINDS)
        # Only training videos have a network that did not see them, and whose space is another.
        assert not np.array_equal(on_train[k_fold], on_train[in_sample])
        assert not np.array_equal(on_train[k_fold], on_train[unaligned])
        np.testing.assert_array_equal(on_test[k_fold], on_test[in_sample])
        np.testing.assert_array_equal(on_test[k_fold], on_test[unaligned])
    chain = extracted.view("video")
    of_chain = np.stack([chain.read(video_id).rows.vectors[0] for video_id in split.video_ids])
    np.testing.assert_array_equal(on_train["video_seed_0"], of_chain, "the first seed's networks are the chain's")


def test_a_network_reads_the_vectors_of_its_seed(finished: Any) -> None:
    _, _, catalog = finished
    networks = catalog.load("ablation_networks")
    read = {name: list(networks[name].inputs)[-1] for name in NETWORKS if not name.startswith("audio")}
    assert read == {
        **{f"full_seed_{number}": f"video_seed_{number % 1000}" for number in (0, 1, 1000, 1001)},
        **{f"in_sample_seed_{seed}": f"video_in_sample_seed_{seed}" for seed in (0, 1)},
    }


def test_the_runs_say_what_each_seed_is_made_of(finished: Any) -> None:
    _, _, catalog = finished
    runs = catalog.load("ablation_runs").set_index(["variant", "seed"])
    assert len(runs) == 10
    assert runs.loc[("ensemble", 1), "runs"] == "full_seed_1 full_seed_1001"
    assert runs.loc[("k_fold", 0), "runs"] == "full_seed_0"
    assert runs.loc[("ensemble", 0), "epochs"] == 2
    assert (runs["seconds"] > 0).all() and runs[["validation", "test"]].notna().all(axis=None)
    means = runs["validation"].groupby("variant").mean()
    assert means["full"] == pytest.approx(catalog.load("ablation_table_2")["validation"][0])


def test_a_second_run_trains_nothing_and_says_the_same(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    extracted, folder, catalog = finished
    monkeypatch.setattr(loop, "_train_epoch", lambda *_: pytest.fail("a network was trained again"))
    again = make_catalog(extracted, folder)
    SequentialRunner().run(create_pipeline(), again)
    for name in ("ablation_table_1", "ablation_table_2", "ablation_other", "ablation_runs"):
        pd.testing.assert_frame_equal(again.load(name), catalog.load(name))
    assert again.load("ablation_report") == catalog.load("ablation_report")


def test_interrupted_it_goes_on_with_the_network_that_it_was_at(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extracted, folder, undisturbed = finished
    trained: list[int] = []
    original = loop._train_epoch

    def interrupted(task: Any, learner: Any, epoch: int, meter: Any) -> float:
        if not task.name.startswith("video_level"):
            trained.append(epoch)
        if len(trained) == 4:
            raise KeyboardInterrupt
        return original(task, learner, epoch, meter)

    monkeypatch.setattr(loop, "_train_epoch", interrupted)

    def run() -> DataCatalog:
        catalog = make_catalog(extracted, folder)
        catalog["training_states"] = TrainingStatesDataset(filepath=str(tmp_path / "states"))
        catalog["ablation_networks"] = CheckpointsDataset(filepath=str(tmp_path / "networks"))
        SequentialRunner().run(create_pipeline(), catalog)
        return catalog

    with pytest.raises(KeyboardInterrupt):
        run()
    with caplog.at_level("INFO"):
        resumed = run()
    assert "8 networks for 5 variants x 2 seeds; 3 kept from before, 5 to train" in caplog.text
    assert len(trained) == 4 + 5
    for name, network in undisturbed.load("ablation_networks").items():
        assert network.digest() == resumed.load("ablation_networks")[name].digest()


def test_without_test_labels_the_tables_are_of_validation(finished: Any) -> None:
    extracted, folder, _ = finished
    catalog = make_catalog(extracted, folder, truth_test_labels=None, truth_validation=None)
    SequentialRunner().run(create_pipeline(), catalog)
    table = catalog.load("ablation_table_2")
    assert table["validation"].notna().all() and table["test"].isna().all()
    assert table["validation_of_oracle"].isna().all()
    assert "| test |" not in catalog.load("ablation_report")


def test_it_is_no_part_of_the_default_chain() -> None:
    from mgn_ma.pipeline_registry import CHAIN

    assert "ablation" not in CHAIN

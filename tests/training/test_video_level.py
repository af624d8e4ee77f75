"""Video-level vectors: who sees whose labels, one space for all networks, and what is read of a track."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import pearsonr

from mgn_ma.eev.targets import EEV
from mgn_ma.files import Folder
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.loop import NonFiniteLossError
from mgn_ma.training.packing import PackPlan
from mgn_ma.training.procrustes import rigid_motion
from mgn_ma.training.states import StateStore
from mgn_ma.training.video_items import collect, uniform_rows, video_means
from mgn_ma.training.video_level import (
    FULL,
    VideoLevelSettings,
    assign_folds,
    embed,
    labelled_videos,
    made_from,
    train_networks,
    video_vectors,
)

Plans = Callable[..., PackPlan]


def settings(**changes: Any) -> VideoLevelSettings:
    architecture = {"clusters": {"image": 3, "audio": 2}, "tower_width": 6, "hidden": 8}
    return VideoLevelSettings.model_validate(
        {
            "single": ["video"],
            "items": 10,
            "folds": 3,
            "epochs": 3,
            "learning_rate": 1e-2,
            "batch_size": 4,
            "architecture": architecture,
            **changes,
        }
    )


def make_videos(plan: PackPlan, config: VideoLevelSettings) -> Any:
    tracks = {name: plan.tracks[name] for name in (*config.pooled, *config.single)}
    return labelled_videos(plan.split, plan.frames, plan.targets, tracks, config, "left_out")


def train(plan: PackPlan, config: VideoLevelSettings, *kept: Any) -> Any:
    """Checkpoints of networks that are scored on the very videos that they learn from."""
    videos = make_videos(plan, config)
    return {name: network.checkpoint for name, network in train_networks(videos, videos, config, *kept).items()}


@pytest.mark.parametrize(
    ("n_rows", "n_items", "expected"), [(3, 5, [0, 1, 2]), (10, 5, [1, 3, 5, 7, 9]), (7, 2, [1, 5]), (0, 4, [])]
)
def test_rows_are_chosen_uniformly(n_rows: int, n_items: int, expected: list[int]) -> None:
    assert uniform_rows(n_rows, n_items).tolist() == expected


def test_80_of_many_rows_cover_the_whole_video_evenly() -> None:
    rows = uniform_rows(1555, 80)
    assert len(set(rows.tolist())) == 80
    assert rows[0] < 20 and rows[-1] > 1535
    assert set(np.diff(rows).tolist()) == {19, 20}


def test_items_are_the_chosen_rows_and_the_rest_is_padding(plan_of: Plans) -> None:
    plan = plan_of(4)
    ids = plan.frames["video_id"].unique().tolist()
    items = collect(ids, {name: plan.tracks[name] for name in ("image", "audio", "video")}, ("image", "audio"), 10)
    for number, video_id in enumerate(ids):
        for name in ("image", "audio"):
            rows = plan.tracks[name].rows.get(video_id)  # type: ignore[attr-defined]
            chosen = uniform_rows(0 if rows is None else len(rows), 10)
            assert items.masks[name][number].tolist() == [i < len(chosen) for i in range(10)]
            assert not items.items[name][number, len(chosen) :].any()
            if rows is not None:
                expected = rows.vectors[chosen].astype(np.float16)
                np.testing.assert_array_equal(items.items[name][number, : len(chosen)], expected)
    assert not items.masks["audio"][2].any(), "the plan's third video has no audio"


def test_means_leave_out_rows_without_a_face_and_videos_without_any() -> None:
    values = np.zeros((7, 15), dtype=np.float32)
    values[0], values[2], values[6] = 0.2, 0.6, 0.5
    labels = pd.DataFrame(values, columns=list(EEV.names))
    labels.insert(0, "video_id", ["a", "a", "a", "b", "b", "c", "c"])
    ids, means = video_means(labels, EEV, "left_out")
    assert ids == ["a", "c"]
    np.testing.assert_allclose(means[:, 0], [0.4, 0.5], rtol=1e-6)
    ids, means = video_means(labels, EEV, "kept")
    assert ids == ["a", "b", "c"]
    np.testing.assert_allclose(means[:, 0], [0.8 / 3, 0.0, 0.25], rtol=1e-6)


def test_no_training_video_is_embedded_by_a_network_that_saw_its_labels(plan_of: Plans) -> None:
    plan, config = plan_of(9), settings()
    networks = train(plan, config)
    assert list(networks) == [FULL, "fold_1", "fold_2", "fold_3"]
    assert networks[FULL].description.training["left_out"] == []
    left_out = [v for network in networks.values() for v in network.description.training["left_out"]]
    assert sorted(left_out) == sorted(plan.frames["video_id"].unique())

    # Changing one video's labels must change every vector but its own and those of its fold.
    video_id = networks["fold_2"].description.training["left_out"][0]
    changed = plan.frames.copy()
    changed.loc[changed["video_id"] == video_id, list(EEV.names)] = 0.9
    others = train(PackPlan("train", changed, plan.targets, plan.tracks, {}), config)
    for name in networks:
        saw_it = video_id not in networks[name].description.training["left_out"]
        same = all(
            np.array_equal(networks[name].weights[key], others[name].weights[key])
            for key in networks[name].weights
            if key not in ("rotation", "shift")
        )
        assert same != saw_it


def test_vectors_come_from_the_right_network(plan_of: Plans) -> None:
    plan, config = plan_of(7), settings()
    videos = make_videos(plan, config)
    networks = train(plan, config)
    tracks = {name: plan.tracks[name] for name in (*config.pooled, *config.single)}
    new = plan_of(3, split="validation")
    new_tracks = {name: new.tracks[name] for name in tracks}
    vectors = dict(video_vectors(networks, videos.items, config))
    assert set(vectors) == set(videos.items.video_ids)
    for name in ("fold_1", "fold_3"):
        left_out = networks[name].description.training["left_out"]
        rows = videos.items.rows(left_out)
        expected = embed(networks[name].build_video_level(), videos.items, rows, config)
        np.testing.assert_allclose(np.stack([vectors[v] for v in left_out]), expected, atol=1e-6)
    items = collect(new.frames["video_id"].unique().tolist(), new_tracks, config.pooled, config.items)
    expected = embed(networks[FULL].build_video_level(), items, np.arange(3), config)
    np.testing.assert_allclose(np.stack([v for _, v in video_vectors(networks, items, config)]), expected, atol=1e-6)


def test_alignment_brings_the_folds_nearer_to_the_full_network(plan_of: Plans) -> None:
    plan = plan_of(12)
    distances = {}
    for alignment in ("none", "rigid"):
        config = settings(alignment=alignment, epochs=12, snapshot="last")
        videos = make_videos(plan, config)
        networks = train(plan, config)
        seen = np.setdiff1d(np.arange(12), videos.items.rows(networks["fold_1"].description.training["left_out"]))
        theirs = embed(networks["fold_1"].build_video_level(), videos.items, seen, config)
        full = embed(networks[FULL].build_video_level(), videos.items, seen, config)
        distances[alignment] = np.linalg.norm(theirs - full) / np.linalg.norm(full - full.mean(axis=0))
    assert distances["rigid"] < 0.6 * distances["none"]


def test_vectors_are_not_negative_wherever_a_fold_s_are_moved_to(plan_of: Plans) -> None:
    plan, config = plan_of(9), settings()
    videos, networks = make_videos(plan, config), train(plan, config)
    moved = networks["fold_1"].build_video_level()
    assert (
        moved.forward_features(videos.items.batch(np.arange(9), torch.device("cpu"))) @ moved.rotation + moved.shift
    ).min() < 0
    for checkpoint in networks.values():
        assert embed(checkpoint.build_video_level(), videos.items, np.arange(9), config).min() >= 0


def test_the_score_is_the_correlation_over_videos_and_the_best_epoch_is_kept(plan_of: Plans) -> None:
    plan, new, config = plan_of(9), plan_of(5, split="validation"), settings(epochs=8, fold_vectors="in_sample")
    videos, validation = make_videos(plan, config), make_videos(new, config)
    trained = train_networks(videos, validation, config)[FULL]
    scores = [metrics["validation_correlation"] for metrics in trained.history]
    assert trained.checkpoint.description.training["epoch"] == 1 + int(np.argmax(scores))
    network = trained.checkpoint.build_video_level()
    said = network(validation.items.batch(np.arange(5), torch.device("cpu"))).sigmoid().detach().numpy()
    expected = np.mean([pearsonr(x, y).statistic for x, y in zip(said.T, validation.means.T, strict=True)])
    assert max(scores) == pytest.approx(expected, abs=1e-5)
    last = train_networks(videos, validation, settings(epochs=8, fold_vectors="in_sample", snapshot="last"))[FULL]
    assert last.checkpoint.description.training["epoch"] == 8
    assert [metrics["validation_correlation"] for metrics in last.history] == scores


def test_vectors_depend_on_the_labels_that_chose_the_snapshot(plan_of: Plans) -> None:
    plan = plan_of(4)
    for snapshot, splits in (("best", {"train", "validation"}), ("last", {"train"})):
        networks = train(plan, settings(snapshot=snapshot, epochs=1, fold_vectors="in_sample"))
        made = made_from(networks, plan.tracks, plan.frames["video_id"][0])
        assert {name for name in made if name.startswith("labels")} == {f"labels_{split}" for split in splits}


def test_in_sample_is_one_network_for_everybody(plan_of: Plans) -> None:
    plan, config = plan_of(4), settings(fold_vectors="in_sample")
    assert list(train(plan, config)) == [FULL]
    assert assign_folds(4, config).tolist() == [-1] * 4


def test_folds_are_as_equal_as_can_be() -> None:
    assert sorted(np.bincount(assign_folds(11, settings())).tolist()) == [3, 4, 4]


def test_finished_networks_are_taken_from_the_store(plan_of: Plans, tmp_path: Path) -> None:
    plan, config = plan_of(6), settings()
    store = StateStore(Folder(tmp_path))
    first = train(plan, config, store)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 4
    again = train(plan, config, store)
    assert {name: network.digest() for name, network in again.items()} == {
        name: network.digest() for name, network in first.items()
    }
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    more = settings(epochs=4)
    train(plan, more, store)
    assert len(list(tmp_path.iterdir())) == 8


class KilledError(Exception):
    """Stands for the end of the process."""


def test_killed_in_the_middle_of_a_fold_it_resumes_to_the_same_bits(plan_of: Plans, tmp_path: Path) -> None:
    plan, config = plan_of(7), settings()
    undisturbed = train(plan, config)
    store, heard = StateStore(Folder(tmp_path)), []

    class Killer:
        def member(self, name: str, params: object) -> AbstractContextManager[Any]:
            return nullcontext(lambda metrics, epoch: self.hear(name, epoch))

        def hear(self, name: str, epoch: int) -> None:
            heard.append((name, epoch))
            if heard[-1] == ("video_level_fold_1", 2):
                raise KilledError

    with pytest.raises(KilledError):
        train(plan, config, store, Killer())
    torch.rand(100)  # a new process has another random state
    resumed = train(plan, config, store)
    for name, network in undisturbed.items():
        assert network.digest() == resumed[name].digest(), name


def test_a_non_finite_loss_names_network_and_videos(plan_of: Plans) -> None:
    plan, config = plan_of(6), settings(batch_size=2)
    videos = make_videos(plan, config)
    videos.items.items["image"][3] = np.inf
    with pytest.raises(NonFiniteLossError, match=r"video_level_full: .* epoch 1, batch \d\. .* 2 videos: .*-train_03"):
        train_networks(videos, videos, config)


@pytest.mark.parametrize(("n_videos", "folds"), [(4, 5), (3, 2), (2, 2)])
def test_too_few_videos_say_what_to_do(plan_of: Plans, n_videos: int, folds: int) -> None:
    config = settings(folds=folds)
    with pytest.raises(TrainingError, match=rf"{n_videos} training videos have labels.*in_sample"):
        train(plan_of(n_videos), config)


def test_three_videos_are_enough_for_three_folds(plan_of: Plans) -> None:
    config = settings(folds=3)
    networks = train(plan_of(3), config)
    assert [len(network.description.training["left_out"]) for network in networks.values()] == [0, 1, 1, 1]


def test_a_rotation_and_shift_are_found_exactly() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 6))
    rotation, _ = np.linalg.qr(random.normal(size=(6, 6)))
    r, s = rigid_motion(x, x @ rotation + 3.0, pull=0.0)
    np.testing.assert_allclose(r, rotation, atol=1e-8)
    np.testing.assert_allclose(s, 3.0, atol=1e-8)


def test_directions_without_evidence_are_not_turned() -> None:
    random = np.random.default_rng(1)
    x = np.zeros((10, 5))
    x[:, :2] = random.normal(size=(10, 2))
    y = x.copy()
    y[:, :2] = x[:, [1, 0]]
    r, _ = rigid_motion(x, y)
    np.testing.assert_allclose(r[2:, 2:], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(r @ r.T, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(x @ r, y, atol=0.05)

"""The loop: it learns what can be learnt, resumes to the same bits, and stops where numbers break down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mgn_ma.eev.targets import EEV, Targets
from mgn_ma.files import Folder
from mgn_ma.training.config import ModelConfig, TrainingConfig
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.loop import NonFiniteLossError
from mgn_ma.training.member import MemberJob, train_member
from mgn_ma.training.members import predict_network
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack
from mgn_ma.training.states import StateStore

Packed = Callable[..., PackedSplit]


def make_job(split: PackedSplit, **changes: Any) -> MemberJob:
    training = {"epochs": 5, "learning_rate": 1e-2, "batches": {"batch_size": 64}, **changes.pop("config", {})}
    model = {"modalities": ("image", "audio", "subtitle"), "hidden": 24, "dropout": 0.1, **changes.pop("model", {})}
    return MemberJob(
        name="member_1",
        architecture=ModelConfig.model_validate(model).sized(split.widths, len(split.targets.names)),
        config=TrainingConfig.model_validate(training),
        seed=3,
        **changes,
    )


class KilledError(Exception):
    """Stands for the end of the process."""


def kill_in(epoch: int) -> Callable[[Mapping[str, float], int], None]:
    def on_epoch(metrics: Mapping[str, float], number: int) -> None:
        if number == epoch:
            raise KilledError

    return on_epoch


def test_learns_a_learnable_law_and_reports_every_epoch(packed: Packed) -> None:
    train, validation = packed(12, learnable=True), packed(4, split="validation", learnable=True)
    heard: list[tuple[int, dict[str, float]]] = []
    member = train_member(
        make_job(train, config={"epochs": 12}),
        train,
        validation,
        on_epoch=lambda metrics, epoch: heard.append((epoch, dict(metrics))),
    )
    assert [epoch for epoch, _ in heard] == list(range(1, 13))
    assert [metrics for _, metrics in heard] == member.history
    losses = [metrics["train_loss"] for metrics in member.history]
    assert losses[-1] < losses[0]
    assert max(metrics["validation_correlation"] for metrics in member.history) > 0.5


def test_the_snapshot_is_of_the_best_epoch(packed: Packed) -> None:
    train, validation = packed(5), packed(3, split="validation")
    job = make_job(train, config={"epochs": 8})
    member = train_member(job, train, validation)
    scores = [metrics["validation_correlation"] for metrics in member.history]
    best = int(np.argmax(scores)) + 1
    assert member.checkpoint.description.training["epoch"] == best
    assert member.checkpoint.description.training["validation_correlation"] == max(scores)
    until_best = train_member(make_job(train, config={"epochs": best, "snapshot": "last"}), train, validation)
    assert weights_of(member) == weights_of(until_best)


def weights_of(member: Any) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in member.checkpoint.weights.items()}


@pytest.mark.parametrize("shuffle", ["full", "blocks"])
def test_killed_in_epoch_3_it_resumes_to_the_same_bits(packed: Packed, tmp_path: Path, shuffle: str) -> None:
    train, validation = packed(6), packed(3, split="validation")
    job = make_job(train, config={"batches": {"batch_size": 64, "shuffle": shuffle, "window_frames": 100}})
    undisturbed = train_member(job, train, validation)

    states = StateStore(Folder(tmp_path / "states"))
    with pytest.raises(KilledError):
        train_member(job, train, validation, states=states, on_epoch=kill_in(3))
    torch.rand(100)  # a new process has another random state
    heard: list[int] = []
    resumed = train_member(job, train, validation, states=states, on_epoch=lambda _, epoch: heard.append(epoch))
    assert weights_of(resumed) == weights_of(undisturbed)
    assert heard == [1, 2, 3, 4, 5]
    for ours, theirs in zip(resumed.history, undisturbed.history, strict=True):
        assert ours["train_loss"] == theirs["train_loss"]
        assert ours["validation_correlation"] == theirs["validation_correlation"]


def test_a_finished_training_is_not_repeated(packed: Packed, tmp_path: Path) -> None:
    train, validation = packed(4), packed(3, split="validation")
    states = StateStore(Folder(tmp_path / "states"))
    first = train_member(make_job(train), train, validation, states=states)
    again = train_member(make_job(train), train, validation, states=states)
    assert again.history == first.history  # with the seconds of the first
    assert weights_of(again) == weights_of(first)
    assert again.checkpoint.description == first.checkpoint.description


@pytest.mark.parametrize("what", ["seed", "config", "architecture", "train", "validation", "control"])
def test_the_fingerprint_covers_job_and_data(packed: Packed, what: str) -> None:
    train, validation, other = packed(4), packed(3, split="validation"), packed(4, seed=8)
    job = make_job(train)
    before = job.fingerprint(train, validation)
    changed = {
        "seed": lambda: job.model_copy(update={"seed": 4}).fingerprint(train, validation),
        "config": lambda: make_job(train, config={"learning_rate": 1e-3}).fingerprint(train, validation),
        "architecture": lambda: make_job(train, model={"experts": 4}).fingerprint(train, validation),
        "train": lambda: job.fingerprint(other, validation),
        "validation": lambda: job.fingerprint(train, other),
        "control": lambda: make_job(train, shuffle_labels=True).fingerprint(train, validation),
    }
    assert changed[what]() != before
    speed = {"prefetch": 9, "device_cache": "off", "page_cache_gib": 2}
    faster = make_job(train, config={"batches": {"batch_size": 64, **speed}})
    assert faster.fingerprint(train, validation) == before


@pytest.mark.parametrize(("page_cache_gib", "shuffle"), [(1.0, "full"), (0.0, "blocks")])
def test_what_auto_is_here_is_part_of_the_fingerprint_and_of_the_checkpoint(
    packed: Packed, page_cache_gib: float, shuffle: str
) -> None:
    train, validation = packed(4), packed(3, split="validation")
    batches = {"batch_size": 64, "page_cache_gib": page_cache_gib}
    auto = make_job(train, config={"epochs": 1, "batches": batches})
    said = make_job(train, config={"epochs": 1, "batches": {"batch_size": 64, "shuffle": shuffle}})
    assert auto.resolved(train, validation).fingerprint(train, validation) == said.fingerprint(train, validation)
    member, same = (train_member(job, train, validation) for job in (auto, said))
    assert member.checkpoint.description.training["config"]["batches"]["shuffle"] == shuffle
    assert weights_of(member) == weights_of(same)


@pytest.mark.parametrize(("begun_gib", "here_gib", "begun"), [(1.0, 0.0, "full"), (0.0, 1.0, "blocks")])
def test_a_training_goes_on_with_the_shuffle_that_it_was_begun_with(
    packed: Packed, tmp_path: Path, caplog: pytest.LogCaptureFixture, begun_gib: float, here_gib: float, begun: str
) -> None:
    train, validation = packed(6), packed(3, split="validation")
    batches = {"batch_size": 64, "window_frames": 100}
    there = make_job(train, config={"batches": {**batches, "page_cache_gib": begun_gib}})
    here = make_job(train, config={"batches": {**batches, "page_cache_gib": here_gib}})
    undisturbed = train_member(there, train, validation)
    states = StateStore(Folder(tmp_path / "states"))
    with pytest.raises(KilledError):
        train_member(there, train, validation, states=states, on_epoch=kill_in(2))
    with caplog.at_level("INFO"):
        resumed = train_member(here, train, validation, states=states)
    assert f"member_1 was begun with shuffle: {begun} and goes on with it" in caplog.text
    assert "goes on after epoch 2" in caplog.text
    assert weights_of(resumed) == weights_of(undisturbed)
    assert weights_of(train_member(here, train, validation)) != weights_of(undisturbed)


def test_the_policy_of_constant_truth_decides_which_snapshot_is_best(
    packed: Packed, plan_of: Callable[..., PackPlan], tmp_path: Path
) -> None:
    train, plan = packed(5), plan_of(3, split="validation")
    first = plan.frames["video_id"] == plan.frames["video_id"][0]
    plan.frames.loc[first, list(EEV.names[3:])] = 0.5  # of the first video, three expressions are all that it says
    validation = pack(plan, tmp_path / "validation")
    members = {
        policy: train_member(make_job(train, constant=policy), train, validation) for policy in ("left_out", "zeros")
    }
    left_out, zeros = ([m["validation_correlation"] for m in member.history] for member in members.values())
    assert left_out != zeros
    for member, scores in zip(members.values(), (left_out, zeros), strict=True):
        assert member.checkpoint.description.training["epoch"] == int(np.argmax(scores)) + 1


@pytest.mark.parametrize(("snapshot", "differs"), [("best", True), ("last", False)])
def test_the_policy_is_part_of_the_fingerprint_where_it_decides(packed: Packed, snapshot: str, differs: bool) -> None:
    train, validation = packed(4), packed(3, split="validation")
    left_out, zeros = (
        make_job(train, config={"snapshot": snapshot}, constant=policy).fingerprint(train, validation)
        for policy in ("left_out", "zeros")
    )
    assert (left_out != zeros) == differs


def test_training_leaves_the_random_state_of_the_process_alone(packed: Packed) -> None:
    train, validation = packed(4), packed(3, split="validation")
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    train_member(make_job(train, config={"epochs": 1}), train, validation)
    assert torch.equal(torch.rand(3), expected)


def test_a_non_finite_loss_names_the_videos_of_the_batch(
    packed: Packed, plan_of: Callable[..., PackPlan], tmp_path: Path
) -> None:
    plan, validation = plan_of(3), packed(3, split="validation")
    plan.tracks["image"].read("-train_01").rows.vectors[2] = np.inf
    train = pack(plan, tmp_path / "train")
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, batch \d+\. The batch has frames of .*-train_01"):
        train_member(make_job(train), train, validation)


@pytest.mark.parametrize(("policy", "trained_on"), [("left_out", "faces"), ("kept", "all"), ("dropped", "faces")])
def test_rows_of_zeros(packed: Packed, policy: str, trained_on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mgn_ma.training import member

    train, validation = packed(4), packed(3, split="validation")
    n_scored = []
    original = member.video_correlations
    monkeypatch.setattr(
        member, "video_correlations", lambda p, y, *rest, **kw: n_scored.append(len(y)) or original(p, y, *rest, **kw)
    )
    seen: list[int] = []
    epoch = member.FrameBatches.epoch
    monkeypatch.setattr(
        member.FrameBatches,
        "epoch",
        lambda self, frames, number: seen.append(len(frames)) or epoch(self, frames, number),
    )
    train_member(make_job(train, config={"epochs": 1, "all_zero_rows": policy}), train, validation)
    assert seen == [len(train.face_frames()) if trained_on == "faces" else train.n_frames]
    assert n_scored == [len(validation.face_frames()) if policy == "dropped" else validation.n_frames]
    assert len(train.face_frames()) < train.n_frames


def test_early_stopping(packed: Packed) -> None:
    train, validation = packed(4), packed(3, split="validation")
    member = train_member(make_job(train, config={"epochs": 40, "early_stopping": 2}), train, validation)
    scores = [metrics["validation_correlation"] for metrics in member.history]
    assert len(scores) < 40
    assert len(scores) - (int(np.argmax(scores)) + 1) == 2


def test_bfloat16_learns_too(packed: Packed) -> None:
    train, validation = packed(10, learnable=True), packed(4, split="validation", learnable=True)
    member = train_member(make_job(train, config={"epochs": 10, "precision": "bfloat16"}), train, validation)
    assert max(metrics["validation_correlation"] for metrics in member.history) > 0.4
    assert all(value.dtype != torch.bfloat16 for value in member.checkpoint.weights.values())


def test_a_validation_split_that_defines_no_correlation_still_gives_a_snapshot(packed: Packed) -> None:
    train, validation = packed(4), packed(2, split="validation", frames=(1, 2))
    member = train_member(make_job(train), train, validation)
    assert member.checkpoint.description.training["epoch"] == 5
    assert member.checkpoint.description.training["validation_correlation"] is None


def test_what_the_checkpoint_says_of_its_input(packed: Packed) -> None:
    train, validation = packed(4), packed(3, split="validation")
    member = train_member(make_job(train, config={"epochs": 1}), train, validation)
    assert list(member.checkpoint.inputs) == ["image", "audio", "subtitle"]
    assert member.checkpoint.inputs["audio"] == train.modalities["audio"]
    assert member.checkpoint.description.targets == EEV
    assert member.checkpoint.build().config.hidden == 24


def test_too_little_to_train_on(packed: Packed) -> None:
    train, validation = packed(1, frames=(1, 2), seed=1), packed(3, split="validation")
    with pytest.raises(TrainingError, match="frames to train on"):
        train_member(make_job(train), train, validation)


def test_labels_of_another_range_train_the_same_network(plan_of: Callable[..., Any], tmp_path: Path) -> None:
    affect = Targets(minimum=-1.0, maximum=3.0, zero_rows_mean_no_face=False)
    weights, predictions = [], []
    for number, targets in enumerate((EEV, affect)):
        splits = []
        for split in ("train", "validation"):
            plan = plan_of(6, split=split)
            frames = plan.frames.copy()
            frames[list(EEV.names)] = targets.from_shares(frames[list(EEV.names)].to_numpy())
            splits.append(pack(replace(plan, frames=frames, targets=targets), tmp_path / f"{split}_{number}"))
        # Where zeros are values like any other, they are trained on.
        job = make_job(splits[0], config={"all_zero_rows": "kept", "snapshot": "last"})
        member = train_member(job, *splits)
        weights.append(member.checkpoint.weights)
        predictions.append(predict_network("member_1", member.checkpoint, splits[1], job.config).values)
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(predictions[1], 4 * predictions[0] - 1, atol=1e-3)
    assert predictions[1].max() > 1


def test_splits_of_unlike_targets_are_refused(packed: Packed, plan_of: Callable[..., Any], tmp_path: Path) -> None:
    train, plan = packed(4), plan_of(3, split="validation")
    validation = pack(replace(plan, targets=Targets(maximum=2.0)), tmp_path / "validation")
    with pytest.raises(TrainingError, match="or another range: run the pipeline model_input again"):
        train_member(make_job(train), train, validation)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_few_targets_of_which_one_never_changes(plan_of: Callable[..., Any], tmp_path: Path, n_targets: int) -> None:
    targets = Targets(names=EEV.names[:n_targets], zero_rows_mean_no_face=False)
    splits = []
    for split in ("train", "validation"):
        plan = plan_of(4, split=split)
        frames = plan.frames[["video_id", "timestamp_us", *targets.names]].assign(amusement=0.25)
        splits.append(pack(replace(plan, frames=frames, targets=targets), tmp_path / split))
    job = make_job(splits[0])
    assert job.architecture.classes == n_targets
    member = train_member(job, *splits)
    # Eq. 4 is not defined for what never changes; a single such target leaves nothing to choose a snapshot by.
    scores = [metrics["validation_correlation"] for metrics in member.history]
    assert np.isnan(scores).all() == (n_targets == 1)
    assert predict_network("m", member.checkpoint, splits[1], job.config).values.shape[1] == n_targets

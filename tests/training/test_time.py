"""Members that look along time or learn from whole series: they learn what is there, and resume to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mgn_ma.eev.targets import EEV
from mgn_ma.files import Folder
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.models.sequences import Sequences
from mgn_ma.training.batches import FrameBatches
from mgn_ma.training.config import ModelConfig, TrainingConfig
from mgn_ma.training.gather import AlignedRows
from mgn_ma.training.loop import own_random_numbers
from mgn_ma.training.member import MemberJob, TrainedNetwork, train_member
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.packing import PackPlan, pack
from mgn_ma.training.states import StateStore

Packed = Callable[..., PackedSplit]

SMALL: dict[str, Any] = {"width": 12, "heads": 2, "levels": 2, "span_s": 2.0, "window_s": 5.0, "overlap_s": 2.0}
LATE = 2
"""Steps that a reaction comes after what it is to."""


def make_job(
    split: PackedSplit, kind: str = "none", temporal: dict[str, Any] | None = None, **config: Any
) -> MemberJob:
    model = {
        "modalities": ("image", "audio"),
        "hidden": 24,
        "modality_dropout": 0.0,
        "temporal": {"kind": kind, **SMALL, **(temporal or {})},
    }
    training = {"epochs": 4, "learning_rate": 1e-2, "batches": {"batch_size": 64, "least_windows": 1}, **config}
    return MemberJob(
        name="member_1",
        architecture=ModelConfig.model_validate(model).sized(split.widths, len(split.targets.names)),
        config=TrainingConfig.model_validate(training),
        seed=3,
    )


def weights_of(member: TrainedNetwork) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in member.checkpoint.weights.items()}


@pytest.fixture
def late(plan_of: Callable[..., PackPlan], tmp_path: Path) -> Callable[..., PackedSplit]:
    """Pack videos whose labels tell of the picture ``LATE`` steps ago."""

    def build(n_videos: int, split: str) -> PackedSplit:
        plan = plan_of(n_videos, split=split, learnable=True, frames=(60, 90))
        names = list(EEV.names)
        faceless = (plan.frames[names] == 0).all(axis=1)
        plan.frames[names] = plan.frames.groupby("video_id")[names].shift(LATE).fillna(0.5).astype(np.float32)
        plan.frames.loc[faceless, names] = 0.0
        return pack(plan, tmp_path / split)

    return build


@pytest.mark.parametrize(
    ("kind", "temporal"),
    [
        ("fir", {"causal": True}),
        ("tcn", {"causal": True}),
        ("tcn", {"window_s": None, "seconds": True}),
        pytest.param("gru", {"layers": 1, "width": 32}, marks=pytest.mark.slow),
        ("transformer", {}),
    ],
)
def test_learns_a_reaction_that_comes_late(late: Packed, kind: str, temporal: dict[str, Any]) -> None:
    train, validation = late(16, "train"), late(4, "validation")
    settings = {"epochs": 12, "snapshot": "last"}
    now = train_member(make_job(train, **settings), train, validation)
    around = train_member(make_job(train, kind, temporal, **settings), train, validation)
    without, found = (member.history[-1]["validation_correlation"] for member in (now, around))
    assert abs(without) < 0.1
    assert found > 0.3


@pytest.mark.parametrize("loss", [{"bce": 0.0, "pearson": 1.0}, {"bce": 0.5, "ccc": 1.0}])
@pytest.mark.parametrize("kind", ["none", "gru"])
def test_learns_from_whole_series(packed: Packed, kind: str, loss: dict[str, float]) -> None:
    train, validation = packed(10, learnable=True), packed(4, split="validation", learnable=True)
    member = train_member(make_job(train, kind, epochs=20, loss=loss), train, validation)
    assert max(metrics["validation_correlation"] for metrics in member.history) > 0.5
    assert member.history[-1]["train_loss"] < member.history[0]["train_loss"]


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("tcn", {"averaging": {"kind": "ema", "decay": 0.9}}),
        ("gru", {"averaging": {"kind": "swa", "from_epoch": 2}, "loss": {"pearson": 1.0}}),
        ("none", {"averaging": {"kind": "swa", "from_epoch": 4}}),
    ],
)
def test_killed_in_epoch_3_it_resumes_to_the_same_bits(
    packed: Packed, tmp_path: Path, kind: str, config: dict[str, Any]
) -> None:
    train, validation = packed(6), packed(3, split="validation")
    job = make_job(train, kind, epochs=5, snapshot="last", **config)
    undisturbed = train_member(job, train, validation)
    states = StateStore(Folder(tmp_path / "states"))

    def kill(metrics: Any, epoch: int) -> None:
        if epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_member(job, train, validation, states=states, on_epoch=kill)
    resumed = train_member(job, train, validation, states=states)
    assert weights_of(resumed) == weights_of(undisturbed)
    assert [metrics["validation_correlation"] for metrics in resumed.history] == [
        metrics["validation_correlation"] for metrics in undisturbed.history
    ]


def test_frames_without_a_face_are_seen_and_teach_nothing(packed: Packed) -> None:
    """The loss is eq. 3 over the frames with labels, of a network that sees the others between them."""
    split = packed(3)
    job = make_job(
        split, "tcn", {"window_s": None, "dropout": 0.0}, epochs=1, learning_rate=1e-12, batches={"batch_size": 4096}
    )
    rows = AlignedRows.from_split(split, ["image", "audio"]).gather(np.arange(split.n_frames))
    steps = np.concatenate([np.arange(length) for length in np.diff(split.offsets)])
    with own_random_numbers(job.seed, torch.device("cpu")):
        network = MGNMA(job.architecture).train()
    output = network(rows.features, rows.present, Sequences.from_steps(split.offsets, steps))
    each = functional.binary_cross_entropy_with_logits(output.logits, rows.labels, reduction="none").detach().numpy()
    expected = each[split.face_frames()].mean()
    assert len(split.face_frames()) < split.n_frames
    assert train_member(job, split, split).history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_mean_over_epochs_is_that_of_the_weights_that_each_ended_with(packed: Packed) -> None:
    train, validation = packed(4), packed(3, split="validation")
    last = [
        train_member(make_job(train, epochs=epochs, snapshot="last"), train, validation).checkpoint.weights
        for epochs in (2, 3, 4)
    ]
    averaging = {"kind": "swa", "from_epoch": 2}
    averaged = train_member(make_job(train, snapshot="last", averaging=averaging), train, validation)
    for name, value in averaged.checkpoint.weights.items():
        if value.is_floating_point():
            expected = torch.stack([weights[name] for weights in last]).mean(dim=0)
            torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)


def test_the_exponential_mean_is_over_steps(packed: Packed) -> None:
    train, validation = packed(4), packed(3, split="validation")
    one_step = {"batches": {"batch_size": 4096}, "snapshot": "last"}
    mean: dict[str, torch.Tensor] = {}
    for epochs in (1, 2, 3):
        last = train_member(make_job(train, epochs=epochs, **one_step), train, validation).checkpoint.weights
        mean = {name: 0.8 * mean[name] + 0.2 * value if mean else value for name, value in last.items()}
    job = make_job(train, epochs=3, averaging={"kind": "ema", "decay": 0.8}, **one_step)
    for name, value in train_member(job, train, validation).checkpoint.weights.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, mean[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["fir", "gru"])
def test_the_score_is_of_the_windows_that_predict(packed: Packed, kind: str) -> None:
    from mgn_ma.eev.correlation import challenge_score, video_correlations
    from mgn_ma.training.members import predict_network

    train, validation = packed(5, frames=(60, 90)), packed(3, split="validation", frames=(60, 90))
    job = make_job(train, kind, epochs=2, snapshot="last", all_zero_rows="dropped")
    member = train_member(job, train, validation)
    values = predict_network("member_1", member.checkpoint, validation, job.config).values
    faces = validation.face_frames()
    lengths = np.bincount(validation.video_numbers(faces))
    table = video_correlations(values[faces], validation.labels[faces], np.append(0, np.cumsum(lengths)))
    assert member.history[-1]["validation_correlation"] == pytest.approx(challenge_score(table), abs=1e-6)


@pytest.mark.parametrize(("kind", "temporal"), [("none", {}), ("tcn", {"causal": True})])
def test_backwards_a_network_sees_what_comes_after_as_what_came_before(
    packed: Packed, kind: str, temporal: dict[str, Any]
) -> None:
    from mgn_ma.training.members import predict_network

    split = packed(3, frames=(60, 90))
    job = make_job(split, kind, temporal, epochs=1)
    member = train_member(job, split, packed(3, split="validation"))
    forwards, backwards = (
        predict_network("member_1", member.checkpoint, split, job.config, reversed_time=reversed_time).values
        for reversed_time in (False, True)
    )
    if kind == "none":
        assert np.allclose(forwards, backwards, atol=1e-6)
        return
    # Slowly: each video's rows in the other order, at the steps from its end.
    network = member.checkpoint.build().eval()
    batches = FrameBatches(split, list(member.checkpoint.inputs), job.config.batches, torch.device("cpu"))
    steps = np.rint(split.timestamps_us * 6 / 1e6).astype(np.int64)
    for start, end in pairwise(split.offsets):
        order = np.arange(start, end)[::-1]
        (batch,) = batches.gathered([order])
        sequences = Sequences.from_steps(np.array([0, end - start]), steps[start] + steps[end - 1] - steps[order])
        with torch.inference_mode():
            made = network(batch.features, batch.present, sequences).probabilities.numpy()
        assert np.allclose(made[::-1], backwards[start:end], atol=1e-5)
    assert not np.allclose(forwards, backwards, atol=1e-3)


def test_windows_that_the_device_gathers_train_the_same(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = packed(4), packed(3, split="validation")
    job = make_job(train, "fir", epochs=2, snapshot="last")
    streamed = train_member(job, train, validation)
    monkeypatch.setattr("mgn_ma.training.batches._fits_on", lambda *_: True)
    assert weights_of(train_member(job, train, validation)) == weights_of(streamed)

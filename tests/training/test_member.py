"""What counts how much in the loss; the training itself is tried in `test_loop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mgn_ma.eev.targets import EEV
from mgn_ma.models.mgn_ma import MGNMA
from mgn_ma.training.config import ModelConfig, TrainingConfig
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.gather import AlignedRows
from mgn_ma.training.loop import own_random_numbers
from mgn_ma.training.member import MemberJob, loss_weights, train_member
from mgn_ma.training.packed import PackedSplit

Packed = Callable[..., PackedSplit]


def make_job(split: PackedSplit, **config: Any) -> MemberJob:
    model = ModelConfig(modalities=("image", "audio"), hidden=8, modality_dropout=0.0)
    return MemberJob(
        name="member_1",
        architecture=model.sized(split.widths, len(split.targets.names)),
        config=TrainingConfig.model_validate({"epochs": 2, "batches": {"batch_size": 4096}, **config}),
        seed=3,
    )


def test_the_paper_weighs_nothing(packed: Packed) -> None:
    split = packed(3)
    assert loss_weights(split, split.face_frames(), TrainingConfig()) is None


def test_every_video_counts_the_same_and_all_together_as_much_as_before(packed: Packed) -> None:
    split = packed(4)
    frames = split.face_frames()
    of_frames, of_expressions = loss_weights(split, frames, TrainingConfig(weigh_equally="videos"))
    totals = np.bincount(split.video_numbers(frames), of_frames[frames])
    np.testing.assert_allclose(totals, len(frames) / 4, rtol=1e-6)
    np.testing.assert_array_equal(of_expressions, np.ones(15))


def test_expressions_count_as_they_are_weighed_and_are_1_in_the_mean(packed: Packed) -> None:
    split = packed(2)
    config = TrainingConfig(expression_weights={EEV.names[0]: 3.0, EEV.names[4]: 0.0})
    of_frames, of_expressions = loss_weights(split, split.face_frames(), config)
    np.testing.assert_array_equal(of_frames, np.ones(split.n_frames))
    assert of_expressions.mean() == pytest.approx(1)
    assert of_expressions[0] == pytest.approx(3 * of_expressions[1])
    assert of_expressions[4] == 0


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"awkward": 2.0}, "'awkward' is no target, they are amusement"), (dict.fromkeys(EEV.names, 0.0), "the weight 0")],
)
def test_weights_that_mean_nothing_are_refused(packed: Packed, weights: dict[str, float], message: str) -> None:
    split = packed(2)
    with pytest.raises(TrainingError, match=message):
        train_member(make_job(split, expression_weights=weights), split, split)


def test_the_loss_is_the_mean_over_videos_of_each_ones_mean(packed: Packed) -> None:
    split = packed(3)
    job = make_job(split, epochs=1, learning_rate=1e-12, weigh_equally="videos", expression_weights={EEV.names[2]: 5.0})
    frames = split.face_frames()
    batch = AlignedRows.from_split(split, ["image", "audio"]).gather(frames)
    with own_random_numbers(job.seed, torch.device("cpu")):
        network = MGNMA(job.architecture).train()
    each = functional.binary_cross_entropy_with_logits(
        network(batch.features, batch.present).logits, batch.labels, reduction="none"
    ).detach()
    of_frames = (each.sum(dim=1) + 4 * each[:, 2]).numpy() / (15 + 4)
    expected = np.mean([of_frames[split.video_numbers(frames) == video].mean() for video in range(3)])
    assert train_member(job, split, split).history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)


def test_an_expression_that_counts_nothing_teaches_nothing(packed: Packed) -> None:
    split = packed(3)
    other = PackedSplit(split.folder)
    other.labels = np.array(split.labels)
    other.labels[:, 1] = 1 - other.labels[:, 1]
    job = make_job(split, expression_weights={EEV.names[1]: 0.0}, all_zero_rows="kept", snapshot="last")
    first, second = (train_member(job, each, split).checkpoint.weights for each in (split, other))
    assert all(torch.equal(first[name], second[name]) for name in first)

"""Nodes that train the members, and predict with them; they import torch when they run."""

from typing import Any

import pandas as pd

from mgn_ma.eev.correlation import ConstantPolicy
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.settings import Modalities
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import EnsembleConfig, ModelConfig, TrainingConfig
from mgn_ma.training.current import MADE_FROM, predicted_from, require_current, require_trained_on
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.states import StateStore


def train(
    train_input: PackedSplit,
    validation_input: PackedSplit,
    model: ModelConfig,
    training: TrainingConfig,
    ensemble_members: EnsembleConfig,
    constant: ConstantPolicy,
    training_execution: ExecutionConfig,
    tracker: Any,
    training_states: StateStore,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
) -> tuple[dict[str, Checkpoint], dict[str, Checkpoint], pd.DataFrame]:
    """Train all members and the control: checkpoints of either, and the learning curves of all."""
    from mgn_ma.training.members import CONTROL, learning_curves, member_jobs, train_members

    require_current([train_input, validation_input], data_fingerprint, modalities)
    trained = train_members(
        member_jobs(model, training, ensemble_members, train_input, constant),
        train_input,
        validation_input,
        execution=training_execution,
        tracker=tracker,
        states=training_states,
    )
    members = {name: member.checkpoint for name, member in trained.items() if name != CONTROL}
    control = {name: member.checkpoint for name, member in trained.items() if name == CONTROL}
    return members, control, learning_curves(trained)


def predict(
    members: dict[str, Checkpoint],
    shuffled_member: dict[str, Checkpoint],
    train_input: PackedSplit,
    validation_input: PackedSplit,
    holdout_input: PackedSplit,
    test_input: PackedSplit,
    training: TrainingConfig,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and attention weights of all members on all splits but train, and of the control on validation."""
    from mgn_ma.training.members import predict_split

    splits = [train_input, validation_input, holdout_input, test_input]
    require_current(splits, data_fingerprint, modalities)
    require_trained_on({**members, **shuffled_member}, [train_input, validation_input])
    predicted = [predict_split({**members, **shuffled_member}, validation_input, training)]
    predicted += [predict_split(members, split, training) for split in (holdout_input, test_input) if split.n_frames]
    predictions, attention = (pd.concat(tables, ignore_index=True) for tables in zip(*predicted, strict=True))
    predictions.attrs[MADE_FROM] = predicted_from(members, splits)
    return predictions, attention

"""What every variant scores with every seed, video by video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.evaluation.ablation.plan import AblationPlan, Trained
from mgn_ma.evaluation.metrics import score_rows
from mgn_ma.evaluation.predictions import SplitPredictions
from mgn_ma.evaluation.scoring import ORACLE, EvaluationConfig
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import TrainingConfig
from mgn_ma.training.members import predict_network, split_frames
from mgn_ma.training.packed import PackedSplit

_Group = tuple[str, ...]
"""Names of the networks whose mean is a prediction."""


def score_variants(
    plan: AblationPlan,
    networks: Mapping[str, Checkpoint],
    split: PackedSplit,
    labels: pd.DataFrame,
    *,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    noise_free: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Score table (``metrics.SCORE_COLUMNS``) with a ``seed`` besides; its predictors are the variants.

    Args:
        plan: which networks are whose.
        networks: by the name of their job.
        split: what is predicted.
        labels: frame table that has the split's frames.
        training: how batches come, and on which device.
        evaluation: policies.
        noise_free: frame table of the labels without their noise: the oracle's predictions, whose seed is 0.
    """
    frames = SplitPredictions(
        split_frames(split), split.description.targets.names, list(split.video_ids), split.offsets, {}, None
    )
    truth = frames.labels(labels)
    users: dict[_Group, list[Trained]] = {}
    for trained, group in plan.networks.items():
        users.setdefault(group, []).append(trained)

    def rows_of(values: npt.NDArray[np.floating[Any]], whose: list[Trained]) -> Iterator[pd.DataFrame]:
        name = split.description.split
        rows = score_rows(
            values,
            truth,
            frames.video_ids,
            frames.offsets,
            frames.expressions,
            split=name,
            predictor="",
            constant=evaluation.constant,
        )
        for variant, seed in whose:
            yield rows.assign(predictor=variant, seed=seed)

    tables = [] if noise_free is None else list(rows_of(frames.labels(noise_free), [(ORACLE, 0)]))
    for group, values in _mean_predictions(list(users), networks, split, training):
        tables += rows_of(values, users[group])
    return pd.concat(tables, ignore_index=True)


def _mean_predictions(
    groups: list[_Group], networks: Mapping[str, Checkpoint], split: PackedSplit, training: TrainingConfig
) -> Iterator[tuple[_Group, npt.NDArray[np.float32]]]:
    """Each group's mean prediction (F, C), as soon as its last network has predicted.

    Every network predicts once, and nothing is held but the sums of the groups that are not complete.
    """
    sums: dict[_Group, npt.NDArray[np.float32]] = {}
    missing = {group: set(group) for group in groups}
    for name in dict.fromkeys(name for group in groups for name in group):
        predicted = predict_network(name, networks[name], split, training).values
        for group in [group for group, names in missing.items() if name in names]:
            sums[group] = sums[group] + predicted if group in sums else predicted
            missing[group].remove(name)
            if not missing[group]:
                yield group, sums.pop(group) / np.float32(len(group))

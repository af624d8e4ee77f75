"""What every variant scores with every seed, video by video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.targets import Targets
from mgn_ma.evaluation.ablation.plan import AblationPlan, Trained
from mgn_ma.evaluation.ensembling import EnsemblingConfig, learn
from mgn_ma.evaluation.metrics import score_rows
from mgn_ma.evaluation.mixture_scores import MemberMoments
from mgn_ma.evaluation.predictions import SplitPredictions
from mgn_ma.evaluation.reaction import ReactionMethod, learn_reactions
from mgn_ma.evaluation.recipe import EnsembleRecipe, labelled_curves
from mgn_ma.evaluation.scoring import ORACLE, EvaluationConfig
from mgn_ma.training.checkpoints import Checkpoint
from mgn_ma.training.config import TrainingConfig
from mgn_ma.training.members import predict_network, split_frames
from mgn_ma.training.packed import PackedSplit

_Predictor = tuple[str, bool]
"""Name of a network, and whether videos run backwards before it."""

_Group = tuple[_Predictor, ...]
"""What a prediction is made of."""

_Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LabelledSplit:
    """What is predicted, and what would have been right.

    Attributes:
        labels: frame table that has the split's frames.
        noise_free: frame table of the labels without their noise: the oracle's predictions, whose seed is 0.
    """

    split: PackedSplit
    labels: pd.DataFrame
    noise_free: pd.DataFrame | None = None


def score_variants(
    plan: AblationPlan,
    networks: Mapping[str, Checkpoint],
    splits: Sequence[LabelledSplit],
    *,
    training: TrainingConfig,
    evaluation: EvaluationConfig,
    ensembling: EnsemblingConfig,
) -> pd.DataFrame:
    """Score table (``metrics.SCORE_COLUMNS``) with a ``seed`` besides; its predictors are the variants.

    Ensembles are combined as the chain's is, and reactions made of curves: by what is learned on the first split, where
    it is cross-validated over its videos.

    Args:
        networks: by the name of their job.
        splits: validation, then others.
        training: how batches come, and on which device.
    """
    users: dict[_Group, dict[EnsemblingConfig, list[Trained]]] = {}
    for (variant, seed), names in plan.networks.items():
        group = tuple((name, variant in plan.reversed_time) for name in names)
        combined = _combined(group, plan.reactions.get(variant), ensembling)
        users.setdefault(group, {}).setdefault(combined, []).append((variant, seed))
    recipes: dict[tuple[_Group, EnsemblingConfig], EnsembleRecipe] = {}
    tables: list[pd.DataFrame] = []
    for scored in splits:
        split = scored.split
        frames = SplitPredictions(
            split_frames(split), split.targets.names, list(split.video_ids), split.offsets, {}, None
        )
        truth = frames.labels(scored.labels)
        if scored.noise_free is not None:
            tables += _rows(frames.labels(scored.noise_free), truth, split, [(ORACLE, 0)], evaluation)
        for group, members in _predicted(list(users), networks, split, training):
            predictions = replace(frames, members={name: m for (name, _), m in zip(group, members, strict=True)})
            for combined, whose in users[group].items():
                if (group, combined) not in recipes:
                    recipes[group, combined] = _learned(predictions, truth, split.targets, combined, evaluation)
                values = recipes[group, combined].values(predictions, split.targets)
                tables += _rows(values, truth, split, whose, evaluation)
    return pd.concat(tables, ignore_index=True)


def _combined(group: _Group, reaction: ReactionMethod | None, ensembling: EnsemblingConfig) -> EnsemblingConfig:
    """How curves are made of a group's predictions; a single network's are its own."""
    if len(group) == 1:
        return ensembling.model_copy(update={"method": "mean", "reaction": reaction or "none"})
    return ensembling if reaction is None else ensembling.model_copy(update={"reaction": reaction})


def _learned(
    predictions: SplitPredictions,
    truth: _Floats,
    targets: Targets,
    ensembling: EnsemblingConfig,
    evaluation: EvaluationConfig,
) -> EnsembleRecipe:
    moments = MemberMoments.from_predictions(
        list(predictions.members.values()), truth, predictions.offsets, constant=evaluation.constant
    )
    learned = learn(ensembling.method, moments, ensembling)
    reaction = None
    if ensembling.reaction != "none":
        curves = labelled_curves(learned, predictions, truth, targets, ensembling)
        found = learn_reactions([ensembling.reaction], curves, evaluation.bootstrap, evaluation.constant)
        reaction = found[ensembling.reaction]
    members = list(predictions.members)
    return EnsembleRecipe.from_learned(ensembling.method, learned, members, predictions.video_ids, reaction)


def _rows(
    values: _Floats, truth: _Floats, split: PackedSplit, whose: list[Trained], evaluation: EvaluationConfig
) -> Iterator[pd.DataFrame]:
    rows = score_rows(
        values,
        truth,
        list(split.video_ids),
        split.offsets,
        split.targets.names,
        split=split.description.split,
        predictor="",
        constant=evaluation.constant,
    )
    for variant, seed in whose:
        yield rows.assign(predictor=variant, seed=seed)


def _predicted(
    groups: list[_Group], networks: Mapping[str, Checkpoint], split: PackedSplit, training: TrainingConfig
) -> Iterator[tuple[_Group, list[npt.NDArray[np.float32]]]]:
    """Each group's predictions, (F, C) a network.

    Every network predicts once, and what it says is held until the last group that it is in has had it.
    """
    held: dict[_Predictor, npt.NDArray[np.float32]] = {}
    for number, group in enumerate(groups):
        for predictor in group:
            if predictor not in held:
                name, backwards = predictor
                made = predict_network(name, networks[name], split, training, reversed_time=backwards)
                held[predictor] = made.values
        yield group, [held[predictor] for predictor in group]
        wanted = {predictor for later in groups[number + 1 :] for predictor in later}
        held = {predictor: values for predictor, values in held.items() if predictor in wanted}

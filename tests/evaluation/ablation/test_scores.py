"""Scores of variants: an ensemble's are those that the chain gives the same members."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.targets import EEV
from mgn_ma.evaluation.ablation import scores
from mgn_ma.evaluation.ablation.plan import AblationPlan
from mgn_ma.evaluation.ablation.scores import LabelledSplit, score_variants
from mgn_ma.evaluation.ensembling import METHODS, EnsemblingConfig
from mgn_ma.evaluation.scoring import ENSEMBLE, EvaluationConfig
from mgn_ma.features.settings import Modalities
from mgn_ma.grid import grid_time
from mgn_ma.pipelines.ensembling.nodes import combine_members, learn_ensemble, score_ensemble
from mgn_ma.training.config import TrainingConfig
from mgn_ma.training.predict import Predictions

NETWORKS = ("full_seed_0", "full_seed_1000", "full_seed_2000")
N_FRAMES = 30
VIDEOS = {"validation": [f"-v{n}" for n in range(7)], "test": [f"-t{n}" for n in range(3)]}


class Split:
    """As much of a packed split as scoring needs."""

    def __init__(self, name):
        self.description = SimpleNamespace(split=name)
        self.targets = EEV
        self.video_ids = tuple(VIDEOS[name])
        self.offsets = np.arange(len(self.video_ids) + 1) * N_FRAMES
        self.timestamps_us = np.tile([grid_time(n) for n in range(N_FRAMES)], len(self.video_ids))


def labels_of(split):
    values = np.random.default_rng(len(split.video_ids)).random((len(split.timestamps_us), 15), dtype=np.float32)
    values[:N_FRAMES, 3] = 0.5  # constant in the first video
    frames = {"video_id": np.repeat(split.video_ids, N_FRAMES), "timestamp_us": split.timestamps_us}
    return pd.DataFrame({**frames, **{name: values[:, c] for c, name in enumerate(EEV.names)}})


def predicted(name, split):
    """The labels with noise, each network with more of it and on a scale of its own."""
    number = NETWORKS.index(name)
    truth = labels_of(split)[list(EEV.names)].to_numpy()
    noise = np.random.default_rng([number, len(truth)]).random(truth.shape, dtype=np.float32)
    return (truth * 0.3 + noise * (0.2 + 0.2 * number)) / (1 + number)


@pytest.fixture
def asked(monkeypatch):
    """Networks that predict without being there, and who was asked."""
    names = []

    def predict_network(name, checkpoint, split, training, *, reversed_time=False):
        names.append((name, split.description.split))
        values = predicted(name, split)
        return Predictions(values[::-1] if reversed_time else values, np.zeros((0, 0), np.float32))

    monkeypatch.setattr(scores, "predict_network", predict_network)
    return names


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("constant", ["left_out", "zeros"])
@pytest.mark.parametrize("reaction", ["none", "causal_by_expression"])
def test_an_ensemble_scores_what_the_chain_gives_it(asked, method, constant, reaction):
    evaluation = EvaluationConfig(constant=constant)
    ensembling = EnsemblingConfig(method=method, reaction=reaction, folds=3)
    splits = {name: Split(name) for name in VIDEOS}
    labels = {name: labels_of(split) for name, split in splits.items()}
    plan = AblationPlan((), {("full", 0): NETWORKS[:1], ("ensemble", 0): NETWORKS, ("again", 0): NETWORKS})
    table = score_variants(
        plan,
        dict.fromkeys(NETWORKS),
        [LabelledSplit(splits[name], labels[name]) for name in ("validation", "test")],
        training=TrainingConfig(),
        evaluation=evaluation,
        ensembling=ensembling,
    )
    members = pd.concat(
        labels[split].assign(
            **{name: predicted(network, splits[split])[:, c] for c, name in enumerate(EEV.names)},
            member=network,
            split=split,
        )
        for split in splits
        for network in NETWORKS
    )
    recipe, _, _ = learn_ensemble(members, labels["validation"], EEV, ensembling, evaluation, {}, Modalities({}))
    chain = score_ensemble(
        combine_members(members, recipe, EEV),
        labels["validation"],
        labels["validation"].iloc[:0],
        labels["test"],
        None,
        evaluation,
    )
    assert set(chain["predictor"]) == {ENSEMBLE}
    for name in ("ensemble", "again"):
        ours = table[table["predictor"] == name].drop(columns=["seed", "predictor"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, chain.drop(columns="predictor").reset_index(drop=True), check_dtype=False)
    assert sorted(asked) == sorted((name, split) for name in NETWORKS for split in splits), "each predicts once a split"


@pytest.mark.parametrize("reaction", ["causal", "centred_by_expression"])
def test_a_single_network_s_reactions_are_those_of_an_ensemble_of_it_alone(asked, reaction):
    evaluation = EvaluationConfig()
    splits = {name: Split(name) for name in VIDEOS}
    labels = {name: labels_of(split) for name, split in splits.items()}
    one = NETWORKS[:1]
    plan = AblationPlan((), {("plain", 0): one, ("late", 0): one}, {"late": reaction})
    table = score_variants(
        plan,
        dict.fromkeys(one),
        [LabelledSplit(splits[name], labels[name]) for name in ("validation", "test")],
        training=TrainingConfig(),
        evaluation=evaluation,
        ensembling=EnsemblingConfig(reaction="centred", folds=3),
    )
    members = pd.concat(
        labels[split].assign(
            **{name: predicted(one[0], splits[split])[:, c] for c, name in enumerate(EEV.names)},
            member=one[0],
            split=split,
        )
        for split in splits
    )
    for variant, of_chain in (("plain", "none"), ("late", reaction)):
        ensembling = EnsemblingConfig(method="mean", reaction=of_chain, folds=3)
        recipe, _, _ = learn_ensemble(members, labels["validation"], EEV, ensembling, evaluation, {}, Modalities({}))
        curves = combine_members(members, recipe, EEV)
        empty = labels["validation"].iloc[:0]
        chain = score_ensemble(curves, labels["validation"], empty, labels["test"], None, evaluation)
        ours = table[table["predictor"] == variant].drop(columns=["seed", "predictor"]).reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, chain.drop(columns="predictor").reset_index(drop=True), check_dtype=False)
    assert sorted(asked) == sorted((one[0], split) for split in splits)


def test_the_control_of_reversed_time_is_another_prediction_of_the_same_network(asked):
    split = Split("validation")
    one = NETWORKS[:1]
    plan = AblationPlan((), {("plain", 0): one, ("backwards", 0): one}, reversed_time=frozenset({"backwards"}))
    table = score_variants(
        plan,
        dict.fromkeys(one),
        [LabelledSplit(split, labels_of(split))],
        training=TrainingConfig(),
        evaluation=EvaluationConfig(),
        ensembling=EnsemblingConfig(),
    )
    scores = table.groupby("predictor")["score"].mean()
    assert scores["plain"] > 0.5 > scores["backwards"]

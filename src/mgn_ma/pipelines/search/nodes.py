"""Nodes that try settings of the networks, and write down the best; they import torch and Optuna when they run."""

import math
from typing import Any

import numpy as np
import pandas as pd
import yaml

from mgn_ma.eev.correlation import ConstantPolicy
from mgn_ma.execution import ExecutionConfig
from mgn_ma.features.settings import Modalities
from mgn_ma.training.config import ModelConfig, TrainingConfig
from mgn_ma.training.current import require_current
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.packed import PackedSplit
from mgn_ma.training.search import SearchConfig, nested
from mgn_ma.training.search import search as search_settings
from mgn_ma.training.states import StateStore


def try_settings(
    train_input: PackedSplit,
    validation_input: PackedSplit,
    search: SearchConfig,
    model: ModelConfig,
    training: TrainingConfig,
    constant: ConstantPolicy,
    training_execution: ExecutionConfig,
    tracker: Any,
    training_states: StateStore,
    search_journal: str,
    data_fingerprint: dict[str, str],
    modalities: Modalities,
) -> pd.DataFrame:
    """Train the networks of each trial; one row a trial, the best first.

    Raises:
        TrainingError: a split was packed from other data than there are now, or a setting of the space is none.
    """
    from mgn_ma.training.member import MemberJob
    from mgn_ma.training.members import train_members

    def score(model: ModelConfig, training: TrainingConfig, number: int) -> float:
        jobs = [
            MemberJob(
                name=f"trial_{number}_network_{network + 1}",
                architecture=model.sized(train_input.widths, len(train_input.targets.names)),
                config=training,
                seed=search.seed + network,
                constant=constant,
            )
            for network in range(search.networks)
        ]
        trained = train_members(
            jobs,
            train_input,
            validation_input,
            execution=training_execution,
            tracker=tracker,
            states=training_states,
        )
        scores = [network.checkpoint.description.training["validation_correlation"] for network in trained.values()]
        return math.nan if None in scores else float(np.mean(scores))

    splits = [train_input, validation_input]
    require_current(splits, data_fingerprint, modalities, pipeline="search")
    return search_settings(search, model, training, data_fingerprint["fingerprint"], search_journal, score)


def write_best_settings(search_trials: pd.DataFrame) -> str:
    """The settings of the best trial, as a parameters file for an environment.

    Raises:
        TrainingError: no trial has a score.
    """
    best = search_trials.iloc[0]
    if pd.isna(best["score"]):
        raise TrainingError(f"none of {len(search_trials)} trials has a score: {best['state']}")
    settings = best.drop(["trial", "state", "score", "seconds"]).to_dict()
    tree = nested({str(name): _plain(value) for name, value in settings.items()})
    about = f"{best['score']:.4f} on the validation videos that chose it: on others it is less"
    return f"# The best of {len(search_trials)} trials, {about}.\n{yaml.safe_dump(tree, sort_keys=False)}"


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

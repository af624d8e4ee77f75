"""The search finds what a known score prefers, goes on to the same trials after a kill, and outlives failed trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from mgn_ma.training.config import ModelConfig, TrainingConfig
from mgn_ma.training.errors import TrainingError
from mgn_ma.training.search import Choice, Range, SearchConfig, nested, search

SPACE = {
    "training.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
    "model.hidden": {"low": 16, "high": 64},
    "model.temporal.kind": {"choices": ["none", "tcn", "gru"]},
    "model.modalities": {"choices": [None, ["audio", "image"]]},
}


def prefers(model: ModelConfig, training: TrainingConfig, number: int) -> float:
    """Best at a rate of 1e-3 and with a GRU on all modalities."""
    distance = abs(math.log10(training.learning_rate) + 3)
    return -distance + (model.temporal.kind == "gru") + 0.5 * (model.modalities is None)


def run(folder: Path, score: Callable[..., float] = prefers, data: str = "d", **changes: Any) -> pd.DataFrame:
    config = SearchConfig.model_validate({"trials": 30, "space": SPACE, **changes})
    return search(config, ModelConfig(), TrainingConfig(), data, folder, score)


def test_it_comes_near_what_the_score_prefers(tmp_path: Path) -> None:
    table = run(tmp_path)
    assert len(table) == 30
    assert table["score"].is_monotonic_decreasing
    best = table.iloc[0]
    assert best["model.temporal.kind"] == "gru"
    assert best["model.modalities"] is None
    assert 1e-4 < best["training.learning_rate"] < 1e-2
    assert table["model.hidden"].between(16, 64).all()


@pytest.mark.parametrize("killed_in", [0, 4, 13])
def test_interrupted_it_goes_on_to_the_same_trials(tmp_path: Path, killed_in: int) -> None:
    undisturbed = run(tmp_path / "undisturbed", trials=16)

    def killed(model: ModelConfig, training: TrainingConfig, number: int) -> float:
        if number == killed_in:
            raise KeyboardInterrupt
        return prefers(model, training, number)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", killed, trials=16)
    resumed = run(tmp_path / "killed", trials=16)
    pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), undisturbed.drop(columns="seconds"))


def test_more_trials_go_on_and_other_data_begin_anew(tmp_path: Path) -> None:
    numbers: list[int] = []

    def counted(model: ModelConfig, training: TrainingConfig, number: int) -> float:
        numbers.append(number)
        return prefers(model, training, number)

    run(tmp_path, counted, trials=3)
    assert len(run(tmp_path, counted, trials=5)) == 5
    run(tmp_path, counted, trials=5)
    run(tmp_path, counted, trials=2, data="others")
    assert numbers == [0, 1, 2, 3, 4, 0, 1]


def test_no_trial_begins_after_the_time_is_up(tmp_path: Path) -> None:
    assert len(run(tmp_path, trials=100, seconds=1e-9)) <= 1


def test_a_trial_that_fails_costs_itself_and_is_told(tmp_path: Path) -> None:
    def failing(model: ModelConfig, training: TrainingConfig, number: int) -> float:
        if number == 1:
            raise TrainingError("the loss is nan\nand more")
        return math.nan if number == 2 else float(number)

    table = run(tmp_path, failing, trials=5)
    assert list(table["trial"]) == [4, 3, 0, 1, 2]
    assert list(table["state"])[3:] == ["the loss is nan", "its correlation on validation is undefined"]
    assert table["score"].isna().sum() == 2


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "search.space is empty"),
        ({"promotion.version": {"low": 1, "high": 2}}, "'promotion.version' is not one of model.… or training.…"),
        ({"training.rate": {"low": 1, "high": 2}}, "training.rate can't be 1: rate: Extra inputs are not permitted"),
        ({"model.hidden": {"low": 0, "high": 8}}, "model.hidden can't be 0: hidden: Input should be greater"),
    ],
)
def test_what_is_no_setting_is_refused_before_any_trial(tmp_path: Path, space: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        run(tmp_path, space=space)


def test_a_range_goes_up() -> None:
    with pytest.raises(ValidationError, match="a range goes up"):
        Range(low=2, high=1)
    with pytest.raises(ValidationError, match="from above 0"):
        Range(low=0, high=1, log=True)
    with pytest.raises(ValidationError):
        Choice(choices=("one",))


def test_paths_become_a_tree() -> None:
    assert nested({"model.temporal.kind": "tcn", "model.hidden": 8}) == {
        "model": {"temporal": {"kind": "tcn"}, "hidden": 8}
    }

"""How much of the sample's labels can be predicted at all, and by a model that sees one moment only.

``python benchmarks/sample_ceilings.py`` prints the numbers of docs/sample.md; nothing is rendered for them. Each model
is a linear regression of the labels' logits on what it is told, fitted on train and scored on validation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mgn_ma.eev.correlation import challenge_score, video_correlations
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.sample.annotations import annotate
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import draw_signals
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.world import SIGNALS, THEMES

Array = npt.NDArray[np.float64]

_SMALLEST_LABEL = 1e-3
_RIDGE = 1e-3


@dataclass(frozen=True, slots=True)
class _Video:
    """What is known of one video: per frame time, the four signals as -1..1, noise-free signal and labels."""

    theme: int
    seconds: Array
    signals: Array
    truth: Array
    labels: Array


Features = Callable[[_Video], Array]


def ceilings(config: SampleConfig) -> dict[str, float]:
    """Challenge score (eq. 4) on validation, by what the predictor knows.

    ``oracle`` is the noise-free signal itself. ``signals x theme`` knows every signal of the moment and the theme, and
    is thus the best that a linear model of one moment can be; what it lacks to the oracle are the lags.
    """
    plans = [plan for plan in write_script(config) if "missing" not in plan.quirks]
    train = [_observe(plan, config.noise) for plan in plans if plan.split == "train"]
    validation = [_observe(plan, config.noise) for plan in plans if plan.split == "validation"]
    models: dict[str, Features] = {"signals x theme": _signals_by_theme(range(len(SIGNALS)))}
    models |= {f"{name} x theme": _signals_by_theme([column]) for column, name in enumerate(SIGNALS)}
    models |= {"signals without theme": _signals_alone, "theme alone": _theme_alone, "time alone": _time_alone}
    scores = {"oracle": _score([video.truth for video in validation], validation)}
    return scores | {name: _fit_and_score(features, train, validation) for name, features in models.items()}


def _observe(plan: VideoPlan, noise: float) -> _Video:
    seconds = grid_timestamps_us(plan.duration_us) / 1e6
    signals = draw_signals(plan.seed, plan.video_id)
    truth, labels = annotate(plan, noise)
    values = np.stack([2 * signals[name](seconds) - 1 for name in SIGNALS], axis=-1)
    return _Video(plan.theme, seconds, values, truth, labels)


def _signals_by_theme(columns: Sequence[int]) -> Features:
    def features(video: _Video) -> Array:
        one_hot = np.eye(len(THEMES))[video.theme]
        known = np.concatenate([np.ones((len(video.seconds), 1)), video.signals[:, list(columns)]], axis=1)
        return np.asarray((known[:, :, None] * one_hot).reshape(len(known), -1))

    return features


def _signals_alone(video: _Video) -> Array:
    return np.concatenate([np.ones((len(video.seconds), 1)), video.signals], axis=1)


def _theme_alone(video: _Video) -> Array:
    return np.tile(np.eye(len(THEMES))[video.theme], (len(video.seconds), 1))


def _time_alone(video: _Video) -> Array:
    part = video.seconds / video.seconds[-1]
    return np.stack([np.ones_like(part), video.seconds, video.seconds**2, part, part**2], axis=1)


def _fit_and_score(features: Features, train: list[_Video], validation: list[_Video]) -> float:
    labels = np.concatenate([video.labels for video in train])
    rows = labels.any(axis=1)
    x = np.concatenate([features(video) for video in train])[rows]
    y = logit(np.clip(labels[rows], _SMALLEST_LABEL, 1 - _SMALLEST_LABEL))
    weights = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y)
    return _score([features(video) @ weights for video in validation], validation)


def _score(predictions: list[Array], videos: list[_Video]) -> float:
    offsets = np.cumsum([0, *(len(video.seconds) for video in videos)])
    labels = np.concatenate([video.labels for video in videos])
    return challenge_score(video_correlations(np.concatenate(predictions), labels, offsets))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ceilings of several seeds as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, … of which to print the scores")
    options = parser.parse_args(arguments)
    columns = [ceilings(SampleConfig(videos=options.videos, seed=seed)) for seed in range(options.seeds)]
    heads = "".join(f"{f'seed {seed}':>9}" for seed in range(options.seeds))
    sys.stdout.write(f"{'':24}{heads}{'mean':>9}\n")
    for name in columns[0]:
        scores = [column[name] for column in columns]
        cells = "".join(f"{score:9.3f}" for score in [*scores, float(np.mean(scores))])
        sys.stdout.write(f"{name:24}{cells}\n")


if __name__ == "__main__":
    main()

"""How much of the sample's labels can be predicted at all, and by what a model is told and when.

``python benchmarks/sample_ceilings.py`` prints the numbers of docs/sample.md; nothing is rendered for them. Each model
is a linear regression of the labels' logits on what it is told, fitted on train and scored on validation. None is a
ceiling of what networks can do; the oracle alone is one.
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
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.reaction import LabelledCurves, learn_reactions
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.sample.annotations import annotate
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import draw_signals
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.world import SIGNALS, THEMES

Array = npt.NDArray[np.float64]

_SMALLEST_LABEL = 1e-3
_RIDGE = 1e-3
_LAGS_S = np.arange(0.0, 4.01, 0.5)


@dataclass(frozen=True, slots=True)
class _Video:
    """What is known of one video.

    Attributes:
        timestamps_us: (F,).
        lagged: (F, L, 4) the signals as -1..1, as they were 0, 0.5, … seconds ago, but not before the video; 0 for the
            sound of a video that has none.
        truth: (F, C) noise-free signal.
        labels: (F, C).
    """

    theme: int
    timestamps_us: npt.NDArray[np.int64]
    lagged: Array
    truth: Array
    labels: Array

    @property
    def seconds(self) -> Array:
        return self.timestamps_us / 1e6


Features = Callable[[_Video], Array]


def ceilings(config: SampleConfig) -> dict[str, float]:
    """Challenge score (eq. 4) on validation, by what the predictor knows.

    ``oracle`` is the noise-free signal itself. ``signals x theme`` knows every signal of the moment and the theme;
    ``... and a reaction`` has its curves delayed and averaged by two constants that were fitted on train, and
    ``lags x theme`` knows the signals of the last four seconds.
    """
    plans = [plan for plan in write_script(config) if "missing" not in plan.quirks]
    train = [_observe(plan, config.noise) for plan in plans if plan.split == "train"]
    validation = [_observe(plan, config.noise) for plan in plans if plan.split == "validation"]
    moment = _signals_by_theme(range(len(SIGNALS)))
    models: dict[str, Features] = {"lags x theme": _lags_by_theme}
    models |= {f"{name} x theme": _signals_by_theme([column]) for column, name in enumerate(SIGNALS)}
    models |= {"signals without theme": _signals_alone, "theme alone": _theme_alone, "time alone": _time_alone}
    of_train, of_validation = _fit(moment, train, train), _fit(moment, train, validation)
    scores = {
        "oracle": _score([video.truth for video in validation], validation),
        "signals x theme": _score(of_validation, validation),
        "... and a reaction": _score(_reacted(of_train, train, of_validation, validation), validation),
    }
    return scores | {name: _score(_fit(features, train, validation), validation) for name, features in models.items()}


def _observe(plan: VideoPlan, noise: float) -> _Video:
    timestamps_us = grid_timestamps_us(plan.duration_us)
    signals = draw_signals(plan.seed, plan.video_id)
    truth, labels = annotate(plan, noise)
    times = np.maximum(timestamps_us[:, None] / 1e6 - _LAGS_S, 0.0)  # (F, L)
    lagged = np.stack([2 * signals[name](times) - 1 for name in SIGNALS], axis=-1)
    if "no_audio" in plan.quirks:
        lagged[:, :, SIGNALS.index("audio")] = 0.0
    return _Video(plan.theme, timestamps_us, lagged, truth, labels)


def _signals_by_theme(columns: Sequence[int]) -> Features:
    return lambda video: _by_theme(video, video.lagged[:, 0, list(columns)])


def _lags_by_theme(video: _Video) -> Array:
    return _by_theme(video, video.lagged.reshape(len(video.lagged), -1))


def _by_theme(video: _Video, known: Array) -> Array:
    known = np.concatenate([np.ones((len(known), 1)), known], axis=1)
    return np.asarray((known[:, :, None] * np.eye(len(THEMES))[video.theme]).reshape(len(known), -1))


def _signals_alone(video: _Video) -> Array:
    return np.concatenate([np.ones((len(video.seconds), 1)), video.lagged[:, 0]], axis=1)


def _theme_alone(video: _Video) -> Array:
    return np.tile(np.eye(len(THEMES))[video.theme], (len(video.seconds), 1))


def _time_alone(video: _Video) -> Array:
    part = video.seconds / video.seconds[-1]
    return np.stack([np.ones_like(part), video.seconds, video.seconds**2, part, part**2], axis=1)


def _fit(features: Features, train: list[_Video], videos: list[_Video]) -> list[Array]:
    """What a model of ``features`` that was fitted on ``train`` says of ``videos``."""
    labels = np.concatenate([video.labels for video in train])
    rows = labels.any(axis=1)
    x = np.concatenate([features(video) for video in train])[rows]
    y = logit(np.clip(labels[rows], _SMALLEST_LABEL, 1 - _SMALLEST_LABEL))
    weights = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y)
    return [features(video) @ weights for video in videos]


def _reacted(
    of_train: list[Array], train: list[_Video], of_validation: list[Array], validation: list[_Video]
) -> list[Array]:
    """The curves of validation with the delay and the average that suit those of train best."""
    curves = np.concatenate(of_train)
    known = LabelledCurves(
        whole=curves,
        without_fold=lambda fold: curves,
        labels=np.concatenate([video.labels for video in train]),
        timestamps_us=np.concatenate([video.timestamps_us for video in train]),
        offsets=_offsets(train),
        fold_of_video=np.arange(len(train)) % 2,
    )
    reaction = learn_reactions(["centred"], known, BootstrapConfig())["centred"].reaction
    return [
        reaction.apply(values, video.timestamps_us) for values, video in zip(of_validation, validation, strict=True)
    ]


def _score(predictions: list[Array], videos: list[_Video]) -> float:
    labels = np.concatenate([video.labels for video in videos])
    return challenge_score(video_correlations(np.concatenate(predictions), labels, _offsets(videos)))


def _offsets(videos: list[_Video]) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *(len(video.timestamps_us) for video in videos)])


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

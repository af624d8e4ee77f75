"""How much of the sample's labels can be predicted at all, and by what a model is told and when.

``python benchmarks/sample_ceilings.py`` prints the numbers of docs/sample.md; nothing is rendered for them. Each model
is a linear regression of the labels' logits on what it is told of the true signals, one for each theme, fitted on train
and scored on validation. None is a ceiling of what networks can do; the oracle alone is one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from mgn_ma.eev.correlation import challenge_score, video_correlations
from mgn_ma.evaluation.bootstrap import BootstrapConfig
from mgn_ma.evaluation.reaction import LabelledCurves, learn_reactions
from mgn_ma.extractors.audio_patches import PATCH_SAMPLES, PATCH_US, SAMPLE_RATE
from mgn_ma.extractors.descriptors.action import FRAMES, PARTS, STEP_US
from mgn_ma.features.alignment import locate
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.sample.annotations import annotate, heard_signals
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import Signal
from mgn_ma.sample.script import VideoPlan, write_script
from mgn_ma.sample.speech import MUSIC, speak
from mgn_ma.sample.world import SIGNALS, THEMES
from ridge import fit_within

Array = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

_SMALLEST_LABEL = 1e-3
_LAGS_S = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0])
_SUBTITLE_TOLERANCE_US = 5_000_000


@dataclass(frozen=True, slots=True)
class _Video:
    """What is known of one video. Signals are -1 to 1, and 0 where there is no sound track or no caption.

    Attributes:
        timestamps_us: (F,).
        moment: (F, 4) the signals at each frame.
        windows: (F, 6) their means over what the track's row that serves a frame was made from: the frame, the patch,
            the three thirds of the clip, the caption.
        lagged: (F, L x 4) the signals as they were 0 to 12 seconds ago, but not before the video.
        truth: (F, C) noise-free signal.
        labels: (F, C).
    """

    theme: int
    timestamps_us: Times
    moment: Array
    windows: Array
    lagged: Array
    truth: Array
    labels: Array


Features = Callable[[_Video], Array]


def ceilings(config: SampleConfig) -> dict[str, float]:
    """Challenge score (eq. 4) on validation, by what the predictor knows.

    ``oracle`` is the noise-free signal itself. All others but those whose name says so know the theme. ``free lags``
    know the signals of the last twelve seconds, ``moment`` the signals as they are, ``windows`` what the tracks' rows
    hold of them, and ``one delay`` are the curves of ``windows``, delayed and averaged over the past by two constants
    that were fitted on train.
    """
    plans = [plan for plan in write_script(config) if "missing" not in plan.quirks]
    train = [_observe(plan, config.noise) for plan in plans if plan.split == "train"]
    validation = [_observe(plan, config.noise) for plan in plans if plan.split == "validation"]
    windows = _by_theme(lambda video: video.windows)
    of_train, of_validation = _fit(windows, train, train), _fit(windows, train, validation)
    scores = {
        "oracle": _score([video.truth for video in validation], validation),
        "free lags": _score(_fit(_by_theme(lambda video: video.lagged), train, validation), validation),
        "one delay": _score(_reacted(of_train, train, of_validation, validation), validation),
        "windows": _score(of_validation, validation),
        "moment": _score(_fit(_by_theme(lambda video: video.moment), train, validation), validation),
    }
    models = {f"{name} alone": _by_theme(_signal(column)) for column, name in enumerate(SIGNALS)}
    models |= {
        "free lags, no theme": lambda video: video.lagged,
        "theme alone": _theme_alone,
        "time alone": _time_alone,
    }
    return scores | {name: _score(_fit(features, train, validation), validation) for name, features in models.items()}


def _observe(plan: VideoPlan, noise: float) -> _Video:
    timestamps_us = grid_timestamps_us(plan.duration_us)
    signals = heard_signals(plan)
    truth, labels = annotate(plan, noise)
    seconds = timestamps_us / 1e6
    ago = np.maximum(seconds[:, None] - _LAGS_S, 0.0)  # (F, L)
    return _Video(
        theme=plan.theme,
        timestamps_us=timestamps_us,
        moment=np.stack([2 * signals[name](seconds) - 1 for name in SIGNALS], axis=-1),
        windows=_windows(plan, signals, timestamps_us),
        lagged=np.concatenate([2 * signals[name](ago) - 1 for name in SIGNALS], axis=-1),
        truth=truth,
        labels=labels,
    )


def _windows(plan: VideoPlan, signals: Mapping[str, Signal], timestamps_us: Times) -> Array:
    """(F, 6) means of the signals over what serves each frame."""
    n_patches = max(1, 1 + (plan.duration_us - PATCH_SAMPLES * 1_000_000 // SAMPLE_RATE) // PATCH_US)
    patch = np.minimum(timestamps_us // PATCH_US, n_patches - 1)
    clip = timestamps_us[:, None] + STEP_US * (np.array(PARTS) - FRAMES // 2)  # (F, 4) bounds of its thirds
    clip = np.clip(clip, 0, plan.duration_us)
    return np.column_stack(
        [
            2 * signals["image"](timestamps_us / 1e6) - 1,
            _mean(signals["audio"], patch * PATCH_US, (patch + 1) * PATCH_US),
            *(_mean(signals["action"], clip[:, i], clip[:, i + 1]) for i in range(len(PARTS) - 1)),
            _said(plan, signals["speech"], timestamps_us),
        ]
    )


def _said(plan: VideoPlan, signal: Signal, timestamps_us: Times) -> Array:
    """(F,) mean of the signal over the caption that serves each frame."""
    lines = [line for line in speak(plan, signal) if line.words != (MUSIC,)]
    if "no_captions" in plan.quirks or not lines:
        return np.zeros(len(timestamps_us))
    starts, ends = np.array([line.starts_us[0] for line in lines]), np.array([line.end_us for line in lines])
    rows = locate(starts, ends, timestamps_us, _SUBTITLE_TOLERANCE_US)
    return np.where(rows >= 0, _mean(signal, starts, ends)[rows], 0.0)


def _mean(signal: Signal, starts_us: Times, ends_us: Times) -> Array:
    """Mean, -1 to 1, of a signal over each window."""
    parts = np.linspace(0.05, 0.95, 10)
    return 2 * signal((starts_us[:, None] + (ends_us - starts_us)[:, None] * parts) / 1e6).mean(axis=1) - 1


def _signal(column: int) -> Features:
    return lambda video: video.moment[:, [column]]


def _by_theme(features: Features) -> Features:
    def of_video(video: _Video) -> Array:
        known = features(video)
        return (known[:, :, None] * np.eye(len(THEMES))[video.theme]).reshape(len(known), -1)

    return of_video


def _theme_alone(video: _Video) -> Array:
    return np.tile(np.eye(len(THEMES))[video.theme], (len(video.timestamps_us), 1))


def _time_alone(video: _Video) -> Array:
    seconds = video.timestamps_us / 1e6
    part = seconds / seconds[-1]
    return np.stack([seconds, seconds**2, part, part**2], axis=1)


def _fit(features: Features, train: list[_Video], videos: list[_Video]) -> list[Array]:
    """What a model of ``features`` that was fitted on ``train`` says of ``videos``."""
    seen = [video.labels.any(axis=1) for video in train]
    x = [features(video)[rows] for video, rows in zip(train, seen, strict=True)]
    labels = [
        np.clip(video.labels[rows], _SMALLEST_LABEL, 1 - _SMALLEST_LABEL)
        for video, rows in zip(train, seen, strict=True)
    ]
    weights = fit_within(x, [logit(values) for values in labels])
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
    reaction = learn_reactions(["causal"], known, BootstrapConfig())["causal"].reaction
    return [
        reaction.apply(values, video.timestamps_us) for values, video in zip(of_validation, validation, strict=True)
    ]


def _score(predictions: list[Array], videos: list[_Video]) -> float:
    labels = np.concatenate([video.labels for video in videos])
    return challenge_score(video_correlations(np.concatenate(predictions), labels, _offsets(videos)))


def _offsets(videos: list[_Video]) -> npt.NDArray[np.int64]:
    return np.cumsum([0, *(len(video.timestamps_us) for video in videos)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the ceilings of several worlds as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=40)
    parser.add_argument("--worlds", type=int, default=5, help="worlds 0, 1, … of which to print the scores")
    options = parser.parse_args(arguments)
    columns = [ceilings(SampleConfig(videos=options.videos, world=world)) for world in range(options.worlds)]
    heads = "".join(f"{f'world {world}':>9}" for world in range(options.worlds))
    sys.stdout.write(f"{'':24}{heads}{'mean':>9}\n")
    for name in columns[0]:
        scores = [column[name] for column in columns]
        cells = "".join(f"{score:9.3f}" for score in [*scores, float(np.mean(scores))])
        sys.stdout.write(f"{name:24}{cells}\n")


if __name__ == "__main__":
    main()

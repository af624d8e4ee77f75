"""The label process: slow signals in a video, lagged reactions of its viewers, noisy labels (docs/sample.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mgn_ma.eev.targets import EEV
from mgn_ma.grid import RATE_HZ
from mgn_ma.sample.randomness import stream
from mgn_ma.sample.world import (
    BASE_LOGITS,
    DECAYS_SECONDS,
    DELAYS_SECONDS,
    GAINS,
    LONGEST_PERIOD_SECONDS,
    MIXES,
    MOODS,
    NOISE_MEMORY_SECONDS,
    REACTION_GAIN,
    SHORTEST_PERIOD_SECONDS,
    SIGNALS,
)

Array = npt.NDArray[np.float64]

Signal: TypeAlias = Callable[[npt.ArrayLike], Array]
"""What a modality carries: a value in [0, 1] at every time in seconds."""

_WAVES = 6
_STEP_SECONDS = 1 / 60
_PRE_ROLL_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class SlowSignal:
    """A smooth, stationary signal in [0, 1], uniform over time: the normal CDF of a sum of six slow waves.

    It has a value at every t, before 0 too, so that what lags behind it can start in its steady state.
    """

    frequencies_hz: tuple[float, ...]
    phases: tuple[float, ...]

    def __call__(self, seconds: npt.ArrayLike) -> Array:
        """Values at ``seconds`` (any shape)."""
        from scipy.special import ndtr

        t = np.asarray(seconds, dtype=np.float64)[..., None]
        waves = np.cos(2 * np.pi * t * np.array(self.frequencies_hz) + np.array(self.phases))
        return np.asarray(ndtr(np.sqrt(2 / len(self.phases)) * waves.sum(axis=-1)))


def draw_signals(seed: int, video_id: str) -> dict[str, SlowSignal]:
    """The four signals of one video, independent of each other and of everything else that is drawn."""
    signals = {}
    for name in SIGNALS:
        random = stream(seed, video_id, "signal", name)
        frequencies = random.uniform(1 / LONGEST_PERIOD_SECONDS, 1 / SHORTEST_PERIOD_SECONDS, _WAVES)
        phases = random.uniform(0, 2 * np.pi, _WAVES)
        signals[name] = SlowSignal(tuple(frequencies.tolist()), tuple(phases.tolist()))
    return signals


def reactions(signals: Mapping[str, Signal], seconds: Array) -> Array:
    """x, (F, 4): each signal as -1..1, delayed and smeared by its exponential decay, at ``seconds`` (F,) >= 0."""
    from scipy.signal import lfilter

    fine = np.arange(-_PRE_ROLL_SECONDS, float(seconds.max(initial=0.0)) + _STEP_SECONDS, _STEP_SECONDS)
    columns = []
    for name, delay, decay in zip(SIGNALS, DELAYS_SECONDS, DECAYS_SECONDS, strict=True):
        keep = np.exp(-_STEP_SECONDS / decay)
        causes = 2 * signals[name](fine) - 1
        lagged, _ = lfilter([1 - keep], [1, -keep], causes, zi=[keep * causes[0]])
        columns.append(np.interp(seconds - delay, fine, lagged))
    return np.stack(columns, axis=-1)


def noise_free_logits(theme: int, x: Array) -> Array:
    """(F, 15) logits of what viewers of a video of this theme show, of their reactions ``x`` (F, 4)."""
    return np.asarray(BASE_LOGITS + MOODS[theme] + REACTION_GAIN * (x * GAINS[theme]) @ MIXES.T)


def annotation_noise(random: np.random.Generator, n_frames: int, deviation: float) -> Array:
    """(F, 15) noise of stationary deviation with a short memory (first order), on the logit scale."""
    from scipy.signal import lfilter

    keep = np.exp(-1 / (RATE_HZ * NOISE_MEMORY_SECONDS))
    shocks = random.normal(size=(n_frames, len(EEV.names)))
    shocks[1:] *= np.sqrt(1 - keep**2)
    return deviation * np.asarray(lfilter([1.0], [1.0, -keep], shocks, axis=0))


def label(logits: Array, noise: Array) -> tuple[Array, Array]:
    """(noise-free signal, annotated labels), both (F, 15) in 0..1."""
    from scipy.special import expit

    return np.asarray(expit(logits)), np.asarray(expit(logits + noise))

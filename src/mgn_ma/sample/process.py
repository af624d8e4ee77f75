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
    LONGEST_PERIOD_SECONDS,
    NOISE_MEMORY_SECONDS,
    REACTION_GAIN,
    REACTIONS,
    SHORTEST_PERIOD_SECONDS,
    SIGNALS,
    Answer,
    World,
)

Array = npt.NDArray[np.float64]

Signal: TypeAlias = Callable[[npt.ArrayLike], Array]
"""What a modality carries: a value in [0, 1] at every time in seconds."""

STEP_SECONDS = 1 / 60
"""Between two values of what is integrated."""

_WAVES = 6
_PRE_ROLL_SECONDS = 60.0
_RISE_SECONDS = 2.0
_HABITUATION = 8.0
_HIGH_LEVELS = (0.2, 0.6)
_TOGETHER_SECONDS = 2.0


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


def noise_free_logits(world: World, theme: int, signals: Mapping[str, Signal], seconds: Array) -> Array:
    """(F, E) logits of what viewers of a video of this theme show at ``seconds`` (F,) >= 0."""
    reacted = np.einsum("fer,er->fe", reactions(world, theme, signals, seconds), world.mixes * world.gains[theme])
    coloured = mood(world, theme, signals, seconds)[:, None] * world.mood_weights
    return np.asarray(world.base_logits + world.theme_logits[theme] + REACTION_GAIN * reacted + coloured)


def reactions(world: World, theme: int, signals: Mapping[str, Signal], seconds: Array) -> Array:
    """x, (F, E, R): what each expression answers, delayed and smeared by its exponential decay, at ``seconds`` (F,)."""
    fine, levels = _levels(signals, seconds)
    together = coincidence(*levels[:, world.pair].T)
    answered: dict[Answer, Array] = {
        "level": levels,
        "rise": rise(levels),
        "habituated": habituated(levels, world.habituation_s),
    }
    x = np.empty((len(seconds), len(world.answers), len(REACTIONS)))
    for e, answer in enumerate(world.answers):
        causes = np.column_stack([answered[answer], together])
        for r, (delay, decay) in enumerate(zip(world.delays_s[theme, e], world.decays_s[theme, e], strict=True)):
            x[:, e, r] = np.interp(seconds - delay, fine, exponential_average(causes[:, r], decay))
    return x


def mood(world: World, theme: int, signals: Mapping[str, Signal], seconds: Array) -> Array:
    """M, (F,): which way viewers of this theme have been moved for some time."""
    fine, levels = _levels(signals, seconds)
    moved = levels @ world.gains[theme, : len(SIGNALS)] / len(SIGNALS)
    return np.interp(seconds, fine, exponential_average(moved, world.mood_s))


def rise(levels: Array) -> Array:
    """How fast levels (T, …), ``STEP_SECONDS`` apart, climb; 0 where they fall."""
    climbed = np.diff(levels, axis=0, prepend=levels[:1])
    return np.asarray(_RISE_SECONDS / STEP_SECONDS * np.maximum(climbed, 0))


def habituated(levels: Array, memory_s: float) -> Array:
    """Levels (T, …) as they move viewers whom each high passage makes harder to move, until it is forgotten."""
    exposure = exponential_average(np.maximum(levels, 0), memory_s)
    return np.asarray(levels * (1 + _HABITUATION / 4) / (1 + _HABITUATION * exposure))


def coincidence(first: Array, second: Array) -> Array:
    """(T,) from 0 to 1: whether both levels have been high within the last two seconds."""
    from scipy.ndimage import maximum_filter1d

    steps = round(_TOGETHER_SECONDS / STEP_SECONDS)
    low, high = _HIGH_LEVELS
    degrees = np.clip((np.stack([first, second]) - low) / (high - low), 0, 1)
    # The window ends at each step.
    recent = maximum_filter1d(degrees, steps + 1, axis=1, origin=(steps + 1) // 2, mode="nearest")
    return np.asarray(recent.prod(axis=0))


def exponential_average(values: Array, time_constant_s: float) -> Array:
    """Exponential average over the past of values (T, …), ``STEP_SECONDS`` apart, from their steady state on."""
    from scipy.signal import lfilter

    keep = np.exp(-STEP_SECONDS / time_constant_s)
    averaged, _ = lfilter([1 - keep], [1, -keep], values, axis=0, zi=keep * values[:1])
    return np.asarray(averaged)


def _levels(signals: Mapping[str, Signal], seconds: Array) -> tuple[Array, Array]:
    """Times (T,) from long before the video, and the signals (T, M) at them as -1 to 1."""
    fine = np.arange(-_PRE_ROLL_SECONDS, float(seconds.max(initial=0.0)) + STEP_SECONDS, STEP_SECONDS)
    return fine, 2 * np.stack([signals[name](fine) for name in SIGNALS], axis=-1) - 1


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

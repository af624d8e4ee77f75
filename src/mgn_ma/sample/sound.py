"""The sound of a video: a chord below 2 kHz in the theme's timbre, and a hiss above, as loud as the audio signal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mgn_ma.sample.process import Signal
from mgn_ma.sample.scenes import theme_weights
from mgn_ma.sample.script import VideoPlan
from mgn_ma.sample.world import THEMES, Theme

_PASSAGE_SECONDS = 3.0
_CHORD_LEVEL_DB = -22.0
_HISS_QUIETEST_DB, _HISS_LOUDEST_DB = -50.0, -20.0
_HISS_BAND_HZ = (2_200.0, 5_000.0)
_HIGHEST_HARMONIC_HZ = 1_600.0
_HISS_LOOP_SECONDS = 4
_SMOOTHNESS_SECONDS = 0.02


def waveform(plan: VideoPlan, signals: Mapping[str, Signal]) -> npt.NDArray[np.float32]:
    """(N,) samples in -1..1 at the plan's sample rate, N / rate being the video's length."""
    random = plan.random("sound")
    count = round(plan.seconds * plan.sample_rate)
    knots = np.arange(0, plan.seconds + _SMOOTHNESS_SECONDS, _SMOOTHNESS_SECONDS)
    seconds = np.arange(count) / plan.sample_rate

    def over_time(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.interp(seconds, knots, values)

    level_db = _HISS_QUIETEST_DB + (_HISS_LOUDEST_DB - _HISS_QUIETEST_DB) * signals["audio"](knots)
    sound = over_time(_amplitude(level_db)) * np.resize(_hiss(random, plan.sample_rate), count)
    chord_level = _amplitude(_CHORD_LEVEL_DB + random.uniform(-1, 1))
    weights = theme_weights(plan.random("passages"), plan, plan.sound_theme, knots, _PASSAGE_SECONDS)
    for theme, weight in zip(THEMES, weights.T, strict=True):
        waver = 1 + 0.1 * np.sin(2 * np.pi * theme.tremolo_hz * knots)
        chord = np.resize(_chord(random, theme, plan.sample_rate), count)
        sound += over_time(chord_level * weight * waver) * chord
    return np.clip(sound, -1, 1).astype(np.float32)


def _chord(random: np.random.Generator, theme: Theme, sample_rate: int) -> npt.NDArray[np.float64]:
    """A second of the theme's chord at unit RMS; its frequencies are whole, so that seconds join without a click."""
    partials = [
        (fundamental * number, strength)
        for fundamental in theme.chord_hz
        for number, strength in enumerate(theme.harmonics, start=1)
        if fundamental * number <= _HIGHEST_HARMONIC_HZ
    ]
    seconds = np.arange(sample_rate) / sample_rate
    tone = sum(a * np.sin(2 * np.pi * f * seconds + random.uniform(0, 2 * np.pi)) for f, a in partials)
    return np.asarray(tone / np.sqrt(sum(a * a for _, a in partials) / 2))


def _hiss(random: np.random.Generator, sample_rate: int) -> npt.NDArray[np.float64]:
    """Some seconds of noise of unit RMS in the band of the audio signal, that can be played in a loop."""
    length = _HISS_LOOP_SECONDS * sample_rate
    spectrum = np.fft.rfft(random.normal(size=length))
    frequencies = np.fft.rfftfreq(length, 1 / sample_rate)
    low, high = _HISS_BAND_HZ
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / noise.std())


def _amplitude(decibels: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(10 ** (np.asarray(decibels) / 20))

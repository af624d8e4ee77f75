"""The log-mel front end against a slow one written from its description: explicit DFT, explicit triangles, loops."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgn_ma.extractors.audio_patches import PATCH_US, log_mel_patches, mel_weights


def slow_mel_energy(spectrum: list[float], band: int) -> float:
    """Weighted sum over FFT bins of one of 64 bands that divide 125..7500 Hz evenly in mel."""

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    step = (mel(7500.0) - mel(125.0)) / 65
    low = mel(125.0) + band * step
    energy = 0.0
    for i, magnitude in enumerate(spectrum):
        position = mel(i * 16000 / 512)
        rising, falling = (position - low) / step, (low + 2 * step - position) / step
        weight = min(rising, falling)
        if i > 0 and weight > 0:
            energy += weight * magnitude
    return energy


def slow_frame(samples: list[float]) -> list[float]:
    """64 log-mel energies of 400 samples, by the definition of the discrete Fourier transform."""
    windowed = [x * (0.5 - 0.5 * math.cos(2 * math.pi * n / 400)) for n, x in enumerate(samples)]
    spectrum = []
    for k in range(257):
        real = sum(x * math.cos(2 * math.pi * k * n / 512) for n, x in enumerate(windowed))
        imaginary = sum(x * math.sin(2 * math.pi * k * n / 512) for n, x in enumerate(windowed))
        spectrum.append(math.hypot(real, imaginary))
    return [math.log(slow_mel_energy(spectrum, band) + 0.01) for band in range(64)]


def music(seconds: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """A few tones that move, and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16000)) / 16000
    tones = sum(0.2 * np.sin(2 * np.pi * (f * t + 40 * t**2)) for f in (110.0, 997.0, 3100.0))
    return np.asarray(tones + 0.02 * rng.standard_normal(len(t)), dtype=np.float32)


@pytest.mark.parametrize(("patch", "frame"), [(0, 0), (0, 95), (1, 0), (2, 37)])
def test_a_frame_is_what_the_slow_version_makes_of_its_400_samples(patch: int, frame: int) -> None:
    samples = music(3.0)
    start = patch * 15360 + frame * 160
    expected = slow_frame([float(x) for x in samples[start : start + 400]])
    np.testing.assert_allclose(list(log_mel_patches([samples]))[patch][frame], expected, rtol=0, atol=2e-6)


def test_patch_i_starts_at_i_times_960_ms() -> None:
    assert PATCH_US * 16000 == 15360 * 1_000_000
    samples = music(2.2)
    whole = list(log_mel_patches([samples]))
    np.testing.assert_array_equal(whole[1], next(log_mel_patches([samples[15360:]])))


@pytest.mark.parametrize(
    ("n_samples", "n_patches"), [(0, 0), (15_599, 0), (15_600, 1), (30_959, 1), (30_960, 2), (160_000, 10)]
)
def test_the_tail_is_dropped(n_samples: int, n_patches: int) -> None:
    patches = list(log_mel_patches([np.zeros(n_samples, np.float32)]))
    assert len(patches) == n_patches
    for patch in patches:
        assert patch.shape == (96, 64)
        np.testing.assert_allclose(patch, math.log(0.01), rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.integers(0, 48_000), max_size=12))
def test_how_the_stream_is_cut_into_blocks_changes_nothing(cuts: list[int]) -> None:
    samples = music(3.0, seed=1)
    blocks = np.split(samples, sorted(cuts))
    np.testing.assert_array_equal(list(log_mel_patches(blocks)), list(log_mel_patches([samples])))


def test_a_tone_lands_in_the_band_of_its_pitch() -> None:
    t = np.arange(16_000) / 16_000
    patch = next(log_mel_patches([np.sin(2 * np.pi * 1000 * t).astype(np.float32)]))
    lowest, highest, pitch = (1127 * math.log(1 + hertz / 700) for hertz in (125, 7500, 1000))
    band = round((pitch - lowest) / ((highest - lowest) / 65)) - 1
    assert int(patch.mean(axis=0).argmax()) == band


def test_direct_current_is_not_heard() -> None:
    assert not mel_weights()[0].any()
    assert mel_weights().shape == (257, 64)

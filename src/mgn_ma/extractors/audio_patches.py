"""VGGish's front end: 16 kHz samples to log-mel patches of 96 frames by 64 bands (paper, section 2.1.1).

25 ms windows every 10 ms, so that a patch is 960 ms of the clock; patches don't overlap. The constants are those that
the network was trained with: any other framing or mel scale gives vectors that look plausible and are wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import count

import numpy as np
import numpy.typing as npt

from mgn_ma.extractors.windows import sample_windows

SAMPLE_RATE = 16_000
PATCH_US = 960_000
"""Patch i holds for ``i * PATCH_US <= t < (i + 1) * PATCH_US``."""
PATCH_FRAMES = 96
MEL_BANDS = 64

WINDOW_SAMPLES = 400
HOP_SAMPLES = 160
FFT_SIZE = 512
PATCH_HOP_SAMPLES = PATCH_FRAMES * HOP_SAMPLES
PATCH_SAMPLES = (PATCH_FRAMES - 1) * HOP_SAMPLES + WINDOW_SAMPLES
"""15,600: the last window of a patch reaches 15 ms into the next one."""

_LOWEST_HZ = 125.0
_HIGHEST_HZ = 7_500.0
_LOG_OFFSET = 0.01

Patch = npt.NDArray[np.float32]


def log_mel_patches(blocks: Iterable[npt.NDArray[np.float32]]) -> Iterator[Patch]:
    """Turn a stream of samples into patches, whatever the lengths of its blocks.

    Args:
        blocks: consecutive mono samples at 16 kHz, nominally in [-1, 1]; sample 0 is t = 0.

    Returns:
        (96, 64) float32 each, log-mel energies; row j is the window that starts 10 ms x j into the patch. What is left
        after the last whole patch (of 0.975 s) is dropped.
    """
    return map(log_mel, sample_windows(blocks, PATCH_SAMPLES, count(0, PATCH_HOP_SAMPLES)))


def log_mel(samples: npt.NDArray[np.floating]) -> Patch:
    """(N,) samples at 16 kHz to (1 + (N - 400) // 160, 64) float32 log-mel energies, computed in float64."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    # 400 samples first, then zeros at the end up to 512: a window centred in 512 would give other numbers.
    magnitudes = np.abs(np.fft.rfft(windows * _periodic_hann(), FFT_SIZE))
    return np.log(magnitudes @ mel_weights() + _LOG_OFFSET).astype(np.float32)


def hz_to_mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Frequency on HTK's mel scale."""
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


@cache
def mel_weights() -> npt.NDArray[np.float64]:
    """(257, 64): weight of each FFT bin in each band; triangles that are linear in mel, nothing from DC."""
    bins = hz_to_mel(np.linspace(0.0, SAMPLE_RATE / 2, FFT_SIZE // 2 + 1))[:, None]
    edges = np.linspace(hz_to_mel(_LOWEST_HZ), hz_to_mel(_HIGHEST_HZ), MEL_BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    weights[0] = 0.0
    weights.setflags(write=False)
    return weights


@cache
def _periodic_hann() -> npt.NDArray[np.float64]:
    window: npt.NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi / WINDOW_SAMPLES * np.arange(WINDOW_SAMPLES))
    window.setflags(write=False)
    return window

"""What the descriptors' tracks tell of the signals: each of its own, and of no other.

Each video is rendered eight times, with each signal as it was drawn or upside down, in all pairs alike. What a track
tells of another signal by chance then cancels out, and a leak of a tenth can be told from none by a few videos.
"""

from __future__ import annotations

import pytest
from scipy.linalg import hadamard

import sample_leaks
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.process import Signal, draw_signals
from mgn_ma.sample.script import write_script
from mgn_ma.sample.world import SIGNALS

TURNS = hadamard(8)[:, 1:5]
"""(renderings, signals): two columns agree as often as they differ, and each has both signs as often."""


def _turned(signal: Signal, sign: int) -> Signal:
    return signal if sign > 0 else lambda seconds: 1 - signal(seconds)


@pytest.fixture(scope="module")
def videos() -> list[sample_leaks.Observed]:
    plans = write_script(SampleConfig(videos=8, awkward=False, shortest_seconds=7, longest_seconds=7))
    observed = []
    for turn in TURNS:
        for plan in plans:
            drawn = draw_signals(plan.seed, plan.video_id)
            signals = {name: _turned(drawn[name], sign) for name, sign in zip(SIGNALS, turn, strict=True)}
            observed.append(sample_leaks.observe(plan, signals))
    return observed


@pytest.mark.slow
@pytest.mark.parametrize("track", sample_leaks.CARRIER.values())
def test_a_track_tells_of_the_signal_that_it_carries_and_of_no_other(
    videos: list[sample_leaks.Observed], track: str
) -> None:
    r, _ = sample_leaks.signal_correlations(videos, track)
    for signal, found in zip(SIGNALS, r, strict=True):
        if sample_leaks.CARRIER[signal] != track:
            assert abs(found) < 0.1, signal
        elif track != "subtitle":  # of so few words none is met twice: tests/sample/test_captions.py
            assert found > 0.85

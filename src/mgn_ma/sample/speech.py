"""What is said in a video: words graded from calm to fierce follow the speech signal, among words that say nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mgn_ma.sample.process import Signal
from mgn_ma.sample.script import VideoPlan

GRADED_WORDS: tuple[tuple[str, ...], ...] = (
    ("calm", "sleepy"),
    ("mild", "steady"),
    ("bright", "curious"),
    ("loud", "sharp"),
    ("wild", "furious"),
)
"""From the lowest level of the speech signal to the highest."""

FILLERS: tuple[str, ...] = ("and", "so", "then", "here")

MUSIC = "[Music]"

_WORDS_A_SECOND = 2.4
_GRADED_SHARE = 0.8
_LEVEL_BLUR = 0.25
_MUSIC_SHARE = 0.3
_MUSIC_SECONDS = 1.8


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A caption line: its words with the moment that each begins, and when the line ends. ``[Music]`` is one word."""

    words: tuple[str, ...]
    starts_us: tuple[int, ...]
    end_us: int


def speak(plan: VideoPlan, signal: Signal) -> list[SpokenLine]:
    """Lines of four to seven words, one after the other over the whole video; some videos open with music."""
    random = plan.random("speech")
    lines: list[SpokenLine] = []
    now = random.uniform(0.05, 0.4)
    if random.random() < _MUSIC_SHARE:
        lines.append(SpokenLine((MUSIC,), (_us(now),), _us(now + _MUSIC_SECONDS)))
        now += _MUSIC_SECONDS
    while now < plan.seconds - 0.5:
        count = int(random.integers(4, 8))
        starts = now + np.cumsum(random.uniform(0.6, 1.4, count)) / _WORDS_A_SECOND
        starts = np.concatenate([[now], starts])
        end = min(float(starts[-1]), plan.seconds)
        kept = starts[:-1][starts[:-1] < end]
        words = tuple(_word(random, float(signal(t))) for t in kept)
        lines.append(SpokenLine(words, tuple(_us(t) for t in kept), _us(end)))
        now = end + (random.uniform(0.3, 0.9) if random.random() < 0.3 else 0.0)
    return lines


def _word(random: np.random.Generator, value: float) -> str:
    if random.random() >= _GRADED_SHARE:
        return str(random.choice(FILLERS))
    top = len(GRADED_WORDS) - 1
    level = int(np.clip(round(top * value + random.normal(scale=_LEVEL_BLUR)), 0, top))
    return str(random.choice(GRADED_WORDS[level]))


def _us(seconds: float) -> int:
    """Microseconds, on the millisecond grid of WebVTT."""
    return round(float(seconds) * 1000) * 1000

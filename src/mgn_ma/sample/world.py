"""The laws of the sample's world, the same for every seed: themes, what each reacts to, expression mixes and lags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mgn_ma.eev.targets import EEV

SIGNALS = ("image", "audio", "action", "speech")
"""The four causes that a video carries, each in one modality only."""

Quirk = Literal["missing", "no_audio", "no_captions", "variable_rate", "odd_size", "rotated", "silent_expression"]
"""What can be awkward about a video."""


@dataclass(frozen=True, slots=True)
class Theme:
    """What a video is about: it shows in palette, title and sound, and decides how viewers react to the signals.

    Attributes:
        name: what the truth tables call it.
        ground, shape: chroma (Cb, Cr) of the background and of the shape. Luma is the same for all themes.
        chord_hz: fundamentals of the background sound, all below the band that carries the audio signal.
        harmonics: amplitudes of the 1st, 2nd, … harmonic: the timbre.
        tremolo_hz: how fast the chord's loudness wavers.
        words: two of them are in every title of the theme.
        gains: reaction to image, audio, action and speech, signed.
    """

    name: str
    ground: tuple[int, int]
    shape: tuple[int, int]
    chord_hz: tuple[int, ...]
    harmonics: tuple[float, ...]
    tremolo_hz: float
    words: tuple[str, ...]
    gains: tuple[float, float, float, float]


THEMES: tuple[Theme, ...] = (
    Theme(
        name="forest",
        ground=(108, 104),
        shape=(96, 140),
        chord_hz=(392, 587),
        harmonics=(1.0, 0.1),
        tremolo_hz=0.5,
        words=("forest", "moss", "fern", "timber"),
        gains=(1.0, 1.0, 0.6, -1.0),
    ),
    Theme(
        name="city",
        ground=(150, 150),
        shape=(112, 164),
        chord_hz=(131, 185),
        harmonics=(1.0, 0.8, 0.7, 0.6, 0.5, 0.4),
        tremolo_hz=4.0,
        words=("city", "subway", "neon", "rooftop"),
        gains=(-1.0, 0.6, -1.0, 0.6),
    ),
    Theme(
        name="ocean",
        ground=(158, 104),
        shape=(140, 90),
        chord_hz=(196, 247),
        harmonics=(1.0, 0.1, 0.5),
        tremolo_hz=0.2,
        words=("ocean", "harbour", "coral", "sailing"),
        gains=(0.6, -1.0, -0.6, 1.0),
    ),
    Theme(
        name="desert",
        ground=(104, 150),
        shape=(120, 120),
        chord_hz=(784, 1047),
        harmonics=(1.0,),
        tremolo_hz=2.0,
        words=("desert", "dune", "canyon", "cactus"),
        gains=(-0.6, -0.6, 1.0, -0.6),
    ),
)

GAINS: npt.NDArray[np.float64] = np.array([theme.gains for theme in THEMES])
"""A, (themes, signals): every column sums to zero, so that who ignores the theme learns nothing."""

MIXES: npt.NDArray[np.float64] = np.array(
    [
        (0.3, 0.4, 0.5, 0.9),
        (-0.3, 0.7, 0.4, -0.8),
        (0.9, 0.5, -0.3, 0.4),
        (0.4, -0.7, -0.4, 0.6),
        (-0.6, 0.3, 0.7, -0.5),
        (-0.4, -0.4, 0.3, -0.9),
        (0.6, -0.8, -0.3, 0.5),
        (-0.5, -0.6, -0.5, -0.6),
        (0.4, 0.5, -0.5, -0.8),
        (0.4, 0.8, 0.5, 0.6),
        (0.5, -0.4, 0.6, 0.8),
        (-0.3, 0.9, 0.6, -0.3),
        (-0.6, -0.5, -0.6, 0.7),
        (0.4, 0.8, 0.7, -0.4),
        (-0.3, 0.6, 0.4, 0.9),
    ]
)
MIXES /= np.linalg.norm(MIXES, axis=1, keepdims=True)
"""W, (expressions, signals): how much each of EEV's expressions listens to each signal; rows of unit length."""

DELAYS_SECONDS: tuple[float, float, float, float] = (0.5, 0.5, 0.5, 0.6)
"""d: how long after its cause a reaction begins, for each signal."""

DECAYS_SECONDS: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.2)
"""tau: how slowly a reaction fades, for each signal."""

REACTION_GAIN = 2.2
"""g: from the mix of reactions to the logit of a label."""

BASE_LOGITS: npt.NDArray[np.float64] = -1.6 + 0.5 * np.cos(np.arange(len(EEV.names)) * 1.9)
"""b, (expressions,): some expressions are rarer than others, and all are rare."""

MOODS: npt.NDArray[np.float64] = 0.7 * np.cos(
    np.arange(len(EEV.names))[None, :] * 1.3 + np.arange(len(THEMES))[:, None] * (np.pi / 2)
)
"""c, (themes, expressions): a theme's own level of each expression, which a video's mean label shows."""

SHORTEST_PERIOD_SECONDS, LONGEST_PERIOD_SECONDS = 13.0, 32.0
"""Between them lie the periods of which every signal is made."""

NOISE_MEMORY_SECONDS = 0.4
"""Correlation time of the annotation noise."""

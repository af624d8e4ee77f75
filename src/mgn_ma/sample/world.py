"""What videos of the sample are about, and worlds: the laws by which viewers react, drawn from stated priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from mgn_ma.eev.targets import EEV
from mgn_ma.sample.randomness import stream

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
        words: what titles of the theme are made of.
    """

    name: str
    ground: tuple[int, int]
    shape: tuple[int, int]
    chord_hz: tuple[int, ...]
    harmonics: tuple[float, ...]
    tremolo_hz: float
    words: tuple[str, ...]


THEMES: tuple[Theme, ...] = (
    Theme(
        name="forest",
        ground=(108, 104),
        shape=(96, 140),
        chord_hz=(392, 587),
        harmonics=(1.0, 0.1),
        tremolo_hz=0.5,
        words=("forest", "moss", "fern", "timber"),
    ),
    Theme(
        name="city",
        ground=(150, 150),
        shape=(112, 164),
        chord_hz=(131, 185),
        harmonics=(1.0, 0.8, 0.7, 0.6, 0.5, 0.4),
        tremolo_hz=4.0,
        words=("city", "subway", "neon", "rooftop"),
    ),
    Theme(
        name="ocean",
        ground=(158, 104),
        shape=(140, 90),
        chord_hz=(196, 247),
        harmonics=(1.0, 0.1, 0.5),
        tremolo_hz=0.2,
        words=("ocean", "harbour", "coral", "sailing"),
    ),
    Theme(
        name="desert",
        ground=(104, 150),
        shape=(120, 120),
        chord_hz=(784, 1047),
        harmonics=(1.0,),
        tremolo_hz=2.0,
        words=("desert", "dune", "canyon", "cactus"),
    ),
)

Answer = Literal["level", "rise", "habituated"]
"""What of a signal an expression answers: how high it is, how it climbs, or how high it is for who isn't used to it."""

ANSWERS: tuple[Answer, ...] = get_args(Answer)

REACTIONS = (*SIGNALS, "pair")
"""What an expression reacts to: each signal by itself, and two that are high within two seconds of each other."""

SHORTEST_PERIOD_SECONDS, LONGEST_PERIOD_SECONDS = 8.0, 32.0
"""Between them lie the periods of which every signal is made."""

NOISE_MEMORY_SECONDS = 0.4
"""Correlation time of the annotation noise."""

REACTION_GAIN = 3.5
"""g: from the mix of reactions to the logit of a label."""

# Priors: between which bounds, or around what, the laws of a world are drawn.
_GAINS = (0.5, 1.0)
_MIXES = (0.3, 1.0)
_BASE_LOGITS = (-2.1, -1.1)
_THEME_LOGIT_DEVIATION = 0.5
_ANSWERING_RISES, _HABITUATING = 4, 4
_LISTENING_TO_PAIRS = 5
_DELAYS_SECONDS, _DECAYS_SECONDS = (0.3, 2.5 / 1.5), (0.75, 8.0 / 1.5)
_THEME_PACE = 1.5
_HABITUATION_SECONDS = (6.0, 12.0)
_MOOD_SECONDS = (8.0, 16.0)
_MOOD_WEIGHTS = (1.0, 3.0)


@dataclass(frozen=True, slots=True)
class World:
    """The laws of a world, of K themes, E expressions and R reactions (docs/sample.md).

    Attributes:
        gains: A, (K, R). In every column themes come in pairs, +a and -a, that share their delays and decays: averaged
            over themes nothing moves anybody, and who ignores the theme learns nothing.
        mixes: W, (E, R): how much each expression listens to each reaction. Signals' part of a row has unit length;
            the pair's is 0 for most.
        base_logits: b, (E,): some expressions are rarer than others, and all are rare.
        theme_logits: c, (K, E): a theme's own level of each expression, which a video's mean label shows.
        answers: E, what of a signal each expression answers.
        delays_s: d, (K, E, R): how long after its cause a reaction begins.
        decays_s: tau, (K, E, R): how slowly it fades.
        pair: columns of the two signals that must both be high.
        habituation_s: T_h, how long viewers who were moved are hard to move.
        mood_s: T_m, how slowly the mood follows.
        mood_weights: l, (E,): how much it colours each expression.
    """

    gains: npt.NDArray[np.float64]
    mixes: npt.NDArray[np.float64]
    base_logits: npt.NDArray[np.float64]
    theme_logits: npt.NDArray[np.float64]
    answers: tuple[Answer, ...]
    delays_s: npt.NDArray[np.float64]
    decays_s: npt.NDArray[np.float64]
    pair: tuple[int, int]
    habituation_s: float
    mood_s: float
    mood_weights: npt.NDArray[np.float64]


def draw_world(number: int) -> World:
    """The laws of the world of this number."""
    n_themes, n_expressions, n_signals, n_reactions = len(THEMES), len(EEV.names), len(SIGNALS), len(REACTIONS)

    def random(law: str) -> np.random.Generator:
        return stream(number, "world", law)

    gains, paces = _moved_by_themes(random("gains"), n_themes, n_reactions)
    mixes = np.zeros((n_expressions, n_reactions))
    mixes[:, :n_signals] = _signed(random("mixes"), _MIXES, (n_expressions, n_signals))
    mixes /= np.linalg.norm(mixes, axis=1, keepdims=True)
    listening = random("pair listeners").permutation(n_expressions)[:_LISTENING_TO_PAIRS]
    mixes[listening, -1] = _signed(random("pair weights"), (1.0, 1.0), (_LISTENING_TO_PAIRS,))
    levels = n_expressions - _ANSWERING_RISES - _HABITUATING
    counts: dict[Answer, int] = {"level": levels, "rise": _ANSWERING_RISES, "habituated": _HABITUATING}
    answers = [answer for answer, count in counts.items() for _ in range(count)]
    first, second = random("pair").permutation(n_signals)[:2].tolist()
    return World(
        gains=gains,
        mixes=mixes,
        base_logits=random("base").uniform(*_BASE_LOGITS, n_expressions),
        theme_logits=random("themes").normal(scale=_THEME_LOGIT_DEVIATION, size=(n_themes, n_expressions)),
        answers=tuple(answers[i] for i in random("answers").permutation(n_expressions)),
        delays_s=paces[:, None] * _durations(random("delays"), _DELAYS_SECONDS, (n_expressions, n_reactions)),
        decays_s=paces[:, None] * _durations(random("decays"), _DECAYS_SECONDS, (n_expressions, n_reactions)),
        pair=(first, second),
        habituation_s=float(random("habituation").uniform(*_HABITUATION_SECONDS)),
        mood_s=float(random("mood").uniform(*_MOOD_SECONDS)),
        mood_weights=_signed(random("mood weights"), _MOOD_WEIGHTS, (n_expressions,)),
    )


def _moved_by_themes(
    random: np.random.Generator, n_themes: int, n_reactions: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Gains and paces, (K, R): whatever moves one theme up moves another down, as much and as slowly."""
    shape = (n_themes // 2, n_reactions)
    strengths = random.uniform(*_GAINS, shape)
    paces = _THEME_PACE ** random.uniform(-1, 1, shape)
    order = random.permuted(np.tile(np.arange(n_themes)[:, None], n_reactions), axis=0)
    gains, paces = np.concatenate([strengths, -strengths]), np.concatenate([paces, paces])
    return np.take_along_axis(gains, order, axis=0), np.take_along_axis(paces, order, axis=0)


def _signed(
    random: np.random.Generator, bounds: tuple[float, float], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    return np.asarray(random.uniform(*bounds, shape) * random.choice([-1.0, 1.0], shape))


def _durations(
    random: np.random.Generator, bounds: tuple[float, float], shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """From the shorter bound to the longer one, the short ones being more common."""
    shortest, longest = bounds
    return np.asarray(shortest * (longest / shortest) ** (random.uniform(size=shape) ** 2))

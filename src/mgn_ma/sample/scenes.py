"""Scenes of a video: each looks or sounds like one theme, and only most of them like the one that the video shows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mgn_ma.sample.script import VideoPlan
from mgn_ma.sample.world import THEMES

_FADE_SECONDS = 0.2


def theme_weights(
    random: np.random.Generator, plan: VideoPlan, shown: int, seconds: npt.NDArray[np.float64], scene_seconds: float
) -> npt.NDArray[np.float64]:
    """How much of each theme shows at each time, (F, themes), rows summing to one, with short fades at the cuts.

    The theme ``shown`` has ``plan.theme_share`` of the scenes (rounded up), and the others share the rest evenly; so a
    moment tells little of it, and the whole video shows it.
    """
    count = max(1, round(plan.seconds / scene_seconds))
    most = int(np.ceil(plan.theme_share * count))
    others = [theme for theme in random.permutation(len(THEMES)) if theme != shown]
    scene_themes = [shown] * most + [int(others[i % len(others)]) for i in range(count - most)]
    order = random.permutation(scene_themes)
    cuts = (np.arange(1, count) + random.uniform(-0.25, 0.25, count - 1)) * plan.seconds / count
    # Each scene fades in over its cut and the next one over it: a product of ramps.
    begun = np.clip((seconds[:, None] - cuts) / _FADE_SECONDS + 0.5, 0, 1)
    begun = np.concatenate([np.ones((len(seconds), 1)), begun, np.zeros((len(seconds), 1))], axis=1)
    return np.asarray((begun[:, :-1] - begun[:, 1:]) @ np.eye(len(THEMES))[order])

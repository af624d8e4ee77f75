"""What each video of the sample will be, decided before anything is rendered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from mgn_ma.eev.frames import Split
from mgn_ma.eev.targets import EEV
from mgn_ma.sample.config import SampleConfig
from mgn_ma.sample.randomness import stream
from mgn_ma.sample.world import THEMES, Quirk

RENDERING_VERSION = 5
"""Raised by hand when the code draws, sounds or writes differently, so that videos of earlier code are made again."""

_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ID_LENGTH = 11
_SIZES = ((160, 120), (192, 108), (176, 144), (144, 112), (108, 192))
_ODD_SIZE = (161, 119)
_FRAME_RATES = ((25, 1), (24, 1), (30, 1), (30_000, 1_001))
_SAMPLE_RATES = (16_000, 16_000, 22_050, 44_100)
_THEME_SHOWS = 0.8
"""How often the pictures of a video are of its theme; how often its sound is, and its title, each by itself."""
_TITLE_FRAMES = ("{} and {}", "{} and {}, part two", "my {} and {} diary", "{} to {} in a day", "from {} to {}")

_QUIRKS: dict[Split, dict[int, tuple[Quirk, ...]]] = {
    # Position within a split, modulo _QUIRK_CYCLE.
    "train": {
        1: ("missing",),
        4: ("no_audio",),
        7: ("no_captions",),
        10: ("variable_rate",),
        13: ("odd_size",),
        16: ("missing",),
        18: ("rotated",),
        21: ("silent_expression",),
    },
    "validation": {1: ("variable_rate",), 3: ("no_captions",), 6: ("silent_expression",)},
    "test": {0: ("rotated",), 2: ("missing",), 5: ("no_audio",), 7: ("silent_expression",)},
}
_QUIRK_CYCLE: dict[Split, int] = {"train": 24, "validation": 8, "test": 8}


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """Everything that must be known to render and annotate one video; the same plan always gives the same files.

    Attributes:
        theme: index into ``world.THEMES``; it decides how viewers react.
        picture_theme, sound_theme: what it looks and sounds like: mostly the same.
        frame_rate: numerator and denominator; nominal where the rate varies.
        width, height: as shown, in pixels.
        silent_expression: an expression that no viewer was ever seen to show: its labels are all 0.
    """

    world: int
    seed: int
    video_id: str
    split: Split
    theme: int
    picture_theme: int
    sound_theme: int
    title: str
    duration_us: int
    frame_rate: tuple[int, int]
    width: int
    height: int
    sample_rate: int
    channels: int
    theme_share: float
    quirks: tuple[Quirk, ...]
    silent_expression: str | None

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.duration_us / 1e6

    @property
    def fingerprint(self) -> str:
        """Hex digest of the plan and the version of the code that renders it."""
        canonical = json.dumps({"version": RENDERING_VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def random(self, *names: str | int) -> np.random.Generator:
        """A random stream of this video's own for each purpose."""
        return stream(self.seed, self.video_id, *names)


def split_sizes(videos: int) -> dict[Split, int]:
    """How many videos each split has: one of five for validation, one for test, the rest for training."""
    held_out = max(1, round(videos / 5))
    return {"train": videos - 2 * held_out, "validation": held_out, "test": held_out}


def write_script(config: SampleConfig) -> list[VideoPlan]:
    """Plans of all videos, by split, themes in equal parts within each split."""
    ids = _draw_ids(config)
    plans = []
    for split, size in split_sizes(config.videos).items():
        # Dealt without regard to position, which decides what is awkward about a video.
        themes = stream(config.seed, config.world, split, "themes").permutation(np.arange(size) % len(THEMES))
        for position, theme in enumerate(themes.tolist()):
            plans.append(_plan_video(config, next(ids), split, position, theme))
    return plans


def _plan_video(config: SampleConfig, video_id: str, split: Split, position: int, theme: int) -> VideoPlan:
    random = stream(config.seed, video_id, "plan")
    quirks = _QUIRKS[split].get(position % _QUIRK_CYCLE[split], ()) if config.awkward else ()
    width, height = _ODD_SIZE if "odd_size" in quirks else _SIZES[random.integers(len(_SIZES))]
    others = [other for other in range(len(THEMES)) if other != theme]
    in_picture, in_sound, in_title = (
        theme if random.random() < _THEME_SHOWS else int(random.choice(others)) for _ in range(3)
    )
    title = str(random.choice(_TITLE_FRAMES)).format(*random.choice(THEMES[in_title].words, 2, replace=False))
    return VideoPlan(
        world=config.world,
        seed=config.seed,
        video_id=video_id,
        split=split,
        theme=theme,
        picture_theme=in_picture,
        sound_theme=in_sound,
        title=title[0].upper() + title[1:],
        duration_us=int(random.uniform(config.shortest_seconds, config.longest_seconds) * 1e3) * 1000,
        frame_rate=_FRAME_RATES[random.integers(len(_FRAME_RATES))],
        width=width,
        height=height,
        sample_rate=int(random.choice(_SAMPLE_RATES)),
        channels=int(random.integers(1, 3)),
        theme_share=config.theme_share,
        quirks=quirks,
        silent_expression=str(random.choice(EEV.names)) if "silent_expression" in quirks else None,
    )


def _draw_ids(config: SampleConfig) -> Iterator[str]:
    """Distinct YouTube-like ids, also on file systems that ignore case; the traps ``-…`` and ``_…`` come early."""
    random = stream(config.seed, config.world, "ids")
    seen: set[str] = set()
    while len(seen) < config.videos:
        letters = random.choice(list(_ID_ALPHABET), _ID_LENGTH)
        if len(seen) % 5 in (0, 3):
            letters[0] = "-" if len(seen) % 5 == 0 else "_"
        video_id = "".join(letters)
        if video_id.lower() not in seen:
            seen.add(video_id.lower())
            yield video_id

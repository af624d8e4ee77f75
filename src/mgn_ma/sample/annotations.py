"""The sample's annotations in EEV's exact format, traps included, and the truth that they hide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.annotations import ID_COLUMNS, TIMESTAMP_COLUMN
from mgn_ma.eev.frames import Split
from mgn_ma.eev.targets import EEV
from mgn_ma.grid import grid_timestamps_us
from mgn_ma.sample.process import Signal, annotation_noise, draw_signals, label, noise_free_logits
from mgn_ma.sample.script import VideoPlan
from mgn_ma.sample.world import THEMES, draw_world

Array = npt.NDArray[np.float64]

_ID_COLUMN: dict[Split, str] = {"train": ID_COLUMNS[0], "validation": ID_COLUMNS[0], "test": ID_COLUMNS[1]}
_DECIMALS = 6
_FACELESS_SHARE = 0.3
_FACELESS_SECONDS = (0.5, 1.0)


def annotate(plan: VideoPlan, noise: float) -> tuple[Array, Array]:
    """(noise-free signal, labels), both (F, 15), of one video.

    Labels are 0 in a row where no viewer's face was detected, and all
    along for an expression that nobody was seen to show.
    """
    seconds = grid_timestamps_us(plan.duration_us) / 1e6
    random = plan.random("annotation")
    logits = noise_free_logits(draw_world(plan.world), plan.theme, heard_signals(plan), seconds)
    truth, labels = label(logits, annotation_noise(random, len(seconds), noise))
    if random.random() < _FACELESS_SHARE:
        length = random.uniform(*_FACELESS_SECONDS)
        start = random.uniform(0, plan.seconds - length)
        labels[(seconds >= start) & (seconds < start + length)] = 0
    if plan.silent_expression is not None:
        labels[:, EEV.names.index(plan.silent_expression)] = 0
    return truth, labels


def heard_signals(plan: VideoPlan) -> dict[str, Signal]:
    """The signals that viewers of a video react to: where there is no sound, it is neither loud nor quiet."""
    signals: dict[str, Signal] = {**draw_signals(plan.seed, plan.video_id)}
    if "no_audio" in plan.quirks:
        signals["audio"] = lambda seconds: np.full(np.shape(seconds), 0.5)
    return signals


def eev_annotations(plans: Iterable[VideoPlan], split: Split, noise: float) -> pd.DataFrame:
    """The table of one split as EEV publishes it: one contiguous block a video, and no labels in test.

    Under a header that says milliseconds stand microseconds, as in EEV.
    """
    blocks = []
    for plan in _of(plans, split):
        block = pd.DataFrame({_ID_COLUMN[split]: plan.video_id, TIMESTAMP_COLUMN: grid_timestamps_us(plan.duration_us)})
        if split != "test":
            _, labels = annotate(plan, noise)
            block = block.assign(**dict(zip(EEV.names, labels.round(_DECIMALS).T, strict=True)))
        blocks.append(block)
    return pd.concat(blocks, ignore_index=True)


def noise_free_signal(plans: Iterable[VideoPlan], split: Split, noise: float) -> pd.DataFrame:
    """Frame table of what viewers of a split would show without noise, all frames."""
    return _frame_table(plans, split, noise, which=0)


def hidden_labels(plans: Iterable[VideoPlan], split: Split, noise: float) -> pd.DataFrame:
    """Frame table of the labels as annotated, of a split whose published table has none."""
    return _frame_table(plans, split, noise, which=1)


def video_table(plans: Iterable[VideoPlan]) -> pd.DataFrame:
    """What each video really is: ``video_id``, ``split``, ``theme`` and ``quirks`` (comma-separated)."""
    rows = [(plan.video_id, plan.split, THEMES[plan.theme].name, ",".join(plan.quirks)) for plan in plans]
    return pd.DataFrame(rows, columns=["video_id", "split", "theme", "quirks"])


def _frame_table(plans: Iterable[VideoPlan], split: Split, noise: float, *, which: int) -> pd.DataFrame:
    blocks = []
    for plan in _of(plans, split):
        values = annotate(plan, noise)[which].astype(np.float32)
        frame = pd.DataFrame({"video_id": plan.video_id, "timestamp_us": grid_timestamps_us(plan.duration_us)})
        blocks.append(frame.assign(**dict(zip(EEV.names, values.T, strict=True))))
    return pd.concat(blocks, ignore_index=True)


def _of(plans: Iterable[VideoPlan], split: Split) -> Sequence[VideoPlan]:
    return [plan for plan in plans if plan.split == split]

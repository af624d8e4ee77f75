import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.targets import EEV
from mgn_ma.grid import grid_time


def _frames(lengths, prefix="v"):
    return pd.DataFrame(
        [(f"{prefix}{video}", grid_time(frame)) for video, length in enumerate(lengths) for frame in range(length)],
        columns=["video_id", "timestamp_us"],
    )


def _table(frames, values):
    table = frames.copy()
    for column, name in enumerate(EEV.names):
        table[name] = values[:, column].astype(np.float32)
    return table


@pytest.fixture
def make_frames():
    """Keys of videos v0, v1, … of the given lengths on the 6 Hz grid."""
    return _frames


@pytest.fixture
def make_table():
    """A frame table of values (F, 15)."""
    return _table


@pytest.fixture
def world():
    """Labels, and members that are the labels with more and more noise, each on a scale of its own."""

    class World:
        def __init__(self, seed=0, lengths=(40, 25, 60, 33, 50, 21, 30, 44), noises=(0.3, 0.5, 0.8, 2.0)):
            random = np.random.default_rng(seed)
            self.frames = _frames(lengths)
            self.offsets = np.r_[0, np.cumsum(lengths)]
            self.labels = random.random((len(self.frames), 15)) * 0.5 + 0.2
            self.members = {}
            for number, noise in enumerate(noises):
                values = self.labels + noise * random.normal(size=self.labels.shape) * 0.15
                self.members[f"member_{number}"] = np.clip(0.1 * number + values / (1 + number), 0, 1).astype(
                    np.float32
                )
            self.shuffled = random.random(self.labels.shape).astype(np.float32)

        def labels_table(self):
            return _table(self.frames, self.labels)

        def predictions_table(self, split="validation"):
            tables = [
                _table(self.frames, values).assign(member=name, split=split)
                for name, values in (self.members | {"shuffled": self.shuffled}).items()
            ]
            return pd.concat(tables, ignore_index=True)

    return World

"""Small tables of the shapes that the chain writes, made by formulas."""

import numpy as np
import pandas as pd
import pytest

from mgn_ma.eev.targets import EEV


def frames(values, video_id):
    """A frame table of one video on the annotation grid."""
    timestamps = np.arange(len(values)) * 1_000_000 // 6
    table = pd.DataFrame(np.asarray(values, np.float32), columns=list(EEV.names))
    table.insert(0, "timestamp_us", timestamps)
    table.insert(0, "video_id", video_id)
    return table


@pytest.fixture
def labels():
    """Three videos of 40 frames; expression c swings with a period of its own."""
    time = np.arange(40)[:, None] / 6
    waves = 0.3 + 0.2 * np.sin(time * (1 + np.arange(15)) / 3)
    return pd.concat([frames(waves, name) for name in ("good", "middle", "-bad")], ignore_index=True)


@pytest.fixture
def predictions(labels):
    """Equal to the labels for ``good``, upside down for ``-bad``, half noise for ``middle``; and a test video."""
    names = list(EEV.names)
    table = labels.copy()
    noise = np.random.default_rng(0).normal(0, 0.2, (40, 15)).astype(np.float32)
    table.loc[table["video_id"] == "middle", names] += noise
    table.loc[table["video_id"] == "-bad", names] *= -1
    return pd.concat([frames(np.ones((40, 15)), "of_test"), table], ignore_index=True)


@pytest.fixture
def attention(labels):
    """Two members and the control; ``good`` has no subtitle and listens to the image more and more."""
    rows = []
    for member, offset in (("member_0", 0.0), ("member_1", 0.2), ("shuffled", -0.2)):
        shares = labels[["video_id", "timestamp_us"]].copy()
        shares.insert(0, "member", member)
        image = 0.2 + offset + 0.5 * shares.groupby("video_id").cumcount() / 40
        shares["image"], shares["audio"], shares["subtitle"] = image, 1 - image, 0.0
        rows.append(shares)
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def curves():
    """Two members of three epochs, the second best at its second epoch; and the control."""
    return pd.DataFrame(
        {
            "member": ["member_0"] * 3 + ["member_1"] * 3 + ["shuffled"] * 3,
            "epoch": [1, 2, 3] * 3,
            "train_loss": [0.6, 0.5, 0.4, 0.7, 0.5, 0.3, 0.7, 0.6, 0.6],
            "validation_correlation": [0.1, 0.2, 0.3, 0.1, 0.4, 0.2, 0.01, -0.02, 0.0],
            "seconds": 1.0,
        }
    )


@pytest.fixture
def evaluation():
    """A report in which every expression has all that the figure can show."""
    expressions = {
        name: {
            "ensemble": index / 100,
            "interval": [index / 100 - 0.02, index / 100 + 0.03],
            "members": [index / 100 - 0.01, index / 100 + 0.01],
            "oracle": 0.5,
            "time_only": 0.0,
        }
        for index, name in enumerate(EEV.names)
    }
    return {"validation": {"ensemble": 0.07, "members": [0.06, 0.08], "expressions": expressions}}

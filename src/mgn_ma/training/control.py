"""The control with shuffled labels: what a network scores when no video has its own viewers' reactions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mgn_ma.training.errors import TrainingError


def shuffled_label_rows(offsets: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    """For every frame, the row of the labels of another video that stands in for its own, (F,) int64.

    Labels keep their shape over time: a whole block goes to another video, repeated where that is longer. It begins at
    a random row, so that neither what a frame shows nor how far into the video it is says anything of the label.

    Args:
        offsets: (V + 1,) first frame of every video, then F.
        seed: of the exchange.

    Raises:
        TrainingError: there are fewer than two videos to exchange labels between.
    """
    n_videos = len(offsets) - 1
    if n_videos < 2:
        raise TrainingError("labels can't be exchanged between videos where there is only one: switch the control off")
    random = np.random.default_rng(seed)
    donors = _derangement(n_videos, random)
    lengths = np.diff(offsets)
    rows = np.empty(int(offsets[-1]), dtype=np.int64)
    for video, donor in enumerate(donors.tolist()):
        begin = random.integers(lengths[donor])
        rows[offsets[video] : offsets[video + 1]] = (
            offsets[donor] + (begin + np.arange(lengths[video])) % lengths[donor]
        )
    return rows


def _derangement(n: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """A random permutation that leaves nobody in place: everyone gives to the next in a random circle."""
    circle = random.permutation(n)
    donors = np.empty(n, dtype=np.int64)
    donors[circle] = np.roll(circle, 1)
    return donors

"""The hold-out: validation videos that choose nothing, so that something unbiased can be said where no test is public.

Validation videos choose snapshots, the combination of members and viewers' reaction. What they say of the result is
optimistic by that. Only the report and promotion read the hold-out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def carve_holdout(labels: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Deal whole videos of a frame table to validation and hold-out.

    Args:
        labels: of all annotated validation videos, whether they can be had or not.
        share: of the videos, in [0, 1), that is held out, rounded down: of one video, none.
        seed: draws them; the same table, share and seed give the same videos.

    Returns:
        What is left for validation, and the hold-out; either has the table's columns.
    """
    video_ids = labels["video_id"].unique()
    drawn = np.random.default_rng(seed).permutation(video_ids)[: int(share * len(video_ids))]
    held_out = labels["video_id"].isin(drawn).to_numpy()
    return labels[~held_out].reset_index(drop=True), labels[held_out].reset_index(drop=True)

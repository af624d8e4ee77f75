"""Frame tables: labels or predictions by video and timestamp, the 15 expressions as columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.errors import FrameTableError
from mgn_ma.eev.expressions import EXPRESSIONS

KEY_COLUMNS = ("video_id", "timestamp_us")
"""What names a frame; a frame table has each frame once."""

FRAME_COLUMNS = (*KEY_COLUMNS, *EXPRESSIONS)


def expression_matrix(frames: pd.DataFrame) -> npt.NDArray[np.floating[Any]]:
    """(F, 15) the expressions of a frame table, in their order."""
    return frames[list(EXPRESSIONS)].to_numpy()


def locate_frames(wanted: pd.DataFrame, table: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Row in ``table`` of every frame in ``wanted``, -1 where the table lacks it; both have the key columns.

    Raises:
        FrameTableError: the table has a frame twice.
    """
    n_rows = len(table)
    both = pd.concat([table["video_id"].astype("str"), wanted["video_id"].astype("str")], ignore_index=True)
    codes, _ = pd.factorize(both)
    keys = pd.MultiIndex.from_arrays([codes[:n_rows], table["timestamp_us"].to_numpy(np.int64)])
    if keys.has_duplicates:
        row = int(np.flatnonzero(keys.duplicated())[0])
        frame = table.iloc[row]
        raise FrameTableError(
            f"video {frame['video_id']!r} has the frame at {frame['timestamp_us']} us twice (row {row})"
        )
    sought = pd.MultiIndex.from_arrays([codes[n_rows:], wanted["timestamp_us"].to_numpy(np.int64)])
    return keys.get_indexer(sought).astype(np.int64)

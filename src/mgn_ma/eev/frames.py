"""Frame tables: labels or predictions by video and timestamp, a column an expression."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.errors import FrameTableError
from mgn_ma.eev.targets import BESIDE_TARGETS

Split = Literal["train", "validation", "holdout", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
ANNOTATED: tuple[Split, ...] = ("train", "validation", "test")
"""The splits that annotations come in; the hold-out is carved from validation (`mgn_ma.eev.holdout`)."""


def annotated_as(split: Split) -> Split:
    """In whose annotations the videos of a split are."""
    return "validation" if split == "holdout" else split


KEY_COLUMNS = ("video_id", "timestamp_us")
"""What names a frame; a frame table has each frame once."""


def expression_names(table: pd.DataFrame) -> tuple[str, ...]:
    """The expressions (C) that a frame or score table has columns of, in the table's order."""
    return tuple(str(column) for column in table.columns if column not in BESIDE_TARGETS)


def table_digest(table: pd.DataFrame) -> str:
    """Hex SHA-256 of a table's columns and rows."""
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(",".join(table.columns).encode() + rows.tobytes()).hexdigest()


def expression_matrix(frames: pd.DataFrame, expressions: Sequence[str]) -> npt.NDArray[np.floating[Any]]:
    """(F, C) some expressions of a frame table, in the order wanted.

    Raises:
        FrameTableError: the table lacks one.
    """
    missing = [name for name in expressions if name not in frames.columns]
    if missing:
        raise FrameTableError(
            f"a table has no column {missing[0]!r}, only {', '.join(expression_names(frames)) or 'no expression'}: it "
            "was made for other targets; run the pipeline that makes it again"
        )
    return frames[list(expressions)].to_numpy()


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

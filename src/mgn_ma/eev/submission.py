"""The challenge's submission file: every row of test.csv in its order, with a value for each expression."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mgn_ma.eev.annotations import TIMESTAMP_COLUMN
from mgn_ma.eev.frames import expression_matrix, locate_frames
from mgn_ma.eev.targets import Targets
from mgn_ma.errors import MGNMAError

SUBMISSION_KEYS = ("Video ID", TIMESTAMP_COLUMN)
"""Columns before those of the targets."""


class SubmissionError(MGNMAError):
    """A submission would be refused, or scored against the wrong rows."""


def make_submission(test_frames: pd.DataFrame, predictions: pd.DataFrame, targets: Targets) -> pd.DataFrame:
    """Bring predictions into the challenge's form.

    Videos without predictions (deleted or private ones) get zeros, as the challenge's participants did (where the
    targets' range has no zero, the value nearest to it). Predictions of videos that are not in the test table are left
    aside. The timestamps are microseconds in spite of their header, as in the data set's own files.

    Args:
        test_frames: ``video_id``, ``timestamp_us``, in the order of test.csv.
        predictions: frame table.
        targets: what is predicted.

    Raises:
        SubmissionError: a video has predictions for some of its frames only, or one is out of the targets' range.
        ValueError: a frame is predicted twice.
    """
    rows = locate_frames(test_frames, predictions)
    ids = test_frames["video_id"].reset_index(drop=True)
    found = rows >= 0
    partly = ids[~found & ids.isin(predictions["video_id"].unique()).to_numpy()]
    if len(partly):
        raise SubmissionError(
            f"video {partly.iloc[0]!r} has predictions, but not for {int((partly == partly.iloc[0]).sum())} of its "
            f"test frames, the first at {test_frames['timestamp_us'].iloc[partly.index[0]]} us"
        )
    values = np.full((len(ids), len(targets.names)), targets.clip(np.zeros(1)), dtype=np.float32)
    values[found] = expression_matrix(predictions, targets.names)[rows[found]]
    submission = pd.DataFrame(values, columns=list(targets.names))
    submission.insert(0, SUBMISSION_KEYS[0], ids)
    submission.insert(1, SUBMISSION_KEYS[1], test_frames["timestamp_us"].to_numpy(np.int64))
    check_submission(submission, test_frames, targets)
    return submission


def check_submission(submission: pd.DataFrame, test_frames: pd.DataFrame, targets: Targets) -> None:
    """Accept only a submission whose columns and rows are those of the test table, in its order.

    Raises:
        SubmissionError: naming the first row or column that differs.
    """
    columns = (*SUBMISSION_KEYS, *targets.names)
    if tuple(submission.columns) != columns:
        raise SubmissionError(
            f"the columns are {', '.join(map(repr, submission.columns))}; they must be, in this order, "
            f"{', '.join(map(repr, columns))}"
        )
    if len(submission) != len(test_frames):
        raise SubmissionError(f"{len(submission)} rows for the {len(test_frames)} of the test table")
    id_column, timestamp_column = SUBMISSION_KEYS
    differs = (submission[id_column].to_numpy() != test_frames["video_id"].to_numpy()) | (
        submission[timestamp_column].to_numpy() != test_frames["timestamp_us"].to_numpy()
    )
    if differs.any():
        row = int(np.flatnonzero(differs)[0])
        found, wanted = submission.iloc[row], test_frames.iloc[row]
        raise SubmissionError(
            f"row {row} is {found[id_column]!r} at {found[timestamp_column]}, where the test table has "
            f"{wanted['video_id']!r} at {wanted['timestamp_us']} us"
        )
    values = expression_matrix(submission, targets.names)
    wrong = ~((values >= targets.minimum) & (values <= targets.maximum))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        raise SubmissionError(
            f"row {row}: {targets.names[column]} is {values[row, column]}, not between {targets.minimum:g} and "
            f"{targets.maximum:g}"
        )

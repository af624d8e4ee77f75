"""The members' predictions of one split, as matrices over the same frames, and the labels that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mgn_ma.eev.correlation import frames_to_offsets
from mgn_ma.eev.frames import KEY_COLUMNS, expression_matrix, expression_names, locate_frames
from mgn_ma.evaluation.errors import EvaluationError

SHUFFLED = "shuffled"
"""The member that was trained on labels shuffled across videos: a control, never part of an ensemble."""

_Matrix = npt.NDArray[np.floating[Any]]


class PredictionError(EvaluationError):
    """Predictions don't cover the same frames, or frames that nobody labelled."""


@dataclass(frozen=True, slots=True)
class SplitPredictions:
    """What every member predicts for the frames of one split.

    Attributes:
        frames: (F rows) ``video_id``, ``timestamp_us``; one block a video.
        expressions: C names.
        video_ids: V ids in their order.
        offsets: (V + 1,) first row of every video, then F.
        members: name -> (F, C), without the control.
        control: (F, C) of the member trained on shuffled labels, if there is one.
    """

    frames: pd.DataFrame
    expressions: tuple[str, ...]
    video_ids: list[str]
    offsets: npt.NDArray[np.int64]
    members: dict[str, _Matrix]
    control: _Matrix | None

    @classmethod
    def from_table(cls, table: pd.DataFrame, split: str) -> SplitPredictions:
        """Take one split from the table of all members.

        Args:
            table: frame table with the columns ``member`` and ``split`` besides.
            split: ``validation`` or ``test``.

        Raises:
            PredictionError: the split has no member, or a member lacks frames that another has.
        """
        of_split = table[(table["split"] == split).to_numpy()]
        groups = {str(name): rows for name, rows in of_split.groupby("member", sort=False, observed=True)}
        if not set(groups) - {SHUFFLED}:
            raise PredictionError(f"no member has predictions for the {split} split")
        first, reference = next(iter(groups.items()))
        frames = reference[list(KEY_COLUMNS)].reset_index(drop=True)
        frames["video_id"] = frames["video_id"].astype("str")
        expressions = expression_names(table)
        matrices = {name: _in_order_of(frames, expressions, rows, name, first) for name, rows in groups.items()}
        video_ids, offsets = frames_to_offsets(frames["video_id"])
        control = matrices.pop(SHUFFLED, None)
        return cls(frames, expressions, video_ids, offsets, matrices, control)

    def of_members(self, names: Sequence[str]) -> SplitPredictions:
        """The same of some members.

        Raises:
            PredictionError: one of them has no predictions.
        """
        missing = [name for name in names if name not in self.members]
        if missing:
            raise PredictionError(
                f"{missing[0]} has no predictions, which are of {', '.join(self.members)}: train and predict again "
                "with `kedro run --pipelines training`"
            )
        return replace(self, members={name: self.members[name] for name in names})

    def labels(self, labels: pd.DataFrame) -> _Matrix:
        """(F, C) the rows of a frame table for these frames.

        Raises:
            PredictionError: a frame is not in the table.
        """
        rows = locate_frames(self.frames, labels)
        if (rows < 0).any():
            frame = self.frames.iloc[int(np.flatnonzero(rows < 0)[0])]
            raise PredictionError(
                f"video {frame['video_id']!r} has a prediction at {frame['timestamp_us']} us but no label there "
                f"({int((rows < 0).sum())} such frames)"
            )
        return expression_matrix(labels, self.expressions)[rows]


def _in_order_of(
    frames: pd.DataFrame, expressions: Sequence[str], rows: pd.DataFrame, name: str, reference: str
) -> _Matrix:
    if len(rows) == len(frames):
        same_times = np.array_equal(rows["timestamp_us"].to_numpy(), frames["timestamp_us"].to_numpy())
        if same_times and np.array_equal(rows["video_id"].to_numpy(), frames["video_id"].to_numpy()):
            return expression_matrix(rows, expressions)
        located = locate_frames(frames, rows)
        if (located >= 0).all():
            return expression_matrix(rows, expressions)[located]
    raise PredictionError(
        f"members {reference!r} and {name!r} predict different frames ({len(frames)} and {len(rows)} rows); "
        "predict again with both"
    )


def frame_table(frames: pd.DataFrame, expressions: Sequence[str], values: _Matrix) -> pd.DataFrame:
    """Frame table of the ``expressions``' ``values`` (F, C) for ``frames``; float32."""
    table = pd.DataFrame(values.astype(np.float32), columns=list(expressions))
    for position, column in enumerate(KEY_COLUMNS):
        table.insert(position, column, frames[column].to_numpy())
    return table.astype({"video_id": "str"})

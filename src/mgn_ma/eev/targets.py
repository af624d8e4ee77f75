"""What is predicted: the names of the targets, the range of their values, and what a row of zeros means.

EEV's fifteen expressions stand here and nowhere else. Another data set's targets are the parameter ``targets``; from
ingestion on they travel with the data: as columns of tables, and in the description of a packed split, a model, …
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from mgn_ma.configuration import Configuration

_Values = TypeVar("_Values", bound=npt.NDArray[np.floating[Any]])

BESIDE_TARGETS = frozenset(
    {
        *("video_id", "timestamp_us", "member", "split", "Video ID", "YouTube ID", "Timestamp (milliseconds)"),
        *("predictor", "theme", "n_frames", "score", "constant_truth", "constant_prediction", "seed"),
    }
)
"""Other columns of the tables that have a column a target: no target may be called so."""


class Targets(Configuration):
    """The parameter ``targets``; the defaults are EEV's.

    Attributes:
        names: columns of the annotations, of every table and of what a model gives, in this order.
        minimum: of the values, in the annotations' unit.
        maximum: of the values.
        zero_rows_mean_no_face: whether a frame whose labels are all 0 is one without a face to label, as in EEV, or has
            labels like any other.
    """

    names: tuple[str, ...] = Field(
        default=(
            "amusement",
            "anger",
            "awe",
            "concentration",
            "confusion",
            "contempt",
            "contentment",
            "disappointment",
            "doubt",
            "elation",
            "interest",
            "pain",
            "sadness",
            "surprise",
            "triumph",
        ),
        min_length=1,
    )
    minimum: float = Field(default=0.0, allow_inf_nan=False)
    maximum: float = Field(default=1.0, allow_inf_nan=False)
    zero_rows_mean_no_face: bool = True

    @model_validator(mode="after")
    def _names_are_columns(self) -> Self:
        for name in self.names:
            if name.strip() != name or not name.isprintable() or not name:
                raise ValueError(f"a target can't be called {name!r}: a name is printable text without space around it")
            if name in BESIDE_TARGETS or name.startswith(("attention_", "contribution_")):
                raise ValueError(f"a target can't be called {name!r}: another column of the tables has that name")
            if self.names.count(name) > 1:
                raise ValueError(f"two targets are called {name!r}")
        if self.minimum >= self.maximum:
            raise ValueError(f"the targets' minimum, {self.minimum:g}, is not below their maximum, {self.maximum:g}")
        return self

    @property
    def span(self) -> float:
        """How wide the range is."""
        return self.maximum - self.minimum

    def to_shares(self, values: Any) -> Any:
        """``values`` (array or tensor, any shape) as shares of the range in 0..1, which eq. 3 is about."""
        return (values - self.minimum) / self.span

    def from_shares(self, shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities (eq. 2), of any shape, as values of the range."""
        return self.clip(self.minimum + shares * self.span)

    def clip(self, values: _Values) -> _Values:
        """The nearest values within the range."""
        clipped: _Values = np.clip(values, self.minimum, self.maximum)
        return clipped

    def labelled(self, columns: Iterable[npt.NDArray[np.floating[Any]]]) -> npt.NDArray[np.bool_]:
        """Which frames have labels, (F,): all, or where zeros mean that no face was seen, those with any other value.

        Args:
            columns: (F,) values of each target.
        """
        values = list(columns)
        if not self.zero_rows_mean_no_face:
            return np.ones(len(values[0]), dtype=np.bool_)
        return np.asarray(np.logical_or.reduce([column != 0 for column in values]))


EEV = Targets()
"""The fifteen expressions that EEV's viewers were seen to show, in the data set's (alphabetical) order, 0 to 1."""

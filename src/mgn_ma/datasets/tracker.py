"""The run's tracker as a catalog entry, so that a node reports live without knowing MLflow."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError

from mgn_ma.tracking.tracker import Tracker, current_tracker


class TrackerDataset(AbstractDataset[Any, Tracker]):
    """Loads the tracker of the MLflow run that is active; without one, a tracker that keeps nothing.

    Example catalog entry::

        tracker:
          type: mgn_ma.datasets.tracker.TrackerDataset
    """

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        self.metadata = metadata

    def load(self) -> Tracker:
        """The tracker of the run that goes on."""
        return current_tracker()

    def save(self, data: Any) -> None:
        """Refused: nodes report through the tracker, they don't replace it."""
        raise DatasetError("The tracker is only an input: nodes report through it.")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {}

"""The run's tracker as a catalog entry, so that a node reports live without knowing MLflow."""

from __future__ import annotations

from typing import Any

from mgn_ma.datasets.handle import HandleDataset
from mgn_ma.tracking.tracker import Tracker, current_tracker


class TrackerDataset(HandleDataset[Tracker]):
    """Loads the tracker of the MLflow run that is active; without one, a tracker that keeps nothing."""

    def __init__(self, metadata: dict[str, Any] | None = None) -> None:
        super().__init__({}, metadata)

    def load(self) -> Tracker:
        """The tracker of the run that goes on."""
        return current_tracker()

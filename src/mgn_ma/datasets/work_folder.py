"""A folder that a node is given to keep things in as it goes, as a catalog entry that is loaded and never saved."""

from __future__ import annotations

from typing import Any

from mgn_ma.datasets.handle import HandleDataset


class WorkFolderDataset(HandleDataset[str]):
    """Loads the folder's path; a folder that isn't there yet is no error.

    Args:
        filepath: of the folder.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__({"filepath": filepath}, metadata)
        self._filepath = filepath

    def load(self) -> str:
        """The folder's path."""
        return self._filepath

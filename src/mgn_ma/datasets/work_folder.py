"""A folder that a node is given to keep things in as it goes, as a catalog entry that is loaded and never saved."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError


class WorkFolderDataset(AbstractDataset[None, str]):
    """Loads the folder's path; a folder that isn't there yet is no error.

    Args:
        filepath: of the folder.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = filepath
        self.metadata = metadata

    def load(self) -> str:
        """The folder's path."""
        return self._filepath

    def save(self, data: None) -> None:
        """Refuse: the node that has the path writes there itself."""
        raise DatasetError("what is kept in the folder is written as it is made, it is no node's output")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}

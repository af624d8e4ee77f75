"""A folder of raw videos as a catalog entry."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError

from mgn_ma.media.folder import MediaFolder


class MediaFolderDataset(AbstractDataset[MediaFolder, MediaFolder]):
    """The listing of a folder of videos, into which a node may have put some; nothing is opened.

    Args:
        path: local path or fsspec URL.
        metadata: for Kedro's plugins.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = path
        self.metadata = metadata

    def load(self) -> MediaFolder:
        """The folder as it is now; an absent one is empty."""
        return MediaFolder(self._path)

    def save(self, data: MediaFolder) -> None:
        """Accept the listing of the folder after a node has written into it.

        Raises:
            DatasetError: it is of another folder.
        """
        if data.root != MediaFolder(self._path).root:
            raise DatasetError(f"the videos were written into {data.root}, the catalog expects them in {self._path}")

    def _exists(self) -> bool:
        return len(self.load()) > 0

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path}

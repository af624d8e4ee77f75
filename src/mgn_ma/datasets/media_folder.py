"""A folder of raw videos as a catalog entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from kedro.io import AbstractDataset, DatasetError

from mgn_ma.media.folder import MediaFolder


class WritesVideos(Protocol):
    """What can be saved as a folder of videos: something that writes its files itself."""

    def write_into(self, folder: Path) -> None:
        """Write ``<id>.mp4``, ``<id>.en.vtt`` and ``<id>.info.json`` files into an existing folder."""


class MediaFolderDataset(AbstractDataset[WritesVideos, MediaFolder]):
    """Loads the listing of a folder of videos; nothing is opened. Saves what writes its own files there.

    Args:
        path: local path or fsspec URL; saving needs a local one.
        metadata: for Kedro's plugins.

    Example catalog entry::

        raw_videos:
          type: mgn_ma.datasets.media_folder.MediaFolderDataset
          path: data/01_raw/videos
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = path
        self.metadata = metadata

    def load(self) -> MediaFolder:
        """The folder as it is now; an absent one is empty."""
        return MediaFolder(self._path)

    def save(self, data: WritesVideos) -> None:
        """Have ``data`` write its files into the folder, which is made if need be.

        Raises:
            DatasetError: if the folder isn't on this machine.
        """
        if "://" in self._path:
            raise DatasetError(f"videos can only be written into a local folder, and {self._path} is a URL")
        folder = Path(self._path)
        folder.mkdir(parents=True, exist_ok=True)
        data.write_into(folder)

    def _exists(self) -> bool:
        return len(self.load()) > 0

    def _describe(self) -> dict[str, Any]:
        return {"path": self._path}

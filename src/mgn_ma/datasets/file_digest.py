"""The digest of a file as a catalog entry: whether it has changed can be told without reading what is in it."""

from __future__ import annotations

import hashlib

import fsspec

from mgn_ma.datasets.handle import PlaceDataset


class FileDigestDataset(PlaceDataset["str | None"]):
    """Loads the hex SHA-256 of a file; ``None`` where there is no file."""

    def load(self) -> str | None:
        """Read the file through."""
        try:
            with fsspec.open(self._filepath, "rb", **self._options) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None

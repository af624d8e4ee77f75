"""The digest of a file as a catalog entry: whether it has changed can be told without reading what is in it."""

from __future__ import annotations

import hashlib
from typing import Any

import fsspec

from mgn_ma.datasets.handle import HandleDataset


class FileDigestDataset(HandleDataset["str | None"]):
    """Loads the hex SHA-256 of a file; ``None`` where there is no file.

    Args:
        filepath: of the file, a local path or an fsspec URL.
        credentials: for the file system, by name from ``credentials.yml``.
        fs_args: further options of the file system.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__({"filepath": filepath}, metadata)
        self._filepath = filepath
        self._options = {**(fs_args or {}), **(credentials or {})}

    def load(self) -> str | None:
        """Read the file through."""
        try:
            with fsspec.open(self._filepath, "rb", **self._options) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None

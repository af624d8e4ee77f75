"""Small files that appear whole or not at all, on a local disk or any fsspec file system."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


class Folder:
    """Reads and writes files below one root; it pickles.

    Args:
        root: a local path or an fsspec URL.
        storage_options: for the file system.
    """

    def __init__(self, root: str | Path, storage_options: Mapping[str, Any] | None = None) -> None:
        self.root = str(root)
        self._fs, path = fsspec.core.url_to_fs(self.root, **dict(storage_options or {}))
        self._path = str(path).rstrip("/")
        self._is_local = isinstance(self._fs, LocalFileSystem)

    def read(self, name: str) -> bytes | None:
        """The content of a file, ``None`` where there is none."""
        try:
            return bytes(self._fs.cat_file(f"{self._path}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file as a whole."""
        if not self._is_local:
            # The put of an object store is atomic by itself.
            self._fs.pipe_file(f"{self._path}/{name}", content)
            return
        place = Path(self._path) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(place)
        finally:
            unfinished.unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        return bool(self._fs.exists(f"{self._path}/{name}"))

"""Files that appear whole or not at all, on a local disk or any fsspec file system."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mgn_ma.temporary import in_use, remove_if_abandoned

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
"""Name of a file that is still being written, or whose writer was killed."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path beside the local ``path`` to write to; at the end of the block its file is synchronised and renamed.

    After an error in the block, what stood at ``path`` stands there still, and nothing beside it.
    """
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    with in_use(lambda: _unfinished(place)) as unfinished:
        try:
            yield unfinished
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
            unfinished.replace(place)
        except OSError as error:
            if error.errno is not None and error.filename is None:  # a full disk while a file is written names none
                error.filename = str(place)
            raise
        finally:
            unfinished.unlink(missing_ok=True)


def _unfinished(place: Path) -> Path:
    path = place.with_name(f".{place.name}.{uuid.uuid4().hex}.tmp")
    path.touch(exist_ok=False)
    return path


def remove_unfinished(folder: str | Path, *, below: bool = True) -> None:
    """Remove what killed writers left half written in a local folder, and ``below`` it; what is being written stays."""
    place = Path(folder)
    for path in place.rglob(".*.tmp") if below else place.glob(".*.tmp"):
        if _UNFINISHED.fullmatch(path.name):
            remove_if_abandoned(path)


def write_atomically(path: str | Path, content: bytes, filesystem: fsspec.AbstractFileSystem | None = None) -> None:
    """Replace a file as a whole; ``filesystem`` is that of ``path``, the local disk where none is given."""
    if filesystem is None or isinstance(filesystem, LocalFileSystem):
        with atomic_path(path) as unfinished:
            unfinished.write_bytes(content)
    else:
        # The put of an object store is atomic by itself.
        filesystem.pipe_file(str(path), bytes(content))


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

    def read(self, name: str) -> bytes | None:
        """The content of a file, ``None`` where there is none."""
        try:
            return bytes(self._fs.cat_file(f"{self._path}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace a file as a whole."""
        write_atomically(f"{self._path}/{name}", content, self._fs)

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        return bool(self._fs.exists(f"{self._path}/{name}"))

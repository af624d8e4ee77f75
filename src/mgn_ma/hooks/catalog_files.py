"""What hooks ask of a catalog entry: its metadata, and the file that it has just written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import fsspec
from kedro.io import AbstractVersionedDataset, CachedDataset


@dataclass(frozen=True)
class SavedFile:
    """A file in the file system of the dataset that wrote it."""

    filesystem: fsspec.AbstractFileSystem
    path: str


def unwrapped(dataset: Any) -> Any:
    """The dataset behind Kedro's cache, if it is behind one."""
    return unwrapped(dataset._dataset) if isinstance(dataset, CachedDataset) else dataset


def metadata(dataset: Any) -> dict[str, Any]:
    """The ``metadata`` of a catalog entry; empty where there is none."""
    return dict(getattr(unwrapped(dataset), "metadata", None) or {})


def saved_file(dataset: Any) -> SavedFile | None:
    """The file that ``dataset`` wrote in this run: the one of this version, if it is versioned.

    ``None`` for what is no single file: memory, folders, databases.
    """
    dataset = unwrapped(dataset)
    if not isinstance(dataset, AbstractVersionedDataset):
        return None
    version = dataset.resolve_save_version()
    path = dataset._get_versioned_path(version) if version else dataset._filepath
    filesystem = getattr(dataset, "_fs", None) or fsspec.filesystem("file")
    return SavedFile(filesystem, str(path)) if filesystem.isfile(str(path)) else None

"""What a node is given to work with, and never saves: a folder, a store, a service."""

from __future__ import annotations

from typing import Any, TypeVar

from kedro.io import AbstractDataset, DatasetError

Handle = TypeVar("Handle")


class HandleDataset(AbstractDataset[None, Handle]):
    """The base of datasets that are only loaded; what they load is there even where nothing has been kept in it yet.

    Args:
        described: what tells it from others of its class, for messages.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(self, described: dict[str, Any], metadata: dict[str, Any] | None) -> None:
        self.metadata = metadata
        self._described = described

    def save(self, data: None) -> None:
        """Refuse."""
        raise DatasetError(f"{type(self).__name__} is only an input, it is no node's output: nodes use what it loads")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return self._described


class PlaceDataset(HandleDataset[Handle]):
    """The base of those that work with one place of a file system.

    Args:
        filepath: of the place, a local path or an fsspec URL.
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

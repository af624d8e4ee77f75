"""The place where trainings keep where they stand, as a catalog entry that nodes get and never save."""

from __future__ import annotations

from typing import Any

from mgn_ma.datasets.handle import HandleDataset
from mgn_ma.files import Folder
from mgn_ma.training.states import StateStore


class TrainingStatesDataset(HandleDataset[StateStore]):
    """Loads the store of training states; an empty or absent folder is no error.

    A node goes through the store to resume what was interrupted and to skip what is finished. States of other
    configurations stay until somebody deletes the folder.

    Args:
        filepath: of the folder, a local path or an fsspec URL.
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

    def load(self) -> StateStore:
        """Open the store; nothing is read yet."""
        return StateStore(Folder(self._filepath, self._options))

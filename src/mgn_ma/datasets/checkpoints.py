"""Trained networks as a versioned Kedro dataset: safetensors and JSON, by name."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import PurePosixPath
from typing import Any

import fsspec
from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro.io.core import get_protocol_and_path

from mgn_ma.files import Folder
from mgn_ma.training.checkpoints import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint

INDEX = "index.json"


class CheckpointsDataset(AbstractVersionedDataset[dict[str, Checkpoint], dict[str, Checkpoint]]):
    """Checkpoints by name in one folder; an index, written last, says that they are complete.

    Args:
        filepath: of the folder, a local path or an fsspec URL.
        version: of a versioned dataset, set by Kedro.
        credentials: for the file system, by name from ``credentials.yml``.
        fs_args: further options of the file system.
        metadata: for Kedro-Viz and others; not used here.
    """

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        protocol, path = get_protocol_and_path(filepath, version)
        self._protocol = protocol
        self._options = {**deepcopy(fs_args or {}), **deepcopy(credentials or {})}
        self._fs = fsspec.filesystem(protocol, **self._options)
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path), version=version, exists_function=self._fs.exists, glob_function=self._fs.glob
        )

    def save(self, data: dict[str, Checkpoint]) -> None:
        """Write every checkpoint, then the index."""
        folder = self._folder(self._get_save_path())
        for name, checkpoint in data.items():
            save_checkpoint(checkpoint, folder, name)
        folder.write(INDEX, json.dumps({"checkpoints": list(data)}, indent=1).encode())

    def load(self) -> dict[str, Checkpoint]:
        """Read every checkpoint, in the order in which they were saved."""
        folder = self._folder(self._get_load_path())
        index = folder.read(INDEX)
        if index is None:
            raise DatasetError(f"{folder.root} holds no complete set of checkpoints: train first")
        try:
            return {name: load_checkpoint(folder, name) for name in json.loads(index)["checkpoints"]}
        except CheckpointError as error:
            raise DatasetError(str(error)) from error

    def _folder(self, path: PurePosixPath) -> Folder:
        is_local = self._protocol == "file"
        return Folder(str(path) if is_local else f"{self._protocol}://{path}", self._options)

    def _exists(self) -> bool:
        try:
            path = self._get_load_path()
        except DatasetError:
            return False
        return self._folder(path).exists(INDEX)

    def _release(self) -> None:
        super()._release()
        self._fs.invalidate_cache(str(self._filepath))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "protocol": self._protocol, "version": self._version}
